"""Load the release's revision graph: statically where that is certain, else by asking Alembic in a worker."""

from collections.abc import Callable
from pathlib import Path

from migrator.errors import RevisionsInvalid
from migrator.history.failure import Failure, judged
from migrator.history.graph import Graph
from migrator.history.process import Report, WorkerProcess, unfit_interpreter
from migrator.history.project import Project
from migrator.history.reader import read_revisions
from migrator.history.release import (
    Release,
    history_name,
    named_version_table,
    static_version_table,
)
from migrator.history.target import resolve_target
from migrator.model import Revision, RevisionId
from migrator.settings import Settings

_TICK_SECONDS = 5.0


def load_release(
    project: Project, python: Path, settings: Settings, ask_alembic: Callable[[], WorkerProcess]
) -> Release:
    """The release with its graph and targets. Raises `RevisionsInvalid` when they cannot be trusted."""
    revisions = read_revisions(project)
    if revisions is None:
        revisions = _asked(ask_alembic(), python)
    graph = Graph.build(revisions)
    named = named_version_table(settings)
    return Release(
        project,
        python,
        graph,
        resolve_target(graph, settings.target),
        history=history_name(graph, project, settings),
        named_table=named,
        static_table=None if named else static_version_table(project),
    )


def _asked(worker: WorkerProcess, python: Path) -> tuple[Revision, ...]:
    """What Alembic itself says, at the price of importing it and every revision."""
    found: tuple[Revision, ...] | None = None
    is_ready = False
    try:
        for report in worker.reports(_TICK_SECONDS):
            if report["is"] == "failed":
                raise judged(Failure.reported(report))
            is_ready |= report["is"] == "ready"
            if report["is"] == "history":
                found = tuple(_revision(one) for one in report["revisions"])
    finally:
        worker.kill()
    if found is None and not is_ready:
        raise unfit_interpreter(python)
    if found is None:
        raise RevisionsInvalid(
            "the worker ended without telling the revisions",
            remedy="see the output above; plain `alembic history` should fail as well",
        )
    return found


def _revision(report: Report) -> Revision:
    return Revision(
        id=RevisionId(report["id"]),
        down=tuple(map(RevisionId, report["down"])),
        depends_on=tuple(report["depends_on"]),
        labels=frozenset(report["labels"]),
        doc=report["doc"].splitlines()[0] if report["doc"] else "",
        path=Path(report["path"]) if report["path"] else None,
    )
