"""A program that is not ours, with whatever it starts: told something, heard out, ended with its group."""

import contextlib
import os
import selectors
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from migrator.child import die_with_parent
from migrator.errors import PolicyRefused
from migrator.telemetry.printable import printable

_LOOK_SECONDS = 0.25
_GRACE_SECONDS = 2.0
_CHUNK_BYTES = 1 << 16
_CHUNKS_AT_ONCE = 32
_MOST_PRINTED = 1 << 20


class OtherProgram:
    """Runs from the beginning of the block; at its end nothing of its process group is left."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], folder: Path) -> None:
        """Start it, without a shell. Raises `PolicyRefused` when that cannot be done."""
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the operator's own command
                list(command),
                cwd=folder,
                env=dict(environ),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - it takes no lock, and imports nothing
            )
        except OSError as error:
            raise PolicyRefused(
                f"{command[0]} cannot be started: {error.strerror}",
                remedy="correct MIGRATOR_BACKUP_COMMAND: a JSON list of a program and its arguments",
            ) from error
        assert self._process.stdin and self._process.stdout and self._process.stderr  # noqa: S101, PT018
        self._stdin, self._stdout, self._stderr = (
            self._process.stdin,
            self._process.stdout,
            self._process.stderr,
        )
        self._open = {self._stdout.fileno(), self._stderr.fileno()}
        for descriptor in self._open:
            os.set_blocking(descriptor, False)
        self.printed = b""
        self.last_words = ""
        self._half_line = b""
        self.has_ended = False

    @property
    def status(self) -> int:
        """Its exit status, negative for a signal; it has ended."""
        return self._process.wait()

    def tell(self, text: bytes) -> None:
        """Give it this, less than a pipe holds, as its whole input; it need not listen."""
        with contextlib.suppress(BrokenPipeError):
            self._stdin.write(text)
            self._stdin.close()

    def hear(self, wakeup: int) -> Iterator[str]:
        """The lines it complained in, after a moment's wait that `wakeup` ends."""
        with selectors.DefaultSelector() as selector:
            for descriptor in (*self._open, wakeup):
                selector.register(descriptor, selectors.EVENT_READ)
            selector.select(_LOOK_SECONDS)
        ended = self._process.poll() is not None  # before reading: what it wrote is in the pipes then
        for chunk in self._chunks(self._stdout.fileno()):
            self.printed = (self.printed + chunk)[:_MOST_PRINTED]
        for chunk in self._chunks(self._stderr.fileno()):
            *lines, rest = (self._half_line + chunk).split(b"\n")
            self._half_line = rest[:_CHUNK_BYTES]
            yield from self._told(lines)
        if ended:  # a child of its own may hold the pipes open for ever
            yield from self._told([self._half_line])
            self.has_ended = True

    def _chunks(self, descriptor: int) -> Iterator[bytes]:
        """What is there now, as far as a pipe holds it."""
        for _ in range(_CHUNKS_AT_ONCE if descriptor in self._open else 0):
            try:
                chunk = os.read(descriptor, _CHUNK_BYTES)
            except BlockingIOError:
                return
            if not chunk:
                self._open.discard(descriptor)
                return
            yield chunk

    def _told(self, lines: Sequence[bytes]) -> Iterator[str]:
        for line in lines:
            if shown := printable(line):
                self.last_words = shown
                yield shown

    def __enter__(self) -> Self:
        """Use it as a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """End what is left of it: politely, then not."""
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_SECONDS)
        self._signal(signal.SIGKILL)
        self._process.wait()
        for pipe in (self._stdin, self._stdout, self._stderr):
            with contextlib.suppress(OSError):
                pipe.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)
