"""The main thread's watch over threads that move bytes: it alone hears signals, and may raise at any time."""

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from migrator.clock import Clock, Stop
from migrator.errors import BackupFailed

_LOOK_SECONDS = 0.25
# A thread that waits for a store is let go by the store's own end, which comes after this.
_LEAVING_SECONDS = 0.5
# A job that broke another one knows less about it than the other.
_OTHERS_SECONDS = 5.0


class Job(Protocol):
    """Bytes that are being moved."""

    @property
    def moved(self) -> object:
        """What changes as long as anything moves."""

    def blame(self) -> str:
        """Who does not do their part, and what."""

    def cut(self) -> None:
        """Make the threads end, as far as that can be done from outside."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What interrupts a job: a stop, lost leadership, or nothing having moved for so long."""

    clock: Clock
    stop: Stop
    prove_leadership: Callable[[], None]
    stall: timedelta = timedelta(seconds=60)

    def over(self, job: Job, *works: Callable[[], None], looked: Callable[[], None] = lambda: None) -> None:
        """Run each work in a thread of its own until all have ended; `looked` is called in between.

        Raises the first failure of the work named first that failed, `BackupFailed` for a stall, and whatever
        ends the run. The threads have ended then, unless one hangs in the kernel.
        """
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        tasks = [_Task(work, writer) for work in works]
        try:
            self._wait_for(tasks, job, reader, looked)
        except BaseException:
            job.cut()
            raise
        finally:
            until = time.monotonic() + _LEAVING_SECONDS
            for task in tasks:
                task.join(max(until - time.monotonic(), 0))
            if not any(task.is_alive() for task in tasks):  # else it may still write
                os.close(writer)
            os.close(reader)

    def look(self) -> None:
        """Raise what ends the run; for a store that waits, in whichever thread: only the main one may."""
        if threading.current_thread() is threading.main_thread():
            self.stop.check()
            self.prove_leadership()

    def _wait_for(self, tasks: "list[_Task]", job: Job, reader: int, looked: Callable[[], None]) -> None:
        moved, heard, failed_at = job.moved, self.clock.monotonic(), None
        while True:
            ready, _, _ = select.select([reader, self.stop.wakeup], [], [], _LOOK_SECONDS)
            self.stop.check()
            if reader in ready:
                os.read(reader, 64)
            if tasks[0].failure or all(task.is_over for task in tasks):
                return _raise_first(tasks)
            self.prove_leadership()
            looked()
            now = self.clock.monotonic()
            if any(task.failure for task in tasks):
                failed_at = now if failed_at is None else failed_at
                if now - failed_at >= _OTHERS_SECONDS:
                    return _raise_first(tasks)
            if job.moved != moved:
                moved, heard = job.moved, now
            elif now - heard >= self.stall.total_seconds():
                raise BackupFailed(
                    f"{job.blame()} for {self.stall.total_seconds():g} s",
                    remedy="see in pg_stat_activity what the server does for the dump, and whether the "
                    "destination of the backups answers; then run again",
                )


class _Task(threading.Thread):
    """One work; its failure is kept for the main thread, which is woken at its end."""

    def __init__(self, work: Callable[[], None], waker: int) -> None:
        super().__init__(daemon=True, name=f"backup {work.__name__}")
        self._work, self._waker = work, waker
        self.failure: Exception | None = None
        self.is_over = False
        self.start()

    def run(self) -> None:
        try:
            self._work()
        except Exception as error:  # noqa: BLE001 - handed to the main thread
            self.failure = error
        finally:
            self.is_over = True
            with contextlib.suppress(OSError):
                os.write(self._waker, b"!")


def _raise_first(tasks: list[_Task]) -> None:
    for task in tasks:
        if task.failure is not None:
            raise task.failure
