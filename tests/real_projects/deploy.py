"""A history migrated in a place: by us, and by its own tool."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.real_projects.place import Place
from tests.real_projects.subjects import Subject
from tests.support.processes import descendants
from tests.support.runner import Event, Running

_REPOSITORY = Path(__file__).parents[2]
_LONGEST = 600


class Unexpected(Exception):
    """A program did not end as it should; quotes what it said."""


@dataclass(frozen=True, slots=True)
class Deploy:
    """One history in one place."""

    subject: Subject
    python: Path
    place: Place
    variables: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        """Write what the project wants in its folder."""
        object.__setattr__(self, "variables", self.subject.variables(self.place))

    @property
    def site(self) -> Path:
        """Where the project's packages are."""
        (site,) = self.python.parent.parent.glob("lib/python3*/site-packages")
        return site

    def plain(self) -> float:
        """Run the project's own tool; give its seconds."""
        program, *arguments = self.subject.plain(self.site)
        return self._run([str(self.python.with_name(program)), *arguments], self._shell())

    def ours(self, command: str = "run", exit_code: int = 0) -> tuple[float, Event]:
        """Run one of our commands to its end; give its seconds and its last event, if it speaks in events.

        Raises:
            Unexpected: it ended with another code.
        """
        running = self.start(command)
        result = running.finish(_LONGEST)
        if result.exit_code != exit_code:
            raise Unexpected(
                f"migrator {command} ended with {result.exit_code}, not {exit_code}: "
                f"{(result.stdout[-3000:] or result.stderr[-3000:])}"
            )
        return result.seconds, result.events[-1] if result.events else {}

    def start(self, command: str = "run") -> Running:
        """Start one of our commands."""
        speaks = "json" if command in {"run", "gate"} else "text"
        environ = {
            **self._shell(),
            "DATABASE_URL": self.place.url(),
            "MIGRATOR_LOG_FORMAT": speaks,
            "MIGRATOR_PYTHON": str(self.python),
            "MIGRATOR_BACKUP_URL": (self.place.folder / "backups").as_uri(),
            "MIGRATOR_PG_BIN": str(self.place.cluster.binaries.folder),
            **self.subject.settings(self.site),
        }
        entrypoint = [sys.executable, str(_REPOSITORY / "entrypoint.py"), command]
        return Running(entrypoint, self.place.folder, environ)

    def interrupted(self, after: int, how: "Interruption") -> Event:
        """Start a run, interrupt it after so many revisions have begun, and give its last event.

        Raises:
            Unexpected: it ended with another code than such an interruption has.
        """
        running = self.start()
        running.wait_for_event("revision.started", timeout=_LONGEST, number=after)
        how.strike(running.pid)
        result = running.finish(_LONGEST)
        if result.exit_code != how.exit_code:
            raise Unexpected(
                f"after {how.name} it ended with {result.exit_code}, "
                f"not {how.exit_code}: {result.stdout[-3000:]}"
            )
        return result.events[-1]

    def _shell(self) -> dict[str, str]:
        path = f"{self.python.parent}{os.pathsep}{os.environ['PATH']}"
        return {"PATH": path, "HOME": str(self.place.folder), **self.variables}

    def _run(self, command: list[str], environ: Mapping[str, str]) -> float:
        began = time.perf_counter()
        done = subprocess.run(
            command,
            cwd=self.place.folder,
            env=dict(environ),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=_LONGEST,
        )
        if done.returncode:
            raise Unexpected(
                f"{command} ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
            )
        return time.perf_counter() - began


@dataclass(frozen=True, slots=True)
class Interruption:
    """What happens to a run midway, and how it then ends."""

    name: str
    exit_code: int

    def strike(self, runner: int) -> None:
        """Do it."""
        if self.name == "SIGTERM":
            os.kill(runner, signal.SIGTERM)
            return
        for worker in list(descendants(runner)):
            os.kill(worker, signal.SIGKILL)


INTERRUPTIONS = (Interruption("SIGTERM", 143), Interruption("SIGKILL of the worker", 34))
