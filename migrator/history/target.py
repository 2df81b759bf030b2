"""What a run is to reach: which revisions a target names."""

import re
from collections.abc import Iterable

from migrator.errors import RevisionsInvalid
from migrator.history.graph import Graph
from migrator.model import RevisionId

# As in Alembic: "+1", "head-2", "branch@+1"; what they mean depends on where the database is.
_RELATIVE = re.compile(r"(?:(.+?)@)?(\w+)?((?:\+|-)\d+)")
_SHORTEST_COMPLETED_ID = 4


def resolve_target(graph: Graph, target: str) -> frozenset[RevisionId]:
    """Find the revisions a target names; none for `base`, or for `head` of an empty history.

    A target is what `alembic upgrade` takes, except for relative ones: `head`, `heads`, `base`, an id,
    the beginning of exactly one, a branch label, or any of these on a branch: `branch@head`.

    Raises:
        RevisionsInvalid: there is no such revision, or more than one where one is meant.
    """
    if _RELATIVE.match(target):
        message = f"target {target!r} is relative to the database's state"
        raise RevisionsInvalid(message, remedy="set MIGRATOR_TARGET to a revision, head or heads")
    before, at, after = target.partition("@")
    branch_name, name = (before, after) if at else ("", before)
    if name == "base":
        return frozenset()
    branch = _find(graph, branch_name) if branch_name else None
    if name == "heads":
        return frozenset(_on_branch(graph, graph.heads, branch) if branch else graph.final_heads)
    if name == "head":
        return _single_head(graph, branch, target)
    return frozenset((_find(graph, name, branch),))


def _single_head(graph: Graph, branch: RevisionId | None, target: str) -> frozenset[RevisionId]:
    """Find the one head there is, of the branch if one is given."""
    heads = _on_branch(graph, graph.heads, branch) if branch else graph.heads
    if len(heads) > 1:
        remedy = "merge them, or set MIGRATOR_TARGET=heads or MIGRATOR_TARGET=branch@head"
        message = f"target {target!r} means one head, but there are {len(heads)}: {', '.join(sorted(heads))}"
        raise RevisionsInvalid(f"{message}; {remedy}", remedy=remedy, heads=sorted(heads))
    return frozenset(heads)


def _find(graph: Graph, name: str, branch: RevisionId | None = None) -> RevisionId:
    """Find the revision of that id or label, or the only one beginning so; it must be on the branch."""
    found = graph.labels.get(name, RevisionId(name))
    if found not in graph.by_id:
        found = _completed(graph, name, branch)
    if branch is not None and not _share_lineage(graph, found, branch):
        raise RevisionsInvalid(
            f"revision {found} is not on the branch of revision {branch}", remedy="correct MIGRATOR_TARGET"
        )
    return found


def _completed(graph: Graph, beginning: str, branch: RevisionId | None) -> RevisionId:
    """Find the only revision whose id or label begins so; labels compete with ids, as in Alembic."""
    named: dict[str, RevisionId] = {**{one: one for one in graph.by_id}, **graph.labels}
    matches = [
        name
        for name, revision_id in named.items()
        if len(name) >= _SHORTEST_COMPLETED_ID and beginning and name.startswith(beginning)
        if branch is None or _share_lineage(graph, revision_id, branch)
    ]
    if not matches:
        raise RevisionsInvalid(
            f"this release has no revision or branch {beginning!r}", remedy="correct MIGRATOR_TARGET"
        )
    if len(matches) > 1:
        message = f"{beginning!r} is the beginning of several revisions: {', '.join(sorted(matches))}"
        raise RevisionsInvalid(message, remedy="set MIGRATOR_TARGET to a full id")
    return named[matches[0]]


def _on_branch(graph: Graph, ids: Iterable[RevisionId], branch: RevisionId) -> tuple[RevisionId, ...]:
    """Keep those of the ids that share a lineage with the branch."""
    return tuple(one for one in ids if _share_lineage(graph, one, branch))


def _share_lineage(graph: Graph, one: RevisionId, other: RevisionId) -> bool:
    """Whether one of them precedes the other, dependencies aside."""
    return other in graph.lineage((one,)) or one in graph.lineage((other,))
