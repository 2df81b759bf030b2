"""Begin: load the release, wait for Postgres. With a look, all that a deploy with nothing to do needs."""

import random
from pathlib import Path

from migrator.history.launch import Launch
from migrator.history.loading import load_release
from migrator.history.release import Release, find_python, locate_project
from migrator.postgres.readiness import Attempt, wait_until_ready
from migrator.postgres.refusal import Verdict
from migrator.postgres.session import Session
from migrator.steps.desk import Desk

_CROWDED_SECONDS = 0.5


def load(desk: Desk) -> Release:
    """The release this image ships."""
    python = find_python(desk.settings, desk.environ, desk.cwd)
    project = locate_project(desk.settings, python, desk.cwd)
    launch = Launch(desk.settings, project, python, desk.dsn, "", desk.environ, desk.application, desk.stop)
    return load_release(project, python, desk.settings, launch.history)


def wait_for_postgres(desk: Desk) -> Session:
    """An open session to a writable primary; silent when the first attempt succeeds."""

    def told(attempt: Attempt) -> None:
        desk.events.record(
            "wait.attempted",
            f"Postgres is not ready: {attempt.reason}",
            level="warning" if attempt.verdict is Verdict.REFUSED else "info",
            attempt=attempt.number,
            verdict=attempt.verdict.value,
            waited_seconds=round(attempt.waited_seconds, 3),
        )

    began = desk.clock.monotonic()
    desk.clock.sleep(_spread_seconds())
    session = wait_until_ready(desk.connector, desk.clock, desk.settings.wait_timeout, told)
    waited = desk.clock.monotonic() - began
    host, port = session.address
    desk.events.record(
        "wait.finished",
        f"Postgres {session.server_version // 10000} answers on {host or 'a local socket'}",
        level="debug",
        waited_seconds=round(waited, 3),
        host=host,
        port=port,
        server_version=session.server_version,
    )
    return session


def _spread_seconds() -> float:
    """How long to step back where many processes start at once: at most as long as we had to wait for a core.

    A node that starts a hundred pods lets them reach this point together; then every connection lasts long,
    for the same want of a core. On a machine with a core to spare this is nothing.
    Source: Linux, sched-stats.rst: the second number is nanoseconds spent on a run queue.
    """
    try:
        waited = int(Path("/proc/self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0
    return random.uniform(0.0, waited) if waited >= _CROWDED_SECONDS else 0.0  # noqa: S311 - hides nothing
