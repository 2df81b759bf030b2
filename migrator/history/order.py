"""In which order revisions are applied: Alembic's own."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from migrator.model import RevisionId

if TYPE_CHECKING:
    from migrator.history.graph import Graph

Parents = Mapping[RevisionId, tuple[RevisionId, ...]]


def closure(ids: Iterable[str], parents: Parents) -> frozenset[RevisionId]:
    """Follow the parents of the known ids to the end; no recursion, for histories outgrow the stack."""
    seen: set[RevisionId] = set()
    todo = [RevisionId(one) for one in ids if one in parents]
    while todo:
        revision_id = todo.pop()
        if revision_id not in seen:
            seen.add(revision_id)
            todo.extend(parents[revision_id])
    return frozenset(seen)


def newest_first(graph: "Graph", missing: frozenset[RevisionId], targets: Iterable[str]) -> list[RevisionId]:
    """Sort as Alembic does: walk down one line as far as no other line still needs the revision.

    Source: `RevisionMap._topological_sort`. Only ancestors among the missing can matter to it, since whatever
    lies between two missing revisions is missing too.
    """
    inside = {one: tuple(p for p in graph.parents[one] if p in missing) for one in missing}
    position = {revision.id: place for place, revision in enumerate(graph.revisions)}
    tips = sorted(missing.intersection(targets), key=position.__getitem__)
    beneath = [set(closure((tip,), inside)) for tip in tips]
    todo, output, at = set(missing), [], 0
    while tips:
        tip = tips[at]
        waiting = next((n for n, ids in enumerate(beneath) if n != at and tip in ids), None)
        if waiting is not None:
            at = waiting
            continue
        if tip in todo:
            output.append(tip)
            todo.remove(tip)
        following = [p for p in _direct_parents(graph, tip) if p in todo and p not in tips]
        if not following:
            del tips[at], beneath[at]
            at = max(at - 1, 0)
            continue
        tips[at : at + 1] = following[:1]
        if len(_direct_parents(graph, tip)) == 1:
            # a plain step down: what lies beneath is what it was, less the one just passed
            beneath[at].discard(tip)
            continue
        tips.extend(following[1:])
        beneath[at] = set(closure(following[:1], inside))
        beneath.extend(set(closure((parent,), inside)) for parent in following[1:])
    return output


def _direct_parents(graph: "Graph", revision_id: RevisionId) -> tuple[RevisionId, ...]:
    """List the parents, less the dependencies that an earlier revision of the lineage has declared."""
    down = graph.by_id[revision_id].down
    own = graph.dependencies.get(revision_id, ())
    passed = graph.lineage(down) if own else ()
    inherited = {dependency for ancestor in passed for dependency in graph.dependencies.get(ancestor, ())}
    return tuple(dict.fromkeys((*down, *(one for one in own if one not in inherited))))
