"""The lock protocol against a model: runners and workers that stall, die and return, on the real server.

Runners are migrator's own code, stopped before each of its statements and whenever it sleeps; workers send
what the worker's sessions send, a statement a step. Hypothesis chooses who goes on, who dies and how. So
whatever can happen between two statements does: a client that is not chosen for a while has stalled.
"""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, ClassVar, Final

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, core, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from migrator.clock import Stop
from migrator.postgres.leader import FENCE_SQL, LeaderLock, take_leadership
from migrator.postgres.pooler import Admission
from migrator.postgres.session import Connector, Session
from migrator.settings import Dsn
from tests.chaos.matrix import IS_LONG, SEED
from tests.chaos.scene import Base, must
from tests.support.target import Target

_EXAMPLES: Final = 400 if IS_LONG else 40
_STEPS: Final = 80
# Making a failure small takes minutes of a real server: the seed repeats it where there is time.
_PHASES: Final = (Phase.generate, Phase.shrink) if IS_LONG else (Phase.generate,)
_MOST_RUNNERS, _MOST_WORKERS = 3, 4
_TURN_SECONDS: Final = 30.0
_JOURNAL: Final = "CREATE TABLE journal (id serial, run int)"


class Died(BaseException):
    """The process of a runner is gone."""


class Turns:
    """Lets a thread go on for a step at a time."""

    def __init__(self) -> None:
        self.is_dead = False
        self._go, self._paused = threading.Semaphore(0), threading.Semaphore(0)

    def pause(self) -> None:
        """Wait, in the thread, until it is chosen again."""
        self._paused.release()
        self._go.acquire()
        if self.is_dead:
            raise Died

    def over(self) -> None:
        """Say, in the thread, that it has ended."""
        self._paused.release()

    def step(self) -> None:
        """Let the thread go on, and wait until it pauses or ends."""
        self._go.release()
        self.wait()

    def wait(self) -> None:
        """Wait until the thread pauses or ends."""
        assert self._paused.acquire(timeout=_TURN_SECONDS), "a runner hangs in a statement"


@dataclass(frozen=True, slots=True)
class StallingConnector(Connector):
    """Opens sessions that may stall before each statement."""

    turns: Turns | None = None

    def open(self, *, timeout_seconds: float = 5.0, longest_seconds: float | None = None) -> Session:
        """Connect."""
        assert self.turns is not None
        self.turns.pause()
        plain = super(StallingConnector, self).open(
            timeout_seconds=timeout_seconds, longest_seconds=longest_seconds
        )
        return StallingSession(plain, self.turns, self.stop)


class StallingSession(Session):
    """Waits for its turn before each statement."""

    def __init__(self, plain: Session, turns: Turns, stop: Stop) -> None:
        super().__init__(plain._connection, stop)  # noqa: SLF001  the same connection, another pace
        self._turns = turns

    def rows(self, query: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Run one statement when it is our turn."""
        self._turns.pause()
        return super().rows(query, parameters)


class TurnClock:
    """Sleeps until it is chosen again; its patience never ends."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def monotonic(self) -> float:
        """No time passes."""
        return 0.0

    def sleep(self, _seconds: float) -> None:
        """Wait for our turn."""
        self._turns.pause()


class Runner:
    """A process that wants to lead: migrator's own code, in a thread."""

    def __init__(self, number: int, target: Target) -> None:
        self.number = number
        self.lock: LeaderLock | None = None
        self.failure: Exception | None = None
        self._turns = Turns()
        dsn, name = Dsn.parse(target.url), f"model runner {number}"
        self._connector = StallingConnector(dsn, name, Stop(), turns=self._turns)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        self._turns.wait()

    @property
    def is_over(self) -> bool:
        """Whether it has got what it wanted, or has failed."""
        return self.lock is not None or self.failure is not None or self._turns.is_dead

    def step(self) -> None:
        """Let it go on until its next statement."""
        self._turns.step()

    def die(self) -> None:
        """End the process: its session goes with it."""
        if self.lock is not None:
            self.lock.release()
        elif not self.is_over:
            self._turns.is_dead = True
            self._turns.step()
        self._thread.join(_TURN_SECONDS)

    def _work(self) -> None:
        try:
            self.lock = take_leadership(
                Admission(self._connector, TurnClock(self._turns), "refuse"),
                timedelta(minutes=1),
                is_needless=lambda _: False,
                told=lambda _holders, _seconds: None,
            )
        except Died:
            pass
        except Exception as error:  # noqa: BLE001  for the other thread to judge
            self.failure = error
        finally:
            self._turns.over()


class Worker:
    """A migration session of one run: fence, look, revisions, with a look before each and each commit."""

    def __init__(self, run: int, look_sql: str, target: Target) -> None:
        self.run = run
        self.has_written = False
        self.is_over = False
        self.commits = 0
        self._look = look_sql.encode()
        self._session = psycopg.connect(target.url, application_name=f"model worker {run}")
        self._steps = self._go()

    @property
    def pid(self) -> int:
        """Its backend."""
        return self._session.info.backend_pid

    def step(self) -> None:
        """Send the next statement."""
        try:
            if next(self._steps, "over") == "over":
                self.die()
        except psycopg.Error:
            self.die()

    def die(self) -> None:
        """End the process: its session goes with it."""
        self.is_over, self.has_written = True, False
        self._session.close()

    def _go(self) -> Iterator[str]:
        fenced = self._ask(FENCE_SQL.encode())
        yield "fence"
        leads = fenced and self._ask(self._look)
        self._session.commit()
        while leads:
            yield "look"
            if not self._ask(self._look):
                return
            yield "look before the revision"
            self._session.execute("INSERT INTO journal (run) VALUES (%s)", [self.run])
            self.has_written = True
            yield "write"
            leads = self._ask(self._look)
            yield "look before the commit"
            if leads:
                self._session.commit()
                self.commits += 1
            else:
                self._session.rollback()
            self.has_written = False

    def _ask(self, question: bytes) -> bool:
        row = self._session.execute(question).fetchone()
        return row is not None and bool(row[0])


_which: Final = st.integers(0, 11)


class LockProtocol(RuleBasedStateMachine):
    """What may happen; nothing of it may let sessions of two leaders change something at the same time."""

    target: ClassVar[Target]
    seen: Final[dict[str, int]] = {"examples": 0, "leaders": 0, "commits": 0, "refusals": 0}

    def __init__(self) -> None:
        super().__init__()
        self.runners: list[Runner] = []
        self.workers: list[Worker] = []
        self.latest: int | None = None  # the run that began to lead last
        self.number = 0
        self.admin = self.target.admin()
        self.admin.execute("TRUNCATE journal")
        self.seen["examples"] += 1

    @precondition(lambda self: len(self.runners) < _MOST_RUNNERS)
    @rule()
    def a_runner_comes(self) -> None:
        self.number += 1
        self.runners.append(Runner(self.number, self.target))

    @precondition(lambda self: any(not one.is_over for one in self.runners))
    @rule(which=_which, steps=st.integers(1, 16))
    def a_runner_goes_on(self, which: int, steps: int) -> None:
        waiting = [one for one in self.runners if not one.is_over]
        runner = waiting[which % len(waiting)]
        for _ in range(steps):
            if runner.is_over:
                break
            runner.step()
        if runner.lock is not None:
            self.latest = runner.number
            self.seen["leaders"] += 1
            assert not [one for one in self.workers if one.has_written], "a leader began beside a writer"
        if runner.failure is not None:
            self.runners.remove(runner)

    @precondition(lambda self: self.leaders and len(self.workers) < _MOST_WORKERS)
    @rule(which=_which)
    def a_leader_starts_a_worker(self, which: int) -> None:
        """Also one that leads no more and does not know it yet."""
        runner = self.leaders[which % len(self.leaders)]
        assert runner.lock is not None
        self.workers.append(Worker(runner.number, runner.lock.look_sql, self.target))

    @precondition(lambda self: self.workers)
    @rule(which=_which, steps=st.integers(1, 9))
    def a_worker_goes_on(self, which: int, steps: int) -> None:
        worker = self.workers[which % len(self.workers)]
        before = worker.commits
        for _ in range(steps):
            if not worker.is_over:
                worker.step()
        if worker.commits > before:
            self.seen["commits"] += 1
            assert worker.run == self.latest, f"run {worker.run} committed, but {self.latest} leads"
        self.seen["refusals"] += worker.is_over
        self._bury()

    @precondition(lambda self: self.runners)
    @rule(which=_which, is_noticed=st.booleans())
    def a_runner_is_hit(self, which: int, *, is_noticed: bool) -> None:
        """Its process dies, or its session is ended and it does not know yet. Its worker outlives both."""
        runner = self.runners[which % len(self.runners)]
        name = f"model runner {runner.number}"
        if is_noticed:
            self.runners.remove(runner)
            runner.die()
        else:
            query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
            self._rows(query, name)
        query = "SELECT FROM pg_stat_activity WHERE application_name = %s"
        must(lambda: not self._rows(query, name), f"the end of {name}")

    @precondition(lambda self: self.workers)
    @rule(which=_which, is_noticed=st.booleans())
    def a_worker_is_hit(self, which: int, *, is_noticed: bool) -> None:
        worker = self.workers[which % len(self.workers)]
        pid = worker.pid
        if is_noticed:
            worker.die()
            self._bury()
        else:
            worker.has_written = False
            self._rows("SELECT pg_terminate_backend(%s)", pid)
        must(lambda: not self._rows("SELECT FROM pg_stat_activity WHERE pid = %s", pid), "the worker's end")

    @invariant()
    def nobody_writes_beside_another_runs_session(self) -> None:
        """As the model has it, and as the server does."""
        assert len({one.run for one in self.workers if one.has_written}) <= 1
        writers = self._rows(
            "SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name LIKE 'model worker%%' AND backend_xid IS NOT NULL"
        )
        assert len(writers) <= 1, writers

    @invariant()
    def commits_of_a_run_stand_together(self) -> None:
        runs = [run for (run,) in self._rows("SELECT run FROM journal ORDER BY id")]
        blocks = [run for n, run in enumerate(runs) if n == 0 or runs[n - 1] != run]
        assert len(blocks) == len(set(blocks)), runs

    @property
    def leaders(self) -> list[Runner]:
        """Those who believe that they lead."""
        return [one for one in self.runners if one.lock is not None]

    def teardown(self) -> None:
        """End them all; no lock stays."""
        for runner in self.runners:
            runner.die()
        for worker in self.workers:
            worker.die()
        locks = "SELECT FROM pg_locks WHERE locktype = 'advisory'"
        must(lambda: not self._rows(locks), "the end of all advisory locks")
        self.admin.close()

    def _bury(self) -> None:
        self.workers = [one for one in self.workers if not one.is_over]

    def _rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return self.admin.execute(query.encode(), parameters).fetchall()


@pytest.mark.timeout(1800)
def test_no_two_leaders_sessions_overlap_whatever_stalls_dies_and_returns(
    base: Base, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = replace(base(18), database="target_model")
    with contextlib.suppress(psycopg.errors.DuplicateDatabase):
        target.cluster.create_database(target.database, target.user)
    target.execute(_JOURNAL)
    LockProtocol.target = target
    monkeypatch.setattr(core, "global_force_seed", int(SEED))
    run_state_machine_as_test(
        LockProtocol,
        settings=settings(
            max_examples=_EXAMPLES,
            stateful_step_count=_STEPS,
            deadline=None,
            database=None,
            phases=_PHASES,
            suppress_health_check=list(HealthCheck),
        ),
    )
    with capsys.disabled():
        print(f"\nlock protocol: {LockProtocol.seen}")  # noqa: T201
    assert LockProtocol.seen["commits"] > 0
    assert LockProtocol.seen["refusals"] > 0
