"""The runner's end of a worker: start it, hear what it reports and prints, end it."""

import contextlib
import json
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from migrator.child import die_with_parent
from migrator.clock import Stop
from migrator.errors import InterruptedMidway, PolicyRefused

_WORKER = Path(__file__).parent.parent / "worker" / "main.py"
_CHUNK_BYTES = 1 << 16
_CHUNKS_LEFT = 32  # more than a pipe holds
_LOOK_SECONDS = 0.25
_MUTE_SECONDS = 2.0
# Terminal escapes: CSI sequences, OSC strings, and other two-byte ones.
_ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_REMEDY = "point MIGRATOR_PYTHON at the interpreter of the project's environment"

Report = dict[str, Any]


class WorkerProcess:
    """A running worker. Its reports and its output are read together, so that neither can block it."""

    def __init__(
        self, python: Path, orders: Mapping[str, Any], environ: Mapping[str, str], stop: Stop
    ) -> None:
        """Start it and hand over its orders. Raises `PolicyRefused` when the interpreter cannot start."""
        self._stop = stop
        orders_reader, self._control = os.pipe()
        self._reports, reports_writer = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the interpreter is the operator's choice
                [str(python), str(_WORKER), str(orders_reader), str(reports_writer)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(orders_reader, reports_writer),
                env=dict(environ),
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - it takes no lock, and imports nothing
            )
        except OSError as error:
            os.close(self._control)
            os.close(self._reports)
            raise PolicyRefused(
                f"the worker's interpreter {python} cannot be started: {error.strerror}",
                remedy=_REMEDY,
            ) from error
        finally:
            os.close(orders_reader)
            os.close(reports_writer)
        self._write(json.dumps(orders).encode() + b"\n")
        self._lines = {self._reports: b""}
        self._names: dict[int, str] = {}
        self._left_out: dict[int, int] = {}  # bytes of a line that is still coming

    def reports(self, tick_seconds: float) -> Iterator[Report]:
        """Everything the worker reports, until it has ended; `{"is": "tick"}` at least so often in between.

        What it prints comes as `{"is": "output", "stream": …, "line": …}`. When the process itself has ended,
        whatever it started is killed: a child may hold the pipes for ever. Raises when told to stop, and
        `InterruptedMidway` when what it reports makes no sense.
        """
        selector = selectors.DefaultSelector()
        selector.register(self._stop.wakeup, selectors.EVENT_READ)
        for descriptor, name in self._streams().items():
            os.set_blocking(descriptor, False)
            self._names[descriptor] = name
            self._lines[descriptor] = b""
            selector.register(descriptor, selectors.EVENT_READ)
        open_streams = set(self._names)
        told = heard = time.monotonic()
        with selector:
            while self.is_alive() and time.monotonic() - heard < _MUTE_SECONDS:
                ready = {key.fd for key, _ in selector.select(min(tick_seconds, _LOOK_SECONDS))}
                self._stop.check()
                if self._reports in open_streams:  # it closes them by ending; else there is nobody to hear
                    heard = time.monotonic()
                for descriptor in sorted(ready & open_streams):
                    chunk = _read(descriptor)
                    if chunk == b"":
                        selector.unregister(descriptor)
                        open_streams.discard(descriptor)
                    yield from self._split(descriptor, chunk)
                if time.monotonic() - told >= tick_seconds:
                    told = time.monotonic()
                    yield {"is": "tick"}
            self._kill_group()
            yield from self._rest(open_streams)

    def _streams(self) -> dict[int, str]:
        assert self._process.stdout is not None  # noqa: S101 - pipes were asked for
        assert self._process.stderr is not None  # noqa: S101
        return {
            self._reports: "reports",
            self._process.stdout.fileno(): "stdout",
            self._process.stderr.fileno(): "stderr",
        }

    def _rest(self, open_streams: set[int]) -> Iterator[Report]:
        """A grandchild may keep the pipes open for ever: take what is there and leave."""
        for descriptor in sorted(open_streams):
            for _ in range(_CHUNKS_LEFT):
                if not (chunk := _read(descriptor)):
                    break
                yield from self._split(descriptor, chunk)
        for descriptor in sorted(self._names):
            yield from self._split(descriptor, b"")

    def _split(self, descriptor: int, chunk: bytes | None) -> Iterator[Report]:
        if chunk is None:
            return
        *lines, rest = (self._lines[descriptor] + chunk).split(b"\n")
        is_output = self._names[descriptor] != "reports"
        if chunk == b"":
            lines, rest = ([*lines, rest] if rest else lines), b""
        left_out = self._left_out.pop(descriptor, 0)
        if is_output and len(rest) > _CHUNK_BYTES:  # a line may never end: keep what will be shown of it
            self._left_out[descriptor] = len(rest) - _CHUNK_BYTES + (0 if lines else left_out)
            rest = rest[:_CHUNK_BYTES]
        elif not lines and left_out:
            self._left_out[descriptor] = left_out
        self._lines[descriptor] = rest
        for number, line in enumerate(lines):
            if not is_output:
                yield _report(line)
            elif shown := printable(line):
                size = len(line) + (0 if number else left_out)
                yield {"is": "output", "stream": self._names[descriptor], "line": shown, "size_bytes": size}

    def wait(self) -> int:
        """Its exit status, negative for a signal. It has ended by itself, or `reports` has ended it."""
        status = self._process.wait()
        self._close()
        return status

    def ask_to_stop(self) -> None:
        """Let it raise at its next statement."""
        self._write(b"stop\n")

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it and whatever it started."""
        self._kill_group()
        self._process.wait()
        self._close()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _write(self, line: bytes) -> None:
        try:
            os.write(self._control, line)
        except BrokenPipeError:
            return

    def _close(self) -> None:
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        for descriptor in (self._control, self._reports):
            if descriptor >= 0:
                os.close(descriptor)
        self._control = self._reports = -1


def _report(line: bytes) -> Report:
    """Read a report. One that makes no sense may hide one that says what was committed.

    Half a character (from an undecodable byte, say) could be written neither to events nor to the ledger.
    """
    try:
        report = json.loads(line)
    except ValueError:
        report = None
    if not isinstance(report, dict) or not isinstance(report.get("is"), str):
        raise InterruptedMidway("the worker was lost: something else wrote to its report pipe")
    return {name: _whole(value) for name, value in report.items()}


def _whole(value: Any) -> Any:
    match value:
        case str():
            return value.replace("\0", "\\0").encode(errors="backslashreplace").decode()
        case list():
            return [_whole(one) for one in value]
        case dict():
            return {name: _whole(one) for name, one in value.items()}
        case _:
            return value


def unfit_interpreter(python: Path) -> PolicyRefused:
    """Make the error for an interpreter that ended before the worker could say that it is there."""
    return PolicyRefused(
        f"the worker's interpreter {python} ended before it did anything: no Python 3.9 or newer?",
        remedy=_REMEDY,
    )


def printable(line: bytes) -> str:
    """A line of user code's output without escapes; empty if nothing is left."""
    text = _ESCAPES.sub(b"", line).decode(errors="replace").replace("\t", "    ")
    return _CONTROL.sub("", text).rstrip()


def _read(descriptor: int) -> bytes | None:
    """A piece; empty at the end of the stream, None when there is nothing now."""
    try:
        return os.read(descriptor, _CHUNK_BYTES)
    except BlockingIOError:
        return None
