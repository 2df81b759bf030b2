"""A real terminal of some width, and what a program writes to it."""

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PATIENCE_SECONDS = 20
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-7]|9[0-7]|38;[0-9;]+)m")


@dataclass(frozen=True, slots=True)
class Shown:
    """All that was written, and how the program ended."""

    raw: str
    exit_code: int

    @property
    def lines(self) -> list[str]:
        """Without escapes, a line for each time the cursor went back to the left."""
        plain = _ESCAPE.sub("", self.raw)
        return [line for line in re.split(r"[\r\n]+", plain) if line.strip()]

    @property
    def has_colours(self) -> bool:
        return _COLOUR.search(self.raw) is not None

    @property
    def has_styles(self) -> bool:
        """Colours, bold or dim."""
        return re.search(r"\x1b\[[0-9;]*m", self.raw) is not None

    @property
    def has_moved(self) -> bool:
        """Whether the cursor was led anywhere."""
        return re.search(r"\x1b\[[0-9;?]*[A-LN-Za-ln-z]", self.raw) is not None


def show_on_terminal(
    command: Sequence[str | Path], columns: int, environ: Mapping[str, str], cwd: Path
) -> Shown:
    """Run a program with a terminal as its standard output and error."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    inherited = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, cwd=cwd, env={**inherited, **environ}
    ) as process:
        os.close(theirs)
        written = _read_all(ours)
    os.close(ours)
    return Shown(written.decode(errors="replace"), process.returncode)


class Typist:
    """Somebody who types, and reads what comes back."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def read(self, *, until: str) -> str:
        """All that is written until this is there."""
        said = b""
        while until.encode() not in said:
            waiting, _, _ = select.select([self._terminal], [], [], _PATIENCE_SECONDS)
            assert waiting, f"no {until!r} in {said!r}"
            said += os.read(self._terminal, 65536)
        return said.decode(errors="replace")


@contextlib.contextmanager
def interactive(*command: str, **environ: str) -> Iterator[Typist]:
    """Run an interactive program until the body ends."""
    ours, theirs = pty.openpty()
    environ = {"PATH": os.environ["PATH"], "TERM": "dumb", "LC_ALL": "C.UTF-8", **environ}
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, start_new_session=True
    ) as process:
        os.close(theirs)
        try:
            yield Typist(ours)
        finally:
            process.kill()
            os.close(ours)


def _read_all(terminal: int) -> bytes:
    written = b""
    while True:
        try:
            some = os.read(terminal, 65536)
        except OSError:  # that is how Linux says that nobody has the other end any more
            return written
        if not some:
            return written
        written += some
