"""The entrypoint, run the way a platform runs it: a process with a small environment, read by its output."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, cast

REPOSITORY: Final = Path(__file__).parents[2]

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended; a negative exit code is the signal that killed it, as `subprocess` says it."""

    exit_code: int
    events: tuple[Event, ...]
    stdout: str
    stderr: str
    seconds: float

    @property
    def last(self) -> Event:
        """The last event."""
        assert self.events, f"no event at all; stderr: {self.stderr}"
        return self.events[-1]

    def named(self, name: str) -> tuple[Event, ...]:
        """Give the events of this name, oldest first."""
        return tuple(event for event in self.events if event.get("event") == name)


class Running:
    """A run that is still going on. Threads read what it says, so it never waits for us to listen."""

    def __init__(self, command: list[str], folder: Path, environ: Mapping[str, str]) -> None:
        """Start it in a process group of its own, as a container would be."""
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self._speaks_json = environ.get("MIGRATOR_LOG_FORMAT") == "json"
        self._stdout: list[str] = []
        self._stderr: list[str] = []
        self._events: list[Event] = []
        self._nonsense: list[str] = []
        self._news = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(self._process.stdout, self._hear), daemon=True),
            threading.Thread(
                target=self._read, args=(self._process.stderr, self._stderr.append), daemon=True
            ),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        """The runner's process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the runner has not ended yet."""
        return self._process.poll() is None

    @property
    def events(self) -> tuple[Event, ...]:
        """What it has said so far."""
        with self._news:
            return tuple(self._events)

    def wait_for_event(self, name: str, timeout: float = 30, **facts: Any) -> Event:
        """Give the first event of this name with these facts, within so many seconds.

        Raises:
            AssertionError: the run ended, or the time did, without it; quotes what was said.
        """
        wanted = {"event": name, **facts}
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                for event in self._events:
                    if wanted.items() <= event.items():
                        return event
                self._refuse_nonsense()
                over = not any(reader.is_alive() for reader in self._readers)
                assert not over, f"the run ended without {wanted}: {self._said()}"
                left = deadline - time.monotonic()
                assert left > 0, f"no {wanted} within {timeout} s: {self._said()}"
                self._news.wait(min(left, 0.1))

    def signal(self, number: signal.Signals) -> None:
        """Send the runner alone a signal, as `docker stop` and `kill` do."""
        self._process.send_signal(number)

    def finish(self, timeout: float = 60) -> Result:
        """Wait for the end, for so many seconds.

        Raises:
            AssertionError: it did not end in time, or printed a line that is no event; quotes what was said.
        """
        try:
            exit_code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            message = f"still running after {timeout} s: {self._said()}"
            raise AssertionError(message) from None
        seconds = time.monotonic() - self._started
        for reader in self._readers:
            # A worker that outlives its runner for a moment holds the pipes open.
            reader.join(10)
        self._refuse_nonsense()
        return Result(exit_code, self.events, "".join(self._stdout), "".join(self._stderr), seconds)

    def kill(self) -> None:
        """Kill it with everything it started in its process group; killing twice is fine."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _read(self, pipe: IO[str], hear: Callable[[str], None]) -> None:
        with pipe:
            for line in pipe:
                hear(line)
        with self._news:
            self._news.notify_all()

    def _hear(self, line: str) -> None:
        with self._news:
            self._stdout.append(line)
            if self._speaks_json:
                self._parse(line)
            self._news.notify_all()

    def _parse(self, line: str) -> None:
        with contextlib.suppress(json.JSONDecodeError):
            fact = json.loads(line)
            if isinstance(fact, dict):
                self._events.append(cast("Event", fact))
                return
        self._nonsense.append(line)

    def _refuse_nonsense(self) -> None:
        assert not self._nonsense, f"not an event on standard output: {self._nonsense[0]!r}"

    def _said(self) -> str:
        return f"{''.join(self._stdout)[-3000:]}\n{''.join(self._stderr)[-3000:]}"


@dataclass(frozen=True, slots=True)
class Migrator:
    """Runs `entrypoint.py ARGUMENTS` in the project's folder, with this environment and nothing else.

    Further variables are given by keyword; None takes one away. A command that prints facts and no events
    (`graph`, `--help`) is run with MIGRATOR_LOG_FORMAT="text": otherwise every line must be an event.
    """

    folder: Path
    environ: Mapping[str, str]
    backups: Path
    script: Path = REPOSITORY / "entrypoint.py"
    _runs: list[Running] = field(default_factory=list, repr=False)

    def __call__(self, *arguments: str, timeout: float = 120, **environ: str | None) -> Result:
        """Run it to its end, within so many seconds."""
        return self.start(*arguments, **environ).finish(timeout)

    def start(self, *arguments: str, **environ: str | None) -> Running:
        """Start it and go on; whatever still runs at the end of the test is killed."""
        merged = {name: value for name, value in {**self.environ, **environ}.items() if value is not None}
        running = Running([sys.executable, str(self.script), *arguments], self.folder, merged)
        self._runs.append(running)
        return running

    def close(self) -> None:
        """Kill what still runs."""
        for running in self._runs:
            running.kill()
