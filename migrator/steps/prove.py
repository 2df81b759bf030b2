"""Prove: find the revision whose replay builds the very schema that is there."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from migrator.errors import StateRefused
from migrator.history.graph import Graph
from migrator.history.release import Release
from migrator.history.replay import Built, cannot_replay, chains
from migrator.model import RevisionId, VersionTable
from migrator.schema.difference import Difference
from migrator.schema.differences import differences
from migrator.schema.snapshot import Snapshot
from migrator.steps.desk import Desk
from migrator.steps.workshop import Model, listed, workshop
from migrator.telemetry.wording import counted

_MOST_TOLD = 200
Made = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """The version rows of one point, and in what the live schema differs from what is built up to there.

    Usually that is one revision; between two branches, or with several heads for good, it is one of each.
    """

    heads: tuple[RevisionId, ...]
    differences: tuple[Difference, ...]
    foreign: tuple[Difference, ...]
    uncompared: str | None = None  # why nothing could be compared

    @property
    def accepted(self) -> list[str]:
        """What is taken for true in spite of it, when it is stamped."""
        unknown = [f"nothing could be compared: {self.uncompared}"] if self.uncompared else []
        return unknown + [one.sentence for one in self.differences]

    @property
    def is_match(self) -> bool:
        """Whether the live schema is the one it builds."""
        return not self.differences

    def __str__(self) -> str:
        """Name it as a person would."""
        return ", ".join(self.heads)


@dataclass(frozen=True, slots=True)
class Proof:
    """What the replay showed: single revisions, oldest first; then what stands on several branches."""

    candidates: tuple[Candidate, ...]
    tables: tuple[VersionTable, ...]
    is_untouched: bool = False  # the live schema is what env.py itself makes before the first revision

    @property
    def matches(self) -> tuple[Candidate, ...]:
        """Several if some revisions only change data. Several rows are only told where one does not do."""
        found = [one for one in self.candidates if one.is_match]
        return tuple(one for one in found if len(one.heads) == len(found[0].heads))

    @property
    def is_found(self) -> bool:
        """Whether a single revision matches."""
        return any(len(one.heads) == 1 for one in self.matches)

    @property
    def nearest(self) -> Candidate:
        """The one with the fewest differences; of several a single revision, and the newest."""
        return min(reversed(self.candidates), key=lambda one: (len(one.differences), len(one.heads)))

    def of(self, heads: Collection[RevisionId]) -> Candidate | None:
        """What was found for these rows; None if the replay did not meet them by themselves."""
        return next((one for one in self.candidates if set(one.heads) == set(heads)), None)


def prove(
    desk: Desk, release: Release, model: Model, *, is_enough: Callable[[Proof], bool] | None = None
) -> Proof:
    """Replay the release, comparing after each revision, until it `is_enough`: one that matches, usually.

    Raises:
        StateRefused: no scratch database can be had, the history cannot be replayed from nothing, or it keeps
            several version tables.
    """
    if not release.targets:
        raise StateRefused(
            "this release has no revisions: there is nothing to compare with",
            remedy="see that MIGRATOR_SCRIPT_LOCATION leads to the release's revisions",
        )
    is_enough = is_enough or (lambda proof: proof.is_found or proof.is_untouched)
    points: list[Built] = []
    tables: tuple[VersionTable, ...] = ()
    proof = Proof((), ())
    for number, chosen in enumerate(chains(release.graph, release.targets), 1):
        _tell_replay(desk, number, len(chosen))
        with workshop(desk, release, model) as bench:
            replayed = bench.replayer.build_watched(chosen)
        if replayed.failure is not None:
            raise cannot_replay(replayed.failure)
        tables = replayed.tables
        _refuse_several(tables)
        points += replayed.points
        proof = _compared(release, points, model.schema, tables)
        if is_enough(proof):
            break
    return proof


def _tell_replay(desk: Desk, number: int, revisions: int) -> None:
    branch = " on another branch" if number > 1 else ""
    desk.events.record(
        "state.read",
        f"replaying {revisions} revisions{branch} on a scratch database, to compare what they build",
        replayed=revisions,
    )


def _refuse_several(tables: Sequence[VersionTable]) -> None:
    if len(tables) > 1:
        raise StateRefused(
            f"env.py keeps several version tables ({listed([str(one) for one in tables])}): which are "
            "at which revision cannot be told from a replay",
            remedy="stamp each by hand, or run once for each with MIGRATOR_ALEMBIC_X",
            version_tables=[str(one) for one in tables],
        )


def _compared(
    release: Release, points: Sequence[Built], live: Snapshot, tables: Sequence[VersionTable]
) -> Proof:
    made = made_by(points)
    live = live.without(tables)
    order = {one.id: place for place, one in enumerate(release.graph.pending((), release.targets))}
    found: dict[tuple[RevisionId, ...], Candidate] = {}
    for point in points:
        heads = _heads(release, point)
        if heads and heads not in found:
            matter, foreign = sorted_out(differences(point.schema.without(tables), live), made, release.graph)
            found[heads] = Candidate(heads, matter, foreign)
    places = sorted(found, key=lambda heads: (len(heads), [order[one] for one in heads]))
    before, _ = sorted_out(differences(points[0].schema.without(tables), live), made, release.graph)
    return Proof(tuple(found[one] for one in places), tuple(tables), not before)


def _heads(release: Release, point: Built) -> tuple[RevisionId, ...]:
    """The version rows there would be at this point."""
    parents = {parent for one in point.applied for parent in release.graph.parents[one]}
    return tuple(sorted(point.applied - parents))


def made_by(points: Iterable[Built]) -> Made:
    """Everything that any revision made at any time: where it is left over, it does matter."""
    return frozenset((part.kind, part.name) for point in points for part in point.schema.parts)


def sorted_out(
    found: Iterable[Difference], made: Made, graph: Graph
) -> tuple[tuple[Difference, ...], tuple[Difference, ...]]:
    """Those that matter, and those that are only to be listed: whole objects that no revision makes.

    Nor does the order of columns matter where branches may be applied in any order.
    """
    edges = [parent for parents in graph.parents.values() for parent in parents]
    is_line = len(edges) == len(set(edges)) == len(graph.revisions) - 1

    def matters(one: Difference) -> bool:
        if one.is_order and not is_line:
            return False
        return one.matters or (one.kind, one.name) in made

    judged = [replace(one, matters=matters(one)) for one in found]
    return tuple(one for one in judged if one.matters), tuple(one for one in judged if not one.matters)


def tell_differences(desk: Desk, found: Sequence[Difference]) -> None:
    """Record each with what would undo it."""
    for one in found[:_MOST_TOLD]:
        desk.events.record(
            "difference.found",
            f"{one.sentence}; {one.remedy.text}",
            level="warning" if one.matters else "info",
            **facts_of(one),
        )


def facts_of(one: Difference) -> dict[str, object]:
    """A difference as a program reads it."""
    return {
        "kind": one.kind,
        "name": one.name,
        "what": one.what,
        "difference": one.sentence,
        "undo": one.remedy.text,
        "is_sql": one.remedy.is_sql,
    }


def unproven(desk: Desk, proof: Proof) -> StateRefused:
    """Make the error for a schema that no revision builds: the nearest one, and every difference."""
    nearest = proof.nearest
    tell_differences(desk, nearest.differences)
    tell_differences(desk, nearest.foreign)
    number = counted(len(nearest.differences), "difference")
    return StateRefused(
        f"no revision builds the schema that is there; nearest is {nearest}, with {number}: "
        f"{listed([one.sentence for one in nearest.differences])}",
        remedy="undo the differences, then run again; or, knowing better: "
        f"migrator adopt --at {','.join(nearest.heads)} --accept-differences",
        nearest=str(nearest),
        differences=[facts_of(one) for one in nearest.differences[:_MOST_TOLD]],
        foreign=[one.sentence for one in nearest.foreign[:_MOST_TOLD]],
    )
