"""Replay: the release's revisions, run on a scratch database, with the schema that each of them builds."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from migrator.errors import MigrationFailed, MigratorError, RevisionsInvalid, StateRefused
from migrator.history.attempt import must_have_run
from migrator.history.failure import Failure, judged
from migrator.history.graph import Graph
from migrator.history.listen import Listener
from migrator.history.process import Report, WorkerProcess
from migrator.model import RevisionId, VersionTable
from migrator.schema.queries import QUERIES, SETUP, Query
from migrator.schema.snapshot import Snapshot


def _asking(queries: Iterable[Query]) -> dict[str, list[str]]:
    """What a worker asks the catalogs after each revision."""
    return {"setup": list(SETUP), "queries": [one.sql for one in queries]}


# Enough to know what was ever made; for a long history that is most of the time saved.
_WHOLE_OBJECTS = frozenset(
    "schemas, tables, views, sequences, functions, aggregates, enums, domains, composite types, "
    "range types".split(", ")
)
_SCHEMA_ORDERS = _asking(QUERIES)
_NAMES_ORDERS = _asking(one for one in QUERIES if one.name in _WHOLE_OBJECTS)

_TOLD_EVERY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Built:
    """The schema at one point of a replay: after this revision, with all these applied; None is before."""

    revision: RevisionId | None
    applied: frozenset[RevisionId]
    schema: Snapshot


@dataclass
class Replayed:
    """What one worker built on the scratch database."""

    tables: tuple[VersionTable, ...] = ()
    points: list[Built] = field(default_factory=list)
    failure: Failure | None = None

    @property
    def done(self) -> tuple[RevisionId, ...]:
        """The revisions whose schema was told, in order."""
        return tuple(one.revision for one in self.points if one.revision is not None)


@dataclass(frozen=True, slots=True)
class Replayer:
    """Runs workers on one scratch database; its listener's launch leads there."""

    listener: Listener
    graph: Graph

    def build_named(self, wanted: Collection[RevisionId]) -> Replayed:
        """Build these revisions, which hold their own ancestors, with what objects there are after each."""
        worker = self.listener.launch.replay(wanted, _NAMES_ORDERS)
        return self._watched(worker, _Progress(self.listener, len(wanted)))

    def build_watched(self, wanted: Collection[RevisionId]) -> Replayed:
        """The same, with the whole schema after each revision. What failed is in the answer."""
        worker = self.listener.launch.replay(wanted, _SCHEMA_ORDERS)
        return self._watched(worker, _Progress(self.listener, len(wanted)))

    def take_back_watched(self, target: str, wanted: Collection[RevisionId]) -> Replayed:
        """Downgrade to a target, by these revisions alone, with the schema after each."""
        progress = _Progress(self.listener, len(wanted), "taken back")
        return self._watched(self.listener.launch.downgrade(target, wanted, _SCHEMA_ORDERS), progress)

    def _watched(self, worker: WorkerProcess, progress: "_Progress") -> Replayed:
        replayed, snapshot = Replayed(), Snapshot.of(())
        applied: set[RevisionId] = set()

        def told(report: Report) -> None:
            nonlocal snapshot
            gone = [(kind, name) for kind, name in report["gone"]]
            snapshot = snapshot.changed(add=[tuple(row) for row in report["changed"]], remove=gone)
            revision = report["revision"]
            if revision is not None:
                applied.add(RevisionId(revision))
            replayed.points.append(Built(revision, frozenset(applied), snapshot))
            progress.tell(len(applied))

        attempt = self.listener.follow(worker, told=told)
        replayed.tables, replayed.failure = attempt.tables, attempt.failure
        if attempt.failure is None:
            must_have_run(attempt)
        return replayed


class _Progress:
    """Tells how many revisions have been built, at most once a second."""

    def __init__(self, listener: Listener, of: int, done: str = "built") -> None:
        self._events, self._clock = listener.events, listener.clock
        self._of, self._done = of, done
        self._told = self._clock.monotonic()

    def tell(self, number: int) -> None:
        now = self._clock.monotonic()
        if now - self._told < _TOLD_EVERY_SECONDS:
            return
        self._told = now
        self._events.record(
            "replay.progressed",
            f"replaying: {number} of {self._of} revisions {self._done} on a scratch database",
            replayed=number,
            of=self._of,
        )


def cannot_replay(failure: Failure) -> MigratorError:
    """What it means for a proof that a revision cannot be built from nothing."""
    error = judged(failure)
    if not isinstance(error, (MigrationFailed, RevisionsInvalid)):
        return error
    at = f"revision {failure.revision}" if failure.revision else "env.py"
    return StateRefused(
        f"this history cannot be replayed on an empty database: {at}: {failure.message}",
        remedy="its first tables may come from elsewhere, or a revision needs data: nothing can be proven "
        "then; `adopt --at REV --accept-differences` records what a person knows",
        **error.facts,
    )


def chains(graph: Graph, targets: Collection[RevisionId]) -> Iterator[frozenset[RevisionId]]:
    """Sets of revisions to replay, so that each revision is met once with nothing but its ancestors applied.

    The first is all of them, in Alembic's order. What stands on a branch that comes second there is met in a
    set of its own.
    """
    order = [one.id for one in graph.pending((), graph.heads)]
    met: set[RevisionId] = set()
    todo = graph.ancestors(targets)
    left = [one for one in order if one in todo]
    while left:
        yield todo
        met |= _met(graph, [one for one in order if one in todo])
        left = [one for one in left if one not in met]
        todo = graph.ancestors(left[-1:])


def _met(graph: Graph, order: Collection[RevisionId]) -> set[RevisionId]:
    """Those that are applied, in this order, when all applied before them are their ancestors."""
    found: set[RevisionId] = set()
    for number, revision in enumerate(order, 1):
        if len(graph.ancestors((revision,))) == number:  # what stands before holds all its ancestors
            found.add(revision)
    return found
