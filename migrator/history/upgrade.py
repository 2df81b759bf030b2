"""The runner's side of an upgrade: hear the worker out, watch it, end it, try again where that is sound."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from migrator.clock import Clock, utc_now
from migrator.errors import InterruptedMidway, MigratorError, RevisionsInvalid
from migrator.history.failure import Failure, judged
from migrator.history.launch import Launch
from migrator.history.process import Report, WorkerProcess, unfit_interpreter
from migrator.model import RevisionId, VersionTable
from migrator.postgres.activity import Backend, Blocker, Observer, cancel_statements, end_sessions
from migrator.postgres.leader import LeaderLock
from migrator.postgres.session import Connector
from migrator.telemetry.events import Events

_TICK_SECONDS = 0.25
_PROOF_SECONDS = 5.0
_GRACE_SECONDS = 2.0
_CANCEL_PAUSE_SECONDS = 0.2
# Short at first: below deadlock_timeout (1 s) it is we who lose a deadlock, above it the app's transaction.
_LADDER_SECONDS = (0.3, 0.3, 0.6, 0.9, 0.9, 2.0, 2.0, 3.0, 3.0, 5.0)


@dataclass
class Attempt:
    """What one worker said of its work; filled in while it talks."""

    planned: tuple[str, ...] = ()
    started: dict[str, datetime] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    committed: dict[RevisionId, datetime] = field(default_factory=dict)
    partial: set[str] = field(default_factory=set)
    tables: tuple[VersionTable, ...] = ()
    ready: bool = False
    reached: bool = False  # whether a session to the target was there, however briefly
    configured: bool = False
    finished: bool = False
    failure: Failure | None = None
    blockers: tuple[Blocker, ...] = ()

    @property
    def half_applied(self) -> tuple[str, ...]:
        """Revisions of which a part is committed, but not the version row."""
        return tuple(sorted(self.partial - self.committed.keys()))

    def note(self, report: Report) -> None:
        """Take in what needs no event."""
        match report["is"]:
            case "ready":
                self.ready = True
            case "configured":
                self.configured = True
            case "version_table":
                table = VersionTable(report["name"], report["schema"])
                self.tables = (*self.tables, table) if table not in self.tables else self.tables
            case "planned":
                self.planned = (*self.planned, *report["ids"])
            case "applied":
                self.seconds[report["id"]] = report["seconds"]
            case "partial":
                self.partial.add(report["id"])
            case "failed":
                self.failure = Failure.reported(report)
            case "finished":
                self.finished = True
            case _:
                return


@dataclass(frozen=True, slots=True)
class Upgrader:
    """Runs workers under a leader lock."""

    launch: Launch
    lock: LeaderLock
    connector: Connector
    clock: Clock
    events: Events
    known: Mapping[RevisionId, str] = field(default_factory=dict)  # id → first line of the docstring

    def discover(self, *, may_write: bool = False) -> Attempt:
        """Run `env.py` without migrating, to learn its version tables. Raises like `upgrade`."""
        attempt = self._listen(self.launch.discovery(self.lock.look_sql, may_write=may_write))
        if attempt.failure is not None:
            raise self._judged(attempt.failure, attempt)
        _must_have_run(attempt)
        return attempt

    def upgrade(
        self, ladder_top: timedelta, patience: timedelta, *, begun: Callable[[Attempt], None]
    ) -> Attempt:
        """Upgrade to the target; `begun` gets each attempt before it runs, and sees it fill.

        An attempt that met a table lock is rolled back and made again, with a fresh worker, while patience
        lasts and as long as it committed nothing of an unfinished revision.

        Raises:
            AccessDenied, Blocked, InterruptedMidway, MigrationFailed, PolicyRefused,
            RevisionsInvalid: by cause.
        """
        started = self.clock.monotonic()
        number = 0
        while True:
            limit = _rung(number, ladder_top)
            attempt = Attempt()
            begun(attempt)
            self.events.record(
                "attempt.started",
                f"attempt {number + 1}, lock_timeout {limit.total_seconds():g} s",
                level="debug",
                attempt=number + 1,
                lock_timeout_seconds=limit.total_seconds(),
            )
            self._listen(self.launch.upgrade(self.lock.look_sql, limit), attempt)
            failure = attempt.failure
            if failure is None:
                _must_have_run(attempt)
                return attempt
            self._tell_failure(failure, attempt)
            spent = self.clock.monotonic() - started
            may_retry = failure.is_blocked and not attempt.half_applied
            if not may_retry or spent >= patience.total_seconds():
                named = [str(one) for one in attempt.blockers]
                raise self._judged(failure, attempt, blockers=named, attempts=number + 1)
            self.clock.sleep(min(15.0, 0.5 * 2**number) * random.uniform(0.5, 1.0))  # noqa: S311
            number += 1

    def _judged(self, failure: Failure, attempt: Attempt, **facts: Any) -> MigratorError:
        """Judge it; an address that does not answer is env.py's own only while ours does."""
        if failure.is_session_lost and not attempt.reached:
            self.lock.prove()
        return judged(failure, reached=attempt.reached, half_applied=list(attempt.half_applied), **facts)

    def _listen(self, worker: WorkerProcess, attempt: Attempt | None = None) -> Attempt:
        """Follow a worker to its end. Whatever interrupts us ends it as well, and its statements."""
        attempt = attempt or Attempt()
        watch = _Watch(self.connector, self.lock, self.clock)
        try:
            for report in worker.reports(_TICK_SECONDS):
                if report["is"] == "tick":
                    watch.prove_leadership()
                    self._tell_blockers(attempt, watch)
                else:
                    self._hear(report, attempt, watch)
            status = worker.wait()
        except BaseException:
            self._end(worker, watch.backends)
            raise
        finally:
            watch.close()
        if attempt.failure is None and not attempt.finished:
            if status > 0 and not attempt.ready:
                raise unfit_interpreter(self.launch.python)
            how = f"killed by signal {-status}" if status < 0 else f"exited with status {status}"
            raise InterruptedMidway(
                f"the worker was lost: it was {how}", half_applied=list(attempt.half_applied)
            )
        return attempt

    def _hear(self, report: Report, attempt: Attempt, watch: "_Watch") -> None:
        match report["is"]:
            case "output":
                self.events.record(
                    "output.captured",
                    report["line"],
                    stream=report["stream"],
                    size_bytes=report["size_bytes"],
                )
            case "session":
                attempt.reached |= report["ours"]
                watch.note(report)
                if not report["ours"]:
                    name = report["identity"].rsplit("/", 2)[0]
                    self._warn(f"env.py opened a session to another database: {name}")
            case "stranger":
                self._warn(f"env.py opened a connection that is not to Postgres: {report['driver']}")
            case "started":
                self._tell_started(report["id"], attempt)
            case "committed":
                self._tell_committed(report["ids"], attempt)
            case _:
                attempt.note(report)

    def _warn(self, message: str) -> None:
        self.events.record("hazard.found", message, level="warning")

    def _tell_started(self, id_: str, attempt: Attempt) -> None:
        attempt.started[id_] = utc_now()
        number, of = len(attempt.started), len(attempt.planned)
        message = f"revision {id_} ({number} of {of}): {self.known.get(RevisionId(id_), '')}".rstrip(": ")
        self.events.record("revision.started", message, revision=id_, number=number, of=of)

    def _tell_committed(self, ids: list[str], attempt: Attempt) -> None:
        for id_ in ids:
            attempt.committed[RevisionId(id_)] = utc_now()
            seconds = attempt.seconds.get(id_, 0.0)
            doc = self.known.get(RevisionId(id_), "")
            message = f"revision {id_} applied in {seconds:.2f} s" + (f": {doc}" if doc else "")
            self.events.record("revision.applied", message, revision=id_, seconds=seconds)

    def _tell_failure(self, failure: Failure, attempt: Attempt) -> None:
        at = f"revision {failure.revision}" if failure.revision else "env.py"
        self.events.record(
            "revision.failed",
            f"{at}: {failure.message}",
            level="warning" if failure.is_blocked else "error",
            revision=failure.revision,
            sqlstate=failure.sqlstate,
            statement=failure.statement,
            where=failure.where,
            half_applied=list(attempt.half_applied),
        )

    def _tell_blockers(self, attempt: Attempt, watch: "_Watch") -> None:
        if not attempt.started:
            return
        found = watch.blockers()
        if found and {one.pid for one in found} != {one.pid for one in attempt.blockers}:
            named = ", ".join(map(str, found))
            self.events.record(
                "revision.blocked",
                f"waiting for {named}",
                level="warning",
                revision=next(reversed(attempt.started)),
                blockers=[str(one) for one in found],
            )
        attempt.blockers = found or attempt.blockers

    def _end(self, worker: WorkerProcess, backends: set[Backend]) -> None:
        """Cancel on the server first: killing a client leaves its statement running there."""
        worker.ask_to_stop()
        end = self.clock.monotonic() + _GRACE_SECONDS
        try:
            while worker.is_alive() and self.clock.monotonic() < end:
                cancel_statements(self.connector, self.launch.worker_name, backends)
                self.clock.sleep(_CANCEL_PAUSE_SECONDS)
        finally:  # a signal may come in now
            worker.kill()
            end_sessions(self.connector, self.launch.worker_name, backends)


class _Watch:
    """Looks after a worker from outside: whether we still lead, and who keeps its sessions waiting."""

    def __init__(self, connector: Connector, lock: LeaderLock, clock: Clock) -> None:
        self._observer = Observer(connector)
        self._lock = lock
        self._clock = clock
        self._proven = clock.monotonic()
        self.backends: set[Backend] = set()

    def note(self, report: Report) -> None:
        """Remember the sessions that are to be observed."""
        if report["ours"]:
            self.backends.add(Backend(report["pid"], report["start"]))

    def prove_leadership(self) -> None:
        """See every few seconds that we still lead."""
        if self._clock.monotonic() - self._proven >= _PROOF_SECONDS:
            self._lock.prove()
            self._proven = self._clock.monotonic()

    def blockers(self) -> tuple[Blocker, ...]:
        """Who keeps the worker's sessions waiting, as far as we can see."""
        return self._observer.blockers(one.pid for one in self.backends) if self.backends else ()

    def close(self) -> None:
        """End the observation."""
        self._observer.close()


def _rung(number: int, top: timedelta) -> timedelta:
    """The `lock_timeout` of an attempt; a top of 0 means to wait for ever."""
    if not top:
        return top
    return min(timedelta(seconds=_LADDER_SECONDS[min(number, len(_LADDER_SECONDS) - 1)]), top)


def _must_have_run(attempt: Attempt) -> None:
    """An `env.py` that ends in peace may still have done nothing."""
    missing = "context.run_migrations()" if attempt.configured else "context.configure() with a connection"
    if not attempt.tables:
        raise RevisionsInvalid(
            f"env.py ended without {missing}: nothing could be migrated",
            remedy="let env.py call context.configure(connection=…) and context.run_migrations() in "
            "online mode",
        )
