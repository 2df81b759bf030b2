"""The graph of a release's revisions: what follows what, and what a database still lacks."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Self

from migrator.errors import RevisionsInvalid
from migrator.history.order import closure, newest_first
from migrator.model import Revision, RevisionId

Parents = Mapping[RevisionId, tuple[RevisionId, ...]]


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

    @property
    def docs(self) -> Mapping[RevisionId, str]:
        """What each revision says of itself in one line."""
        return {revision.id: revision.doc for revision in self.revisions}

    def ancestors(self, ids: Iterable[str]) -> frozenset[RevisionId]:
        """Add to the known ids all that must be applied before them, through parents and dependencies."""
        return closure(ids, self.parents)

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
        return tuple(self.by_id[one] for one in reversed(newest_first(self, missing, wanted)))

    def between(self, before: Iterable[str], after: Iterable[str]) -> tuple[RevisionId, ...]:
        """List the ids that `after` implies and `before` does not, oldest first; unknown ids do not count."""
        gained = self.ancestors(after) - self.ancestors(before)
        known = [one for one in after if one in self.by_id]
        return tuple(one.id for one in self.pending((), known) if one.id in gained)


def _by_id(revisions: Iterable[Revision]) -> dict[RevisionId, Revision]:
    """Index the revisions, refusing an id that two files declare (Alembic silently drops one of them)."""
    by_id: dict[RevisionId, Revision] = {}
    for revision in revisions:
        other = by_id.setdefault(revision.id, revision)
        if other is not revision:
            message = f"revision id {revision.id!r} is declared by both {_file(other)} and {_file(revision)}"
            raise RevisionsInvalid(f"{message}; give one of them another id")
        if not {"@", "-", "+"}.isdisjoint(revision.id):
            raise RevisionsInvalid(
                f"revision id {revision.id!r} in {_file(revision)} contains one of @ - +",
                remedy="give it another id: these letters have a meaning of their own in MIGRATOR_TARGET",
            )
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
