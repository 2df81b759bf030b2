"""A client program under our eyes: fed, read, judged by its exit status, and never left behind."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from migrator.child import die_with_parent
from migrator.errors import BackupFailed

CORRECT = "correct what it says, then run again"
_GRACE_SECONDS = 2.0
_LONGEST_COMPLAINT = 1 << 20
# More than the 64 KiB a pipe holds by itself: programs take fewer turns. An ordinary user may have so much.
_PIPE_BYTES = 1 << 20


class Program:
    """A program of ours with its complaints kept in a file, where they cannot fill a pipe.

    Between them they may be used from several threads, but each pipe from one alone.
    """

    def __init__(self, process: subprocess.Popen[bytes], name: str, complaints: IO[bytes]) -> None:
        """Take over the process; `complaints` is the file its standard error goes to."""
        self.process = process
        self._name = name
        self._complaints = complaints

    def feed(self, chunk: bytes | None) -> bool:
        """Write to its input, or end it with None; return whether it takes more.

        A child that has read enough may close its input: its status says more.
        """
        pipe = self.process.stdin
        if pipe is None or pipe.closed:
            return False
        try:
            if chunk is not None:
                pipe.write(chunk)
                return True
            pipe.close()
        except BrokenPipeError:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        return False

    def terminate(self) -> None:
        """Ask it to end, if it has not."""
        if self.process.poll() is None:
            self.process.terminate()

    @property
    def output(self) -> int:
        """The descriptor of its output, where a pipe was asked for."""
        assert self.process.stdout is not None  # noqa: S101 - a pipe was asked for
        return self.process.stdout.fileno()

    def complaints(self) -> list[str]:
        """What it has complained about so far; its own place in the file stays where it is."""
        text = os.pread(self._complaints.fileno(), _LONGEST_COMPLAINT, 0)
        return text.decode(errors="replace").strip().splitlines()

    def must_have_succeeded(self) -> None:
        """Wait for its end; raise `BackupFailed` with the first error it told unless it exited with 0."""
        status = self.process.wait()
        if status == 0:
            return
        lines = self.complaints()
        said = next((line for line in lines if "error:" in line), lines[-1] if lines else "it said nothing")
        raise BackupFailed(f"{self._name} failed with status {status}: {said}", remedy=CORRECT)


@contextlib.contextmanager
def running(
    command: list[str],
    environment: dict[str, str],
    *,
    stdin: int | None,
    stdout: IO[bytes] | int | None = None,
    keeps: Sequence[int] = (),
) -> Iterator[Program]:
    """Run a client program; it is ended, and waited for, however the body ends.

    It `keeps` these open files of ours, under their numbers.
    """
    name = Path(command[0]).name
    with tempfile.TemporaryFile() as complaints:
        try:
            process = subprocess.Popen(  # noqa: S603 - our own command line
                command,
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=subprocess.PIPE if stdout is None else stdout,
                stderr=complaints,
                env={**os.environ, **environment},
                pass_fds=tuple(keeps),
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - takes no lock that another thread may hold
                pipesize=_PIPE_BYTES,
            )
        except OSError as error:
            raise BackupFailed(
                f"{name} cannot be started: {error.strerror}",
                remedy="install a PostgreSQL client, or set MIGRATOR_PG_BIN to the folder of one",
            ) from error
        try:
            yield Program(process, name, complaints)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(_GRACE_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            for pipe in (process.stdout, process.stdin):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
