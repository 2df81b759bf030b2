"""Overview: all that one look can tell of a database, for a person or a program that asks."""

from collections.abc import Callable
from dataclasses import dataclass

from migrator.errors import AccessDenied, DatabaseUnavailable, MigratorError
from migrator.history.halves import standing
from migrator.history.release import Release
from migrator.history.sight import Sight, judge
from migrator.history.state import State
from migrator.ledger.halves import HalfApplied, read_half_applied
from migrator.ledger.runs import Access, Leading, RecordedRun, last_runs, ledger_access, who_leads
from migrator.postgres.catalog import InvalidIndex, invalid_indexes
from migrator.postgres.glance import Trouble, glance
from migrator.postgres.leader import working_sessions
from migrator.postgres.locks import Blocker, blockers
from migrator.postgres.session import Session
from migrator.postgres.unvalidated import UnvalidatedConstraint, unvalidated_constraints
from migrator.steps.crowd import pause_seconds
from migrator.steps.desk import Desk
from migrator.steps.peek import peek
from migrator.steps.standing import Standing

_RUNS = 5
UNKNOWN_TABLES = (
    "only env.py knows its version table, and it is not run for this: set MIGRATOR_VERSION_TABLE, or let a "
    "run record the table in the ledger"
)


@dataclass(frozen=True, slots=True)
class Overview:
    """What was seen. Without a state, `why_unknown` says why there is none."""

    database: str
    host: str
    port: int
    server_version: int  # as 160014
    sight: Sight
    why_unknown: str | None
    leading: Leading | None
    access: Access
    runs: tuple[RecordedRun, ...]
    blockers: tuple[Blocker, ...]  # who keeps migration sessions waiting right now
    invalid: tuple[InvalidIndex, ...]
    unvalidated: tuple[UnvalidatedConstraint, ...]
    half_applied: tuple[HalfApplied, ...]

    @property
    def state(self) -> State | None:
        """The state, where it could be told."""
        return self.sight.state


def overview(desk: Desk, release: Release) -> Overview:
    """Look once, as soon as Postgres answers; a standby will do.

    Raises `AccessDenied` or `DatabaseUnavailable` when it does not let us within MIGRATOR_WAIT_TIMEOUT.
    """
    patience = desk.settings.wait_timeout.total_seconds()
    standing = Standing(desk.clock)
    began = desk.clock.monotonic()
    number = 0
    while True:
        found = glance(desk.connector, _seeing(release))
        if not isinstance(found, Trouble):
            return found
        number += 1
        waited = desk.clock.monotonic() - began
        desk.events.record("wait.attempted", found.reason, attempt=number, waited_seconds=round(waited, 3))
        counts = standing.consider(None if found.passes else found.error)
        if counts or waited >= patience or (found.reached and isinstance(found.error, AccessDenied)):
            raise _final(found.error)
        pause = pause_seconds(number, looked_seconds=0.0)
        desk.clock.sleep(min(pause, max(patience - waited, 0.01)))


def _final(error: MigratorError) -> MigratorError:
    """A session that is lost while we only look is a database that is not available."""
    is_denied = isinstance(error, AccessDenied | DatabaseUnavailable)
    return error if is_denied else DatabaseUnavailable(error.message)


def _seeing(release: Release) -> Callable[[Session], Overview]:
    def see(session: Session) -> Overview:
        host, port = session.address
        sight, why_unknown = _sight(session, release)
        leading = who_leads(session)
        return Overview(
            database=session.database,
            host=host,
            port=port,
            server_version=session.server_version,
            sight=sight,
            why_unknown=why_unknown,
            leading=leading,
            access=ledger_access(session),
            runs=last_runs(session, at_most=_RUNS),
            blockers=blockers(session, working_sessions(session)),
            invalid=tuple(sorted(invalid_indexes(session))),
            unvalidated=tuple(sorted(unvalidated_constraints(session))),
            half_applied=standing(_noted(session, leading), sight, release),
        )

    return see


def _noted(session: Session, leading: Leading | None) -> tuple[HalfApplied, ...]:
    """What runs left half applied; the one that is at it has not left anything yet."""
    at_work = leading.run.id if leading and leading.run else None
    try:
        return tuple(one for one in read_half_applied(session) if one.run_id != at_work)
    except DatabaseUnavailable:  # somebody has locked it: it is only a view
        return ()


def _sight(session: Session, release: Release) -> tuple[Sight, str | None]:
    """The state; where the leader has locked the version table, who leads is still worth telling."""
    try:
        seen = peek(session, release)
    except DatabaseUnavailable as error:
        return Sight((), (), None), error.message
    sight = judge(seen, release)
    return sight, None if sight.state else UNKNOWN_TABLES
