"""The runner's end of a worker: start it, hear what it reports and prints, end it."""

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migrator.child import die_with_parent
from migrator.clock import Stop
from migrator.errors import InterruptedMidway, PolicyRefused
from migrator.telemetry.printable import printable

if TYPE_CHECKING:
    from migrator.history.door import Door

_CHUNK_BYTES = 1 << 16
_CHUNKS_LEFT = 32  # more than a pipe holds
_LOOK_SECONDS = 0.25
_MUTE_SECONDS = 2.0
_HANDOVER_SECONDS = 5.0
_REMEDY = "point MIGRATOR_PYTHON at the interpreter of the project's environment"

Report = dict[str, Any]


class WorkerProcess:
    """A running worker. Its reports and its output are read together, so that neither can block it."""

    def __init__(
        self,
        command: Sequence[str],
        orders: Mapping[str, Any],
        environ: Mapping[str, str],
        stop: Stop,
        *,
        joins: bool = False,
    ) -> None:
        """Start it; it gets its orders when it connects. Raises `PolicyRefused` when it cannot start.

        The worker's own program is handed one end of a socket as its last argument. A project's own command
        (`joins`) knows nothing of us: whatever Python process of it imports Alembic connects by itself.
        """
        self._stop = stop
        self._orders = json.dumps(orders).encode() + b"\n"
        self._joins = joins
        self._door = _open_door() if joins else None
        pair: tuple[socket.socket, ...] = () if joins else socket.socketpair()  # our end and theirs
        handed = tuple(end.fileno() for end in pair[1:])
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the interpreter is the operator's choice
                [*command, *map(str, handed)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=handed,
                env={**environ, **(self._door.variables(environ) if self._door else {})},
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - it takes no lock, and imports nothing
            )
        except OSError as error:
            for end in pair[:1]:
                end.close()
            self._close_door()
            what = "the project's own command" if joins else "the worker's interpreter"
            raise PolicyRefused(
                f"{what} {command[0]} cannot be started: {error.strerror}",
                remedy="correct MIGRATOR_UPGRADE_COMMAND: a JSON list of a program and its arguments"
                if joins
                else _REMEDY,
            ) from error
        finally:
            for end in pair[1:]:
                end.close()
        self._channels: dict[int, socket.socket] = {}
        self._lines: dict[int, bytes] = {}
        self._names: dict[int, str] = {}
        self._left_out: dict[int, int] = {}  # bytes of a line that is still coming
        for end in pair[:1]:
            self._welcome(end)

    @property
    def has_joined(self) -> bool:
        """Whether any process of it has connected."""
        return bool(self._channels)

    def _welcome(self, channel: socket.socket) -> int:
        """Hand over the orders to a process that has connected."""
        descriptor = channel.fileno()
        self._channels[descriptor] = channel
        self._names[descriptor] = "reports"
        self._lines[descriptor] = b""
        channel.settimeout(_HANDOVER_SECONDS)
        with contextlib.suppress(OSError):  # it is gone already: then its end is read next
            channel.sendall(self._orders)
        channel.setblocking(False)  # noqa: FBT003 - it takes no keyword
        return descriptor

    def reports(self, tick_seconds: float) -> Iterator[Report]:
        """Everything the worker reports, until it has ended; `{"is": "tick"}` at least so often in between.

        What it prints comes as `{"is": "output", "stream": …, "line": …}`. When the process itself has ended,
        whatever it started is killed: a child may hold the pipes for ever. Raises when told to stop, and
        `InterruptedMidway` when what it reports makes no sense.
        """
        selector = selectors.DefaultSelector()
        selector.register(self._stop.wakeup, selectors.EVENT_READ)
        if self._door:
            selector.register(self._door.descriptor, selectors.EVENT_READ)
        for descriptor, name in self._outputs().items():
            os.set_blocking(descriptor, False)
            self._names[descriptor] = name
            self._lines[descriptor] = b""
        open_streams = set(self._names)
        for descriptor in open_streams:
            selector.register(descriptor, selectors.EVENT_READ)
        told = heard = time.monotonic()
        with selector:
            while self.is_alive() and time.monotonic() - heard < _MUTE_SECONDS:
                ready = {key.fd for key, _ in selector.select(min(tick_seconds, _LOOK_SECONDS))}
                self._stop.check()
                # The worker's program closes its end by ending; else there is nobody to hear. A project's own
                # command may go on without Alembic.
                if self._joins or self._channels.keys() & open_streams:
                    heard = time.monotonic()
                if self._door and self._door.descriptor in ready:
                    joined = self._welcome(self._door.admit())
                    open_streams.add(joined)
                    selector.register(joined, selectors.EVENT_READ)
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

    def _outputs(self) -> dict[int, str]:
        assert self._process.stdout is not None  # noqa: S101 - pipes were asked for
        assert self._process.stderr is not None  # noqa: S101
        return {
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
        for channel in self._channels.values():
            with contextlib.suppress(OSError):  # it has ended
                channel.send(line)

    def _close(self) -> None:
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        for channel in self._channels.values():
            channel.close()
        self._close_door()

    def _close_door(self) -> None:
        if self._door:
            self._door.close()


def _open_door() -> "Door":
    """Most projects have no command of their own: what a door needs is not imported for them."""
    from migrator.history.door import Door  # noqa: PLC0415

    return Door()


def _report(line: bytes) -> Report:
    """Read a report. One that makes no sense may hide one that says what was committed.

    Half a character (from an undecodable byte, say) could be written neither to events nor to the ledger.
    """
    try:
        report = json.loads(line)
    except ValueError:
        report = None
    if not isinstance(report, dict) or not isinstance(report.get("is"), str):
        raise InterruptedMidway(
            "the worker was lost: something else wrote to its report pipe",
            remedy="see what env.py or a revision does to file descriptors that it did not open",
        )
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


def _read(descriptor: int) -> bytes | None:
    """A piece; empty at the end of the stream, None when there is nothing now."""
    try:
        return os.read(descriptor, _CHUNK_BYTES)
    except BlockingIOError:
        return None
    except ConnectionResetError:  # it ended without reading all we sent
        return b""
