"""Where a database stands in a release's history: what of each revision is there."""

from collections.abc import Collection, Mapping
from enum import StrEnum

from migrator.history.graph import Graph
from migrator.history.sight import Sight
from migrator.history.state import StateName
from migrator.model import RevisionId


class Place(StrEnum):
    """What a revision is to the database."""

    ROW = "version row"
    APPLIED = "applied"
    IN_PART = "applied by some of the version tables"
    PENDING = "pending"
    UNWANTED = "not part of the target"
    UNKNOWN = "not known"


# What the version rows of these do not name may have been applied all the same.
_ROWS_ARE_NOT_ALL = frozenset(
    {StateName.UNVERSIONED, StateName.CORRUPT, StateName.DIVERGED, StateName.AHEAD_UNPROVEN}
)


def position(
    graph: Graph, targets: Collection[RevisionId], sight: Sight | None
) -> Mapping[RevisionId, Place]:
    """The place of every revision; all unknown without a sight that tells the state."""
    if sight is None or sight.state is None:
        return dict.fromkeys(graph.by_id, Place.UNKNOWN)
    name = sight.state.name
    # By the ledger's proof, a newer release's rows imply all that this one wants.
    implied = frozenset(targets) if name is StateName.AHEAD else frozenset[RevisionId]()
    tables = [one.rows | implied for one in sight.rows if one.rows or len(sight.rows) == 1]
    rows = frozenset[RevisionId]().union(*(one.rows for one in sight.rows))
    applied = [graph.ancestors(one) for one in tables] or [frozenset[RevisionId]()]
    everywhere, anywhere = frozenset.intersection(*applied), frozenset.union(*applied)
    wanted = graph.ancestors(targets)

    def place(one: RevisionId) -> Place:
        if one in rows:
            return Place.ROW
        if one in anywhere:
            return Place.APPLIED if one in everywhere else Place.IN_PART
        if name in _ROWS_ARE_NOT_ALL:
            return Place.UNKNOWN
        return Place.PENDING if one in wanted else Place.UNWANTED

    return {one: place(one) for one in graph.by_id}
