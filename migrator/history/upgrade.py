"""The runner's side of an upgrade: start workers, judge how they ended, try again where that is sound."""

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from migrator.errors import MigratorError
from migrator.history.attempt import Attempt, must_have_run
from migrator.history.failure import Failure, judged
from migrator.history.listen import Listener
from migrator.history.process import WorkerProcess
from migrator.history.queue import GRANT, wait_for_old_holders
from migrator.history.way_back import WayBack
from migrator.model import RevisionId
from migrator.postgres.leader import LeaderLock
from migrator.postgres.locks import TableLock

# Short at first: below deadlock_timeout (1 s) it is we who lose a deadlock, above it the app's transaction.
_LADDER_SECONDS = (0.3, 0.3, 0.6, 0.9, 0.9, 2.0, 2.0, 3.0, 3.0, 5.0)


@dataclass(frozen=True, slots=True)
class Upgrader:
    """Runs workers under a leader lock."""

    listener: Listener
    lock: LeaderLock

    def discover_reading(self) -> Attempt:
        """Run `env.py` read-only, without migrating, to learn its version tables. Raises like `upgrade`."""
        return self._done(self.listener.launch.reading_discovery(self.lock.look_sql))

    def discover_writing(self) -> Attempt:
        """The same for user code that insists on writing: a backup comes first."""
        return self._done(self.listener.launch.writing_discovery(self.lock.look_sql))

    def stamp(self, revisions: Collection[RevisionId]) -> Attempt:
        """Write the rows of these heads, as `alembic stamp` does. Raises like `upgrade`."""
        return self._done(self.listener.launch.stamp(self.lock.look_sql, revisions))

    def _done(self, worker: WorkerProcess) -> Attempt:
        attempt = self.listener.follow(worker, Attempt(is_over_when_finished=True))
        if attempt.failure is not None:
            raise self._judged(attempt.failure, attempt)
        must_have_run(attempt)
        return attempt

    def upgrade(
        self,
        ladder_top: timedelta,
        patience: timedelta,
        *,
        wanted: Collection[RevisionId],
        ledger_run: str | None,
        begun: Callable[[Attempt], None],
    ) -> Attempt:
        """Upgrade to the target, by `wanted` revisions alone where a project's own command chooses.

        `begun` gets each attempt before it runs, and sees it fill. `ledger_run` is under what the ledger
        keeps what a revision commits by itself. Raises like `_insist`.
        """
        only = wanted if self.listener.launch.own_command else None

        def start(limit: timedelta) -> WorkerProcess:
            return self.listener.launch.upgrade(self.lock.look_sql, limit, only, ledger_run)

        return self._insist(start, ladder_top, patience, begun)

    def take_back(
        self,
        way: WayBack,
        ladder_top: timedelta,
        patience: timedelta,
        *,
        begun: Callable[[Attempt], None],
    ) -> Attempt:
        """Downgrade, by the same rules. Raises like `_insist`."""

        def start(limit: timedelta) -> WorkerProcess:
            return self.listener.launch.take_back(self.lock.look_sql, limit, way.target, way.ids)

        def begun_back(attempt: Attempt) -> None:
            attempt.is_way_back = True
            begun(attempt)

        return self._insist(start, ladder_top, patience, begun_back)

    def _insist(
        self,
        start: Callable[[timedelta], WorkerProcess],
        ladder_top: timedelta,
        patience: timedelta,
        begun: Callable[[Attempt], None],
    ) -> Attempt:
        """Run workers until one has come to its end.

        An attempt that met a table lock is rolled back and made again, with a fresh worker, while patience
        lasts and as long as it committed nothing of an unfinished revision.

        Raises:
            AccessDenied, Blocked, InterruptedMidway, MigrationFailed, PolicyRefused,
            RevisionsInvalid: by cause.
        """
        started = self.listener.clock.monotonic()
        awaited: frozenset[TableLock] = frozenset()
        number = 0
        while True:
            limit = _rung(number, ladder_top)
            attempt = Attempt()
            begun(attempt)
            self.listener.events.record(
                "attempt.started",
                f"attempt {number + 1}, lock_timeout {limit.total_seconds():g} s",
                level="debug",
                attempt=number + 1,
                lock_timeout_seconds=limit.total_seconds(),
            )
            self.listener.follow(start(limit), attempt)
            failure = attempt.failure
            if failure is None:
                must_have_run(attempt)
                return attempt
            self.listener.tell_failure(failure, attempt)
            spent = self.listener.clock.monotonic() - started
            may_retry = failure.is_blocked and not attempt.half_applied
            if not may_retry or spent >= patience.total_seconds():
                named = [str(one) for one in attempt.blockers]
                raise self._judged(failure, attempt, blockers=named, attempts=number + 1)
            self.listener.clock.sleep(min(15.0, 0.5 * 2**number) * random.uniform(0.5, 1.0))  # noqa: S311
            awaited |= attempt.awaited
            left = patience.total_seconds() - (self.listener.clock.monotonic() - started)
            if standing := wait_for_old_holders(self.listener, self.lock, awaited, left):
                named = [str(one) for one in standing]
                raise self._judged(failure, attempt, blockers=named, attempts=number + 1)
            number += 1

    def _judged(self, failure: Failure, attempt: Attempt, **facts: Any) -> MigratorError:
        """Judge it; an address that does not answer is env.py's own only while ours does."""
        if failure.is_session_lost and not attempt.reached:
            self.lock.prove()
        error = judged(failure, reached=attempt.reached, half_applied=list(attempt.half_applied), **facts)
        if failure.is_blocked and any(one.is_hidden for one in attempt.blockers):
            error.remedy = f"{error.remedy}; {GRANT}"
        return error


def _rung(number: int, top: timedelta) -> timedelta:
    """The `lock_timeout` of an attempt; a top of 0 means to wait for ever."""
    if not top:
        return top
    return min(timedelta(seconds=_LADDER_SECONDS[min(number, len(_LADDER_SECONDS) - 1)]), top)
