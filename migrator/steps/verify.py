"""Verify: on a fresh connection, after the last commit, see that the version is there."""

from migrator.account import Account
from migrator.errors import InterruptedMidway, VerificationFailed
from migrator.history.sight import Sight, judge, look
from migrator.model import VersionTable
from migrator.postgres.catalog import InvalidIndex, invalid_indexes
from migrator.steps.leadership import Leadership


def verify(leadership: Leadership, account: Account, tables: tuple[VersionTable, ...]) -> None:
    """Raise `VerificationFailed` unless the state fits and no index became INVALID during this run."""
    desk = leadership.desk
    with desk.connector.reopen("the result") as session:
        if not session.value(leadership.lock.look_sql):
            raise InterruptedMidway("the leader lock was lost before the result could be verified")
        seen = look(session, leadership.release, tables)
        broken = invalid_indexes(session) - leadership.invalid
    sight = judge(seen, leadership.release)
    _note(leadership, account, sight)
    if sight.state is None or not sight.state.opens_gate("allow"):
        raise VerificationFailed(_unseen(leadership, sight), remedy=_SILENT_NO_OP)
    if broken:
        raise VerificationFailed(
            f"the version is there, but INVALID: {', '.join(map(str, sorted(broken)))}",
            remedy=_rebuild(broken),
            invalid_indexes=[str(one) for one in sorted(broken)],
        )
    heads = ", ".join(sight.state.heads)
    desk.events.record(
        "schema.verified", f"a fresh connection sees {heads or 'no revision'}", heads=list(sight.state.heads)
    )


# Alembic takes an open transaction for somebody else's, leaves the commit to them, and returns as if all were
# well.
_SILENT_NO_OP = (
    "do not start the application; most often env.py runs SQL on its connection before "
    "context.begin_transaction(), and Alembic then commits nothing: move that SQL behind it, or commit it"
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


def _rebuild(broken: frozenset[InvalidIndex]) -> str:
    return f"{'; '.join(one.drop_statement for one in sorted(broken))}, then build it again"
