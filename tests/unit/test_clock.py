"""The wish to stop: one exception, at a place that can stand it, and no wait that outlasts it."""

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, timedelta

import pytest

from migrator.clock import STOPS, Stop, SystemClock, utc_now
from migrator.errors import DeadlinePassed, ExitCode, Interrupted, MigratorError, Terminated

HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)


@pytest.fixture
def stop() -> Iterator[Stop]:
    """An installed stop; afterwards the handlers and the timer are those of the test runner again."""
    before = {number: signal.getsignal(number) for number in HANDLED}
    timer = signal.setitimer(signal.ITIMER_REAL, 0)
    stop = Stop()
    stop.install()
    yield stop
    for number, handler in before.items():
        signal.signal(number, handler)
    signal.setitimer(signal.ITIMER_REAL, *timer)


@pytest.fixture
def later() -> Iterator[Callable[[signal.Signals], None]]:
    """Send ourselves a signal in a moment, from another thread."""
    timers: list[threading.Timer] = []

    def send(number: signal.Signals) -> None:
        timer = threading.Timer(0.1, os.kill, (os.getpid(), number))
        timers.append(timer)
        timer.start()

    yield send
    for timer in timers:
        timer.join()


def test_without_a_signal_nothing_is_raised(stop: Stop) -> None:
    stop.check()
    with stop.interruptible():
        stop.wait(0)
    assert stop.received is None


@pytest.mark.parametrize(
    ("number", "error", "code"),
    [
        (signal.SIGTERM, Terminated, ExitCode.TERMINATED),
        (signal.SIGINT, Interrupted, ExitCode.INTERRUPTED),
    ],
)
def test_a_signal_is_noted_and_raised_at_the_next_check(
    stop: Stop, number: signal.Signals, error: type[MigratorError], code: ExitCode
) -> None:
    signal.raise_signal(number)
    assert stop.received is number
    with pytest.raises(error) as raised:
        stop.check()
    assert raised.value.exit_code is code
    assert isinstance(raised.value, STOPS)


def test_only_one_exception_is_raised_however_many_signals_come(stop: Stop) -> None:
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(Terminated):
        stop.check()
    signal.raise_signal(signal.SIGINT)
    stop.check()
    with stop.interruptible():
        signal.raise_signal(signal.SIGTERM)
    stop.wait(0)
    assert stop.received is signal.SIGTERM


def test_inside_a_library_the_handler_itself_raises(stop: Stop) -> None:
    with pytest.raises(Terminated), stop.interruptible():
        signal.raise_signal(signal.SIGTERM)


def test_a_signal_from_before_is_raised_on_the_way_into_a_library(stop: Stop) -> None:
    signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Terminated), stop.interruptible():
        pytest.fail("the library was entered")


def test_after_the_library_the_handler_only_notes_again(stop: Stop) -> None:
    with stop.interruptible(), stop.interruptible():
        pass
    signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Terminated):
        stop.check()


def test_a_wait_ends_at_once(stop: Stop, later: Callable[[signal.Signals], None]) -> None:
    began = time.monotonic()
    later(signal.SIGTERM)
    with pytest.raises(Terminated):
        SystemClock(stop).sleep(60)
    assert time.monotonic() - began < 10


def test_a_wait_inside_a_library_ends_at_once(stop: Stop, later: Callable[[signal.Signals], None]) -> None:
    began = time.monotonic()
    later(signal.SIGINT)
    with pytest.raises(Interrupted), stop.interruptible():
        time.sleep(60)
    assert time.monotonic() - began < 10


def test_after_the_answer_a_wait_is_a_wait(stop: Stop) -> None:
    signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Terminated):
        stop.check()
    began = time.monotonic()
    SystemClock(stop).sleep(0.05)
    assert time.monotonic() - began >= 0.05


def test_whoever_selects_is_woken(stop: Stop) -> None:
    assert select.select([stop.wakeup], [], [], 0)[0] == []
    signal.raise_signal(signal.SIGTERM)
    assert select.select([stop.wakeup], [], [], 0)[0] == [stop.wakeup]


def test_the_deadline_is_a_signal_like_the_others(stop: Stop) -> None:
    stop.set_deadline(timedelta(milliseconds=1))
    with pytest.raises(DeadlinePassed, match=r"MIGRATOR_DEADLINE \(0\.001 s\)"):
        stop.wait(60)


def test_a_signal_before_the_deadline_is_the_answer(stop: Stop) -> None:
    stop.set_deadline(timedelta(hours=1))
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGALRM)
    with pytest.raises(Terminated):
        stop.check()


def test_the_present_has_a_time_zone() -> None:
    assert utc_now().tzinfo is UTC
