"""Hear a worker out: tell what it reports, watch it from outside, end it with its statements."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from migrator.clock import Clock, utc_now
from migrator.errors import InterruptedMidway, MigrationFailed, PolicyRefused, RevisionsInvalid
from migrator.history.attempt import Attempt
from migrator.history.failure import Failure
from migrator.history.launch import Launch
from migrator.history.process import Report, WorkerProcess, unfit_interpreter
from migrator.model import RevisionId
from migrator.postgres.activity import (
    Backend,
    Observer,
    cancel_statements,
    end_sessions,
)
from migrator.postgres.locks import Blocker, TableLock
from migrator.postgres.session import Connector
from migrator.telemetry.events import EventName, Events

# The first attempt waits no longer than 0.3 s for a table: it must be seen in that time.
_TICK_SECONDS = 0.15
_GRACE_SECONDS = 2.0
_CANCEL_PAUSE_SECONDS = 0.2
# What a project's session may lack that has taken another role than the one the ledger belongs to.
_GRANT_HALVES = (
    "set MIGRATOR_ROLE to the role that env.py or the revision takes, or GRANT USAGE ON SCHEMA migrator and "
    "SELECT, INSERT, UPDATE ON migrator.half_applied to it"
)


def _ignore(_report: Report) -> None:
    """Nobody asked for it."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Follows workers; `prove` is asked every quarter of a second whether they may go on."""

    launch: Launch
    connector: Connector
    clock: Clock
    events: Events
    prove: Callable[[], None]
    known: Mapping[RevisionId, str] = field(default_factory=dict)  # id → first line of the docstring

    def follow(
        self,
        worker: WorkerProcess,
        attempt: Attempt | None = None,
        *,
        told: Callable[[Report], None] = _ignore,
    ) -> Attempt:
        """Follow a worker to its end. Whatever interrupts us ends it as well, and its statements.

        `told` hears what only some workers report: the schema after a revision, the SQL of
        one, what the models lack.

        Raises:
            InterruptedMidway: the worker was lost, or `prove` says so.
            PolicyRefused, RevisionsInvalid: it cannot be watched, or did not get to `env.py`.
        """
        attempt = attempt or Attempt()
        watch = _Watch(self.connector)
        try:
            for report in worker.reports(_TICK_SECONDS):
                if report["is"] == "tick":
                    self.prove()
                    self._tell_blockers(attempt, watch)
                elif report["is"] in {"schema", "sql", "models"}:
                    told(report)
                else:
                    self._hear(report, attempt, watch)
                if attempt.finished and attempt.is_over_when_finished:
                    worker.kill()
                    return attempt
            status = worker.wait()
        except BaseException:
            self._end(worker, watch.backends)
            raise
        finally:
            watch.close()
        if attempt.failure is None:
            self._judge_end(status, attempt, has_joined=worker.has_joined)
        return attempt

    def _judge_end(self, status: int, attempt: Attempt, *, has_joined: bool) -> None:
        """See that the worker came to its end, and by itself."""
        if self.launch.own_command and status >= 0:
            _judge_own_command(self.launch.own_command, status, attempt, has_joined=has_joined)
            return
        if attempt.finished:
            return
        if status > 0 and not attempt.ready:
            raise unfit_interpreter(self.launch.python)
        how = f"killed by signal {-status}" if status < 0 else f"exited with status {status}"
        raise InterruptedMidway(f"the worker was lost: it was {how}", half_applied=list(attempt.half_applied))

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
            case "repeating":
                why = f"a lock could not be had ({report['sqlstate']})"
                self._warn(f"{report['statement']}: {why}, trying again in place")
            case "cleared":
                self._warn(f"an INVALID index of an interrupted build was in the way: {report['statement']}")
            case "unrecorded":
                what = f"what revision {report['id']} commits by itself is not kept in the ledger"
                facts = {"remedy": _GRANT_HALVES} if report["sqlstate"] == "42501" else {}
                why = f"({report['why']}): if it is lost midway, nobody can tell how far it got"
                self._warn(f"{what} {why}", **facts)
            case "started":
                self._tell_started(report["id"], attempt)
            case "committed":
                self._tell_committed(report["ids"], attempt)
            case _:
                attempt.note(report)

    def _warn(self, message: str, **facts: str) -> None:
        self.events.record("hazard.found", message, level="warning", **facts)

    def _tell_started(self, id_: str, attempt: Attempt) -> None:
        attempt.started[id_] = utc_now()
        number, of = len(attempt.started), len(attempt.planned)
        back = "taking back " if attempt.is_way_back else ""
        doc = self.known.get(RevisionId(id_), "")
        message = f"{back}revision {id_} ({number} of {of}): {doc}".rstrip(": ")
        self.events.record("revision.started", message, revision=id_, number=number, of=of)

    def _tell_committed(self, ids: list[str], attempt: Attempt) -> None:
        for id_ in ids:
            attempt.committed[RevisionId(id_)] = utc_now()
            seconds = attempt.seconds.get(id_, 0.0)
            doc = self.known.get(RevisionId(id_), "")
            done = "taken back" if attempt.is_way_back else "applied"
            message = f"revision {id_} {done} in {seconds:.2f} s" + (f": {doc}" if doc else "")
            event: EventName = "revision.reverted" if attempt.is_way_back else "revision.applied"
            self.events.record(event, message, revision=id_, seconds=seconds)

    def tell_failure(self, failure: Failure, attempt: Attempt) -> None:
        """Tell how an attempt failed."""
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
        if found:
            attempt.awaited |= watch.awaited()
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
    """Sees from outside who keeps a worker's sessions waiting."""

    def __init__(self, connector: Connector) -> None:
        self._observer = Observer(connector)
        self.backends: set[Backend] = set()

    def note(self, report: Report) -> None:
        """Remember the sessions that are to be observed."""
        if report["ours"]:
            self.backends.add(Backend(report["pid"], report["start"]))

    def blockers(self) -> tuple[Blocker, ...]:
        """Who keeps the worker's sessions waiting, as far as we can see."""
        return self._observer.blockers(one.pid for one in self.backends) if self.backends else ()

    def awaited(self) -> frozenset[TableLock]:
        """The table locks the worker's sessions wait for right now."""
        return self._observer.awaited(one.pid for one in self.backends)

    def close(self) -> None:
        """End the observation."""
        self._observer.close()


def _judge_own_command(command: Sequence[str], status: int, attempt: Attempt, *, has_joined: bool) -> None:
    """A project's own command says little by its status, and may not have come near Alembic at all."""
    name = " ".join(command)
    if not has_joined:
        raise PolicyRefused(
            f"{name} ended with status {status}, and no process of it could be watched",
            remedy="MIGRATOR_UPGRADE_COMMAND must run the project's Python (without -I or -E) on this "
            "machine; see the output above",
        )
    if status and attempt.finished:
        raise MigrationFailed(
            f"{name} ended with status {status} after env.py had run to its end",
            remedy="see the output above: what failed came after the migration",
        )
    if status:
        raise RevisionsInvalid(
            f"{name} ended with status {status} before env.py had run to its end",
            remedy="see the output above; the same command with the same variables should fail as well",
        )
