"""Verify: on a fresh connection, after the last commit, see that the version is there."""

from collections.abc import Collection
from dataclasses import dataclass

from migrator.account import Account
from migrator.errors import Blocked, DatabaseUnavailable, InterruptedMidway, MigratorError, VerificationFailed
from migrator.history.sight import Seen, Sight, judge, look
from migrator.model import VersionTable
from migrator.postgres.catalog import InvalidIndex, invalid_indexes
from migrator.postgres.locks import Blocker, holders, locks_to_read
from migrator.postgres.session import Session
from migrator.postgres.unvalidated import UnvalidatedConstraint, unvalidated_constraints
from migrator.steps.leadership import Leadership

_PAUSE_SECONDS = 1.0


def verify(
    leadership: Leadership,
    account: Account,
    tables: tuple[VersionTable, ...],
    left_unvalidated: Collection[str | None] = (),
) -> None:
    """See that the state fits, and that nothing unfinished was left behind during this run.

    A constraint may be NOT VALID if it is on a table for which a revision said so (`left_unvalidated`, None
    is any table): checking old rows in a later release is good practice, and only told.

    Raises:
        VerificationFailed: it is not as it should be.
        Blocked, InterruptedMidway: it could not be seen; says what is committed.
    """
    try:
        result = _result(leadership, tables)
    except MigratorError as error:
        account.applied = tuple(account.applied_at)
        error.facts["committed"] = list(account.applied)
        error.message += f"; committed, as far as the worker said: {', '.join(account.applied) or 'nothing'}"
        raise
    sight = judge(result.seen, leadership.release)
    _note(leadership, account, sight)
    if sight.state is None or not sight.state.opens_gate("allow"):
        raise VerificationFailed(_unseen(leadership, sight), remedy=_SILENT_NO_OP)
    asked = {one for one in result.unvalidated if not {one.table, None}.isdisjoint(left_unvalidated)}
    _refuse_unfinished(result.invalid, result.unvalidated - asked)
    for one in sorted(asked):
        _tell_unvalidated(leadership, one)
    heads = ", ".join(sight.state.heads)
    leadership.desk.events.record(
        "schema.verified", f"a fresh connection sees {heads or 'no revision'}", heads=list(sight.state.heads)
    )


# Alembic takes an open transaction for somebody else's, leaves the commit to them, and returns as if all were
# well.
_SILENT_NO_OP = (
    "do not start the application; most often env.py runs SQL on its connection before "
    "context.begin_transaction(), and Alembic then commits nothing: move that SQL behind it, or commit it"
)


@dataclass(frozen=True, slots=True)
class _Result:
    """What a fresh connection sees: the version rows, and what was not there before this run."""

    seen: Seen
    invalid: frozenset[InvalidIndex]
    unvalidated: frozenset[UnvalidatedConstraint]


def _result(leadership: Leadership, tables: tuple[VersionTable, ...]) -> _Result:
    """Look, and look again while somebody has locked a version table: everything is committed by now."""
    clock, patience = leadership.desk.clock, leadership.desk.settings.lock_patience.total_seconds()
    began = clock.monotonic()
    told: set[int] = set()
    while True:
        with leadership.desk.connector.reopen("the result") as session:
            if not session.value(leadership.lock.look_sql):
                raise InterruptedMidway("the leader lock was lost before the result could be verified")
            try:
                return _look(session, leadership, tables)
            except DatabaseUnavailable as error:
                reason = error.message
            found = holders(session, locks_to_read(session, tables))
        if clock.monotonic() - began >= patience:
            raise _unreadable(reason, found)
        if not told or not {one.pid for one in found} <= told:
            told |= {one.pid for one in found} or {0}
            _tell_locked(leadership, found)
        clock.sleep(_PAUSE_SECONDS)


def _look(session: Session, leadership: Leadership, tables: tuple[VersionTable, ...]) -> _Result:
    return _Result(
        look(session, leadership.release, tables),
        invalid_indexes(session) - leadership.invalid,
        unvalidated_constraints(session) - leadership.unvalidated,
    )


def _unreadable(reason: str, found: tuple[Blocker, ...]) -> Blocked:
    who = ", ".join(map(str, found)) or "nobody who could be named"
    return Blocked(
        f"every revision ran, yet the version table could not be read: {reason}; locked by {who}",
        remedy="end the session that holds the lock, then run again: if all is committed, it ends with 0",
        blockers=[str(one) for one in found],
    )


def _tell_locked(leadership: Leadership, found: tuple[Blocker, ...]) -> None:
    who = ", ".join(map(str, found)) or "somebody"
    leadership.desk.events.record(
        "hazard.found",
        f"every revision ran; the result cannot be seen while the version table is locked by {who}",
        level="warning",
        blockers=[str(one) for one in found],
    )


def _note(leadership: Leadership, account: Account, sight: Sight) -> None:
    heads = sight.state.heads if sight.state else ()
    account.heads_after = heads
    account.applied = leadership.release.graph.between(account.heads_before or (), heads)


def _unseen(leadership: Leadership, sight: Sight) -> str:
    graph, targets = leadership.release.graph, leadership.release.targets
    lacking = [one for one in sight.rows if not graph.fits(one.rows, targets)]
    seen = "; ".join(f"{', '.join(sorted(one.rows)) or 'no version'} in {one.table}" for one in lacking)
    return f"every revision ran, yet a fresh connection sees {seen}, not {', '.join(sorted(targets))}"


def _refuse_unfinished(
    invalid: Collection[InvalidIndex], unvalidated: Collection[UnvalidatedConstraint]
) -> None:
    """Raise `VerificationFailed` for what looks finished and is not."""
    if not invalid and not unvalidated:
        return
    found, remedies = [], []
    if invalid:
        found.append(f"INVALID: {', '.join(map(str, sorted(invalid)))}")
        drops = "; ".join(one.drop_statement for one in sorted(invalid))
        remedies.append(f"{drops}, then build it again")
    if unvalidated:
        found.append(f"NOT VALID, which no revision was seen to ask for: {_listed(unvalidated)}")
        remedies += [one.validate_statement for one in sorted(unvalidated)]
    raise VerificationFailed(
        f"the version is there, but {'; '.join(found)}",
        remedy="; ".join(remedies),
        invalid_indexes=[str(one) for one in sorted(invalid)] or None,
        unvalidated_constraints=[str(one) for one in sorted(unvalidated)] or None,
    )


def _listed(unvalidated: Collection[UnvalidatedConstraint]) -> str:
    return ", ".join(map(str, sorted(unvalidated)))


def _tell_unvalidated(leadership: Leadership, one: UnvalidatedConstraint) -> None:
    leadership.desk.events.record(
        "hazard.found",
        f"{one} was added NOT VALID, as its revision says: rows that were there before have not been checked",
        level="warning",
        remedy=f"in a later release, {one.validate_statement}",
    )
