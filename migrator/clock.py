"""Time and the wish to stop, handed to whoever waits."""

import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Protocol

from migrator.errors import DeadlinePassed, Interrupted, MigratorError, Terminated

# What `Stop` raises. Whoever carries on after other failures lets these pass: they are raised only once.
STOPS = (DeadlinePassed, Interrupted, Terminated)


class Clock(Protocol):
    """What a waiting step needs to know of time."""

    def monotonic(self) -> float:
        """Seconds from a fixed point."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let so many seconds pass, or raise as soon as the run is told to stop."""
        ...


class Stop:
    """Turns SIGTERM, SIGINT and the run's deadline into an exception, at places that can stand one.

    A handler that raised anywhere could tear a half-written event or a child process being started; so the
    signal is only noted, a pipe wakes whoever waits, and `check` raises. While a C library waits for the
    network (`interruptible`) the handler itself raises, because nothing else would end that wait.
    """

    def __init__(self) -> None:
        """Nothing has been asked yet."""
        self.received: signal.Signals | None = None
        self.deadline: timedelta | None = None
        self._answered = False
        self._answered_at = 0.0
        self._received_at = 0.0
        self._may_raise = False
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def __del__(self) -> None:
        """Let go of the pipe: of many, one after the other, the last would be out of `select`'s range."""
        for descriptor in (self._reader, self._writer):
            os.close(descriptor)

    def install(self) -> None:
        """Handle SIGTERM and SIGINT; as PID 1 there is no default action that would end us."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def set_deadline(self, deadline: timedelta) -> None:
        """Ask for `DeadlinePassed` once so much time has passed."""
        self.deadline = deadline
        signal.signal(signal.SIGALRM, self._note)
        signal.setitimer(signal.ITIMER_REAL, max(deadline.total_seconds(), 0.001))

    @property
    def wakeup(self) -> int:
        """A file descriptor that becomes readable when the run is told to stop."""
        return self._reader

    def tell(self, received: signal.Signals) -> None:
        """Pass on to another thread's stop what this process was told."""
        if self.received is None:
            self._received_at = time.monotonic()
            self.received = received
            os.write(self._writer, b"!")

    def check(self) -> None:
        """Raise if the run was told to stop; only once, so that cleaning up is not cut short."""
        if self.received is not None and not self._answered:
            self._answered = True
            self._answered_at = time.monotonic()
            raise self._answer(self.received)

    @property
    def leaving_seconds(self) -> float:
        """For how long the run has been on its way out; 0 while nobody asked it to stop."""
        return time.monotonic() - self._answered_at if self._answered else 0.0

    @property
    def told_seconds(self) -> float:
        """How long ago the run was told to stop, answered or not; 0 while nobody has."""
        return time.monotonic() - self._received_at if self.received is not None else 0.0

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let the signal handler raise while the body waits inside a library."""
        before, self._may_raise = self._may_raise, True
        try:
            self.check()
            yield
        finally:
            self._may_raise = before

    def wait(self, seconds: float) -> None:
        """Sleep, but raise at once when told to stop; after that was answered, simply sleep."""
        self.check()
        if self._answered:
            time.sleep(seconds)
            return
        select.select([self._reader], [], [], seconds)
        self.check()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.tell(signal.Signals(number))
        if self._may_raise:
            self.check()

    def _answer(self, received: signal.Signals) -> MigratorError:
        if received == signal.SIGTERM:
            return Terminated("stopped by SIGTERM", signal=received.name)
        if received == signal.SIGINT:
            return Interrupted("stopped by SIGINT", signal=received.name)
        seconds = self.deadline.total_seconds() if self.deadline else 0
        return DeadlinePassed(f"the run did not end within MIGRATOR_DEADLINE ({seconds:g} s)")


class SystemClock:
    """The machine's clock; its sleep ends early, by an exception, when the run is told to stop."""

    def __init__(self, stop: Stop) -> None:
        """Sleep through this stop."""
        self._stop = stop

    def monotonic(self) -> float:
        """Seconds from a fixed point."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self._stop.wait(seconds)


def utc_now() -> datetime:
    """The present, with its time zone."""
    return datetime.now(UTC)
