"""What one worker said of its work."""

from dataclasses import dataclass, field
from datetime import datetime

from migrator.errors import RevisionsInvalid
from migrator.history.failure import Failure
from migrator.history.process import Report
from migrator.model import RevisionId, VersionTable
from migrator.postgres.locks import Blocker, TableLock


@dataclass
class Attempt:
    """Filled in while the worker talks."""

    planned: tuple[str, ...] = ()
    started: dict[str, datetime] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    committed: dict[RevisionId, datetime] = field(default_factory=dict)
    partial: set[str] = field(default_factory=set)
    left_unvalidated: set[str | None] = field(default_factory=set)  # tables, by bare name; None is any
    tables: tuple[VersionTable, ...] = ()
    ready: bool = False
    reached: bool = False  # whether a session to the target was there, however briefly
    configured: bool = False
    finished: bool = False
    failure: Failure | None = None
    blockers: tuple[Blocker, ...] = ()
    awaited: frozenset[TableLock] = frozenset()  # what its sessions were seen waiting for
    is_way_back: bool = False  # revisions are taken back, not applied
    is_over_when_finished: bool = False  # whatever a project's own command does after Alembic is not wanted

    @property
    def half_applied(self) -> tuple[str, ...]:
        """Revisions of which a part is committed, but not the version row."""
        return tuple(sorted(self.partial - self.committed.keys()))

    def note(self, report: Report) -> None:
        """Take in what needs no event."""
        match report["is"]:
            case "ready":
                self.ready = True
            case "configured":
                self.configured = True
            case "version_table":
                table = VersionTable(report["name"], report["schema"])
                self.tables = (*self.tables, table) if table not in self.tables else self.tables
            case "planned":
                self.planned = (*self.planned, *report["ids"])
            case "applied":
                self.seconds[report["id"]] = report["seconds"]
            case "partial":
                self.partial.add(report["id"])
            case "unvalidated":
                self.left_unvalidated |= set(report["tables"])
            case "failed":
                self.failure = Failure.reported(report)
            case "finished":  # also after a failure that the project's own command got over
                self.finished, self.failure = True, None
            case _:
                return


def must_have_run(attempt: Attempt) -> None:
    """An `env.py` that ends in peace may still have done nothing."""
    missing = "context.run_migrations()" if attempt.configured else "context.configure() with a connection"
    if not attempt.tables:
        raise RevisionsInvalid(
            f"env.py ended without {missing}: nothing could be migrated",
            remedy="let env.py call context.configure(connection=…) and context.run_migrations() in "
            "online mode",
        )
