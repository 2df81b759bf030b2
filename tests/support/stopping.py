"""A run that is told to stop: it ends in time, says so, and leaves nothing running or locked."""

import signal
import time
from typing import Final

import pytest

from tests.support.runner import Result, Running
from tests.support.target import Target
from tests.support.waiting import eventually

PATIENCE_SECONDS: Final = 5.0
CODES: Final = {signal.SIGINT: (130, "INTERRUPTED"), signal.SIGTERM: (143, "TERMINATED")}
SLEEPING: Final = """
SELECT pid FROM pg_stat_activity
WHERE query LIKE '%pg_sleep(600%' AND state = 'active' AND pid <> pg_backend_pid()
AND datname = current_database()
"""
OURS: Final = """
SELECT application_name FROM pg_stat_activity
WHERE application_name LIKE 'migrator%' AND datname = current_database()
"""
both_signals = pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)


def told_to_stop(running: Running, number: signal.Signals) -> Result:
    """Signal the runner and see that it ends in time."""
    began = time.monotonic()
    running.signal(number)
    result = running.finish(20)
    assert time.monotonic() - began < PATIENCE_SECONDS
    assert_stopped(result, number)
    return result


def assert_stopped(result: Result, number: signal.Signals) -> None:
    """See the signal's exit code and, as the last event, the end."""
    code, name = CODES[number]
    assert result.exit_code == code, result.last
    assert (result.last["event"], result.last["exit_name"]) == ("run.finished", name)
    assert result.named("signal.received")[0]["signal"] == number.name


def assert_nothing_goes_on(target: Target) -> None:
    """See that the statement is gone, our sessions with it, and that the leader lock is free."""
    assert target.rows(SLEEPING) == []
    assert eventually(lambda: target.rows(OURS) == [], seconds=2), target.rows(OURS)
    assert target.value("SELECT pg_try_advisory_lock(1296519764, 1)")


def in_a_long_statement(target: Target, running: Running) -> None:
    """Wait until the server executes the revision's long statement."""
    running.wait_for_event("revision.started")
    assert eventually(lambda: target.rows(SLEEPING))
