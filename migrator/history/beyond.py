"""Rows that a release does not know: ahead of it by the ledger's proof, diverged by it, or unproven."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from migrator.history.graph import Graph
from migrator.model import RevisionId

Parents = Mapping[RevisionId, frozenset[RevisionId]]

# So many revisions of a lineage are shown, the newest last.
_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the ledger knows of revisions: their parents, and which release applied them."""

    parents: Parents = field(default_factory=dict)
    releases: Mapping[RevisionId, str] = field(default_factory=dict)


def ancestors(rows: Iterable[RevisionId], graph: Graph, recorded: Recorded) -> frozenset[RevisionId]:
    """Everything below these rows, themselves included, by the ledger and by the release."""
    seen: set[RevisionId] = set()
    todo = list(rows)
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            todo.extend(_parents(one, graph, recorded))
    return frozenset(seen)


def who_applied(rows: Collection[RevisionId], recorded: Recorded) -> str:
    """The release that applied these rows, as far as the ledger says."""
    named = sorted({recorded.releases[one] for one in rows if one in recorded.releases} - {"unknown"})
    return f"the newer release {', '.join(named)}" if named else "a newer release"


def lineages(
    rows: Collection[RevisionId], targets: Collection[RevisionId], graph: Graph, recorded: Recorded
) -> str:
    """Both lineages side by side, from where they part."""
    theirs, ours = ancestors(rows, graph, recorded), ancestors(targets, graph, recorded)
    shared = theirs & ours
    below = {parent for one in shared for parent in _parents(one, graph, recorded)}
    parted = sorted(shared - below)
    where = f"they part after {', '.join(parted)}" if parted else "they have nothing in common"
    return (
        f"{where}: the database went on with {_line(rows, theirs - ours, graph, recorded)}, "
        f"this release with {_line(targets, ours - theirs, graph, recorded)}"
    )


def _line(tips: Iterable[RevisionId], own: Collection[RevisionId], graph: Graph, recorded: Recorded) -> str:
    """The revisions that only one side has, oldest first, from the newest of each branch down."""
    line: list[RevisionId] = []
    todo = sorted(tip for tip in tips if tip in own)
    while todo:
        one = todo.pop(0)
        if one in own and one not in line:
            line.append(one)
            todo.extend(sorted(_parents(one, graph, recorded)))
    shown = [*reversed(line[:_SHOWN])]
    return " → ".join((["…"] if len(line) > _SHOWN else []) + [str(one) for one in shown]) or "nothing"


def _parents(one: RevisionId, graph: Graph, recorded: Recorded) -> Collection[RevisionId]:
    return recorded.parents.get(one, ()) or graph.parents.get(one, ())
