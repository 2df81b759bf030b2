"""Begin: load the release, wait for Postgres. With a look, all that a deploy with nothing to do needs."""

from migrator.history.launch import Launch
from migrator.history.loading import load_release
from migrator.history.release import Release, find_python, locate_project
from migrator.postgres.readiness import Attempt, wait_until_ready
from migrator.postgres.refusal import Verdict
from migrator.postgres.session import Session
from migrator.steps.crowd import spread_seconds
from migrator.steps.desk import Desk


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
    desk.clock.sleep(spread_seconds())
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
