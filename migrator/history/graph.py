"""The graph of a release's revisions: what follows what, and what a database still lacks."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Self

from migrator.errors import RevisionsInvalid
from migrator.model import Revision, RevisionId

Parents = Mapping[RevisionId, tuple[RevisionId, ...]]

# As in Alembic: "+1", "head-2", "branch@+1"; what they mean depends on where the database is.
_RELATIVE = re.compile(r"(?:(.+?)@)?(\w+)?((?:\+|-)\d+)")
_SHORTEST_COMPLETED_ID = 4


@dataclass(frozen=True, slots=True)
class Graph:
    """Revisions that form a history: ids unique, parents present, no cycle. Made by `build`.

    `revisions` keeps the order in which Alembic loads them, which breaks ties. `dependencies` are the
    resolved `depends_on`, and `parents` are `down` and `dependencies` together.
    """

    revisions: tuple[Revision, ...]
    by_id: Mapping[RevisionId, Revision]
    labels: Mapping[str, RevisionId]
    dependencies: Parents
    parents: Parents

    @classmethod
    def build(cls, revisions: Iterable[Revision]) -> Self:
        """Check the revisions and link them; an empty history is a history.

        Raises:
            RevisionsInvalid: an id or branch label is used twice, a parent is missing, or there is a cycle.
        """
        ordered = tuple(revisions)
        by_id = _by_id(ordered)
        labels = _labels(ordered, by_id)
        _refuse_missing_parent(ordered, by_id)
        dependencies = {r.id: _resolved(r, by_id, labels) for r in ordered if r.depends_on}
        parents = {r.id: tuple(dict.fromkeys(r.down + dependencies.get(r.id, ()))) for r in ordered}
        _refuse_cycle(parents)
        return cls(ordered, by_id, labels, dependencies, parents)

    @property
    def heads(self) -> tuple[RevisionId, ...]:
        """The revisions that no other names as its parent, in loading order: what Alembic calls heads."""
        followed = {parent for revision in self.revisions for parent in revision.down}
        return tuple(revision.id for revision in self.revisions if revision.id not in followed)

    @property
    def final_heads(self) -> tuple[RevisionId, ...]:
        """The heads on which no other revision depends either: the rows after `upgrade heads`."""
        followed = {parent for parents in self.parents.values() for parent in parents}
        return tuple(revision.id for revision in self.revisions if revision.id not in followed)

    @property
    def bases(self) -> tuple[RevisionId, ...]:
        """The revisions without a parent, whatever they depend on."""
        return tuple(revision.id for revision in self.revisions if not revision.down)

    def ancestors(self, ids: Iterable[str]) -> frozenset[RevisionId]:
        """Add to the known ids all that must be applied before them, through parents and dependencies."""
        return _closure(ids, self.parents)

    def lineage(self, ids: Iterable[str]) -> frozenset[RevisionId]:
        """Add to the known ids all that precede them on their own lineage: dependencies are not followed."""
        seen: set[RevisionId] = set()
        todo = [RevisionId(one) for one in ids if one in self.by_id]
        while todo:
            revision_id = todo.pop()
            if revision_id not in seen:
                seen.add(revision_id)
                todo.extend(self.by_id[revision_id].down)
        return frozenset(seen)

    def unknown(self, rows: Iterable[str]) -> frozenset[RevisionId]:
        """Find the rows this release has no revision for."""
        return frozenset(RevisionId(row) for row in rows if row not in self.by_id)

    def redundant(self, rows: Collection[str]) -> frozenset[RevisionId]:
        """Find the rows that another row implies: Alembic's upgrades leave none and cannot start from them.

        Dependencies count: applying a revision takes away the rows it depends on, and an upgrade from both is
        refused as "overlaps". A row present twice is redundant too.
        """
        known = [RevisionId(row) for row in rows if row in self.by_id]
        implied = self.ancestors(parent for row in known for parent in self.parents[row])
        return frozenset(row for row in known if row in implied or known.count(row) > 1)

    def fits(self, rows: Collection[str], targets: Collection[str]) -> bool:
        """Whether the rows are all known and imply every target."""
        return not self.unknown(rows) and self.ancestors(rows).issuperset(targets)

    def pending(self, rows: Iterable[str], targets: Iterable[str]) -> tuple[Revision, ...]:
        """List what `alembic upgrade` would apply from these rows, oldest first, in Alembic's own order.

        Unknown rows imply nothing. Alembic orders several dependencies of one revision by chance; here they
        keep their order in the file.
        """
        wanted = tuple(targets)
        missing = self.ancestors(wanted) - self.ancestors(rows)
        return tuple(self.by_id[one] for one in reversed(_newest_first(self, missing, wanted)))

    def between(self, before: Iterable[str], after: Iterable[str]) -> tuple[RevisionId, ...]:
        """List the ids that `after` implies and `before` does not, oldest first; unknown ids do not count."""
        gained = self.ancestors(after) - self.ancestors(before)
        known = [one for one in after if one in self.by_id]
        return tuple(one.id for one in self.pending((), known) if one.id in gained)

    def resolve(self, target: str) -> frozenset[RevisionId]:
        """Find the revisions a target names; none for `base`, or for `head` of an empty history.

        A target is what `alembic upgrade` takes, except for relative ones: `head`, `heads`, `base`, an id,
        the beginning of exactly one, a branch label, or any of these on a branch: `branch@head`.

        Raises:
            RevisionsInvalid: there is no such revision, or more than one where one is meant.
        """
        if _RELATIVE.match(target):
            message = (
                f"target {target!r} is relative to the database's state; set MIGRATOR_TARGET to a revision"
            )
            raise RevisionsInvalid(message, remedy="set MIGRATOR_TARGET to a revision, head or heads")
        before, at, after = target.partition("@")
        branch_name, name = (before, after) if at else ("", before)
        if name == "base":
            return frozenset()
        branch = _find(self, branch_name) if branch_name else None
        if name == "heads":
            return frozenset(_on_branch(self, self.heads, branch) if branch else self.final_heads)
        if name == "head":
            return _single_head(self, branch, target)
        return frozenset((_find(self, name, branch),))


def _by_id(revisions: Iterable[Revision]) -> dict[RevisionId, Revision]:
    """Index the revisions, refusing an id that two files declare (Alembic silently drops one of them)."""
    by_id: dict[RevisionId, Revision] = {}
    for revision in revisions:
        other = by_id.setdefault(revision.id, revision)
        if other is not revision:
            message = f"revision id {revision.id!r} is declared by both {_file(other)} and {_file(revision)}"
            raise RevisionsInvalid(f"{message}; give one of them another id")
        if not {"@", "-", "+"}.isdisjoint(revision.id):
            raise RevisionsInvalid(f"revision id {revision.id!r} in {_file(revision)} contains one of @ - +")
    return by_id


def _labels(revisions: Iterable[Revision], by_id: Mapping[RevisionId, Revision]) -> dict[str, RevisionId]:
    """Index the branch labels, refusing one that is already a label or an id."""
    labels: dict[str, RevisionId] = {}
    for revision in revisions:
        for label in sorted(revision.labels):
            if label in labels or label in by_id:
                other = labels.get(label, label)
                message = (
                    f"branch label {label!r} of revision {revision.id} is already used by revision {other}"
                )
                raise RevisionsInvalid(f"{message}; a label names one branch")
            labels[label] = revision.id
    return labels


def _refuse_missing_parent(revisions: Iterable[Revision], by_id: Mapping[RevisionId, Revision]) -> None:
    """Refuse a history with a gap, as after a merge that lost a file."""
    for revision in revisions:
        for parent in revision.down:
            if parent not in by_id:
                message = (
                    f"revision {revision.id} ({_file(revision)}) follows {parent!r}, which no file declares"
                )
                raise RevisionsInvalid(f"{message}; restore the missing file")


def _resolved(
    revision: Revision, by_id: Mapping[RevisionId, Revision], labels: Mapping[str, RevisionId]
) -> tuple[RevisionId, ...]:
    """Turn `depends_on` into ids; unlike targets, Alembic does not complete the beginning of an id here."""
    missing = next((name for name in revision.depends_on if name not in by_id and name not in labels), None)
    if missing is not None:
        message = f"revision {revision.id} ({_file(revision)}) depends on {missing!r}, which no file declares"
        raise RevisionsInvalid(f"{message}; name a full revision id or a branch label")
    return tuple(labels.get(name, RevisionId(name)) for name in revision.depends_on)


def _refuse_cycle(parents: Parents) -> None:
    """Refuse revisions that precede themselves."""
    try:
        TopologicalSorter(parents).prepare()
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        message = f"revisions form a cycle: {circle}; correct down_revision or depends_on in one of them"
        raise RevisionsInvalid(message) from error


def _file(revision: Revision) -> str:
    """Name the file of a revision as a person would look for it."""
    return revision.path.name if revision.path else "unknown file"


def _closure(ids: Iterable[str], parents: Parents) -> frozenset[RevisionId]:
    """Follow the parents of the known ids to the end; no recursion, for histories outgrow the stack."""
    seen: set[RevisionId] = set()
    todo = [RevisionId(one) for one in ids if one in parents]
    while todo:
        revision_id = todo.pop()
        if revision_id not in seen:
            seen.add(revision_id)
            todo.extend(parents[revision_id])
    return frozenset(seen)


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
            f"revision {found} is not on the branch of revision {branch}; correct MIGRATOR_TARGET"
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
            f"this release has no revision or branch {beginning!r}; correct MIGRATOR_TARGET"
        )
    if len(matches) > 1:
        message = f"{beginning!r} is the beginning of several revisions: {', '.join(sorted(matches))}"
        raise RevisionsInvalid(f"{message}; set MIGRATOR_TARGET to a full id")
    return named[matches[0]]


def _on_branch(graph: Graph, ids: Iterable[RevisionId], branch: RevisionId) -> tuple[RevisionId, ...]:
    """Keep those of the ids that share a lineage with the branch."""
    return tuple(one for one in ids if _share_lineage(graph, one, branch))


def _share_lineage(graph: Graph, one: RevisionId, other: RevisionId) -> bool:
    """Whether one of them precedes the other, dependencies aside."""
    return other in graph.lineage((one,)) or one in graph.lineage((other,))


def _newest_first(graph: Graph, missing: frozenset[RevisionId], targets: Iterable[str]) -> list[RevisionId]:
    """Sort as Alembic does: walk down one line as far as no other line still needs the revision.

    Source: `RevisionMap._topological_sort`. Only ancestors among the missing can matter to it, since whatever
    lies between two missing revisions is missing too.
    """
    inside = {one: tuple(p for p in graph.parents[one] if p in missing) for one in missing}
    position = {revision.id: place for place, revision in enumerate(graph.revisions)}
    tips = sorted(missing.intersection(targets), key=position.__getitem__)
    beneath = [set(_closure((tip,), inside)) for tip in tips]
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
        beneath[at] = set(_closure(following[:1], inside))
        beneath.extend(set(_closure((parent,), inside)) for parent in following[1:])
    return output


def _direct_parents(graph: Graph, revision_id: RevisionId) -> tuple[RevisionId, ...]:
    """List the parents, less the dependencies that an earlier revision of the lineage has declared."""
    down = graph.by_id[revision_id].down
    own = graph.dependencies.get(revision_id, ())
    passed = graph.lineage(down) if own else ()
    inherited = {dependency for ancestor in passed for dependency in graph.dependencies.get(ancestor, ())}
    return tuple(dict.fromkeys((*down, *(one for one in own if one not in inherited))))
