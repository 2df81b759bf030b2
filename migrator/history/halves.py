"""Which revisions stand half applied: of what the ledger noted, all that no version row makes void."""

from collections.abc import Iterable

from migrator.history.release import Release
from migrator.history.sight import Sight
from migrator.history.state import StateName
from migrator.ledger.halves import HalfApplied

_MAY_HOLD = frozenset({StateName.PENDING, StateName.FRESH, StateName.UNVERSIONED})


def standing(noted: Iterable[HalfApplied], sight: Sight, release: Release) -> tuple[HalfApplied, ...]:
    """Those that the release would still apply, and that their own version table does not have.

    Whoever recorded the revision there, by whatever tool, has finished it.
    """
    if sight.state is None or sight.state.name not in _MAY_HOLD:
        return ()
    graph = release.graph
    wanted = graph.ancestors(release.targets)
    recorded = {str(one.table): graph.ancestors(one.rows) for one in sight.rows if one.exists}
    return tuple(
        one
        for one in noted
        if one.revision in wanted and one.revision not in recorded.get(one.version_table, ())
    )
