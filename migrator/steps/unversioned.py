"""Unversioned: tables without a version. What a replay proves is stamped, and nothing else."""

from dataclasses import replace

from migrator.account import Account
from migrator.errors import StateRefused
from migrator.history.sight import Seen, Sight, judge, tell
from migrator.history.state import State, StateName
from migrator.ledger import has_only_failed_beginnings
from migrator.model import VersionRows
from migrator.steps.found import adopted
from migrator.steps.identify import identify
from migrator.steps.keep import asked
from migrator.steps.leadership import Leadership
from migrator.steps.prove import Candidate
from migrator.steps.stamp import stamp


def proven(
    leadership: Leadership, account: Account, unversioned: State
) -> tuple[Leadership, Candidate | None]:
    """What the state will be once the proven revision is stamped, and that revision; nothing is written yet.

    Raises:
        StateRefused: no revision builds what is there, or nothing can be proven.
    """
    desk = leadership.desk
    if asked(desk, has_only_failed_beginnings):
        return _untouched(
            leadership, account, "runs of ours began on the empty database, and committed nothing"
        )
    try:
        candidate, proof = identify(desk, account, leadership.release)
    except StateRefused as error:
        error.message = f"the database is unversioned: {unversioned.reason}; {error.message}"
        raise
    if candidate is None:
        return _untouched(
            leadership, account, "what is there is what env.py itself makes before any revision"
        )
    rows = tuple(
        VersionRows(table, exists=True, rows=frozenset(candidate.heads))
        for table in leadership.sight.tables or proof.tables
    )
    sight = judge(Seen(tuple(one.table for one in rows), rows), leadership.release)
    tell(sight, leadership.release, desk.events)
    account.saw(sight.state)
    return replace(leadership, sight=sight), candidate


def _untouched(leadership: Leadership, account: Account, why: str) -> tuple[Leadership, None]:
    """Nothing of this history has been applied: all of it is pending."""
    release, sight = leadership.release, leadership.sight
    pending = release.graph.pending((), release.targets)
    sight = replace(sight, state=State(StateName.FRESH, (), f"no revision has been applied: {why}", pending))
    tell(sight, release, leadership.desk.events)
    account.saw(sight.state)
    return replace(leadership, sight=sight), None


def stamp_proven(leadership: Leadership, account: Account, candidate: Candidate) -> Leadership:
    """Write the row, and record in the ledger that it was proven."""
    tables = stamp(leadership, account, candidate)
    rows = tuple(VersionRows(table, exists=True, rows=frozenset(candidate.heads)) for table in tables)
    sight = Sight(tables, rows, leadership.sight.state)
    adopted(leadership.desk, leadership.release, sight, differences=())
    return replace(leadership, sight=sight)
