"""What the ledger tells of runs: the one that works now, and those before it.

Whatever version of the ledger it is: rows are read as documents, in which a column that an older one lacks is
absent and one that a newer one has is not looked at.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from migrator.errors import AccessDenied, DatabaseUnavailable
from migrator.model import RevisionId
from migrator.postgres.leader import Holder, current_leader
from migrator.postgres.session import Session

# Postgres keeps so much of an application's name; the run's id stands at its end.
_NAME_BYTES = 63
# The leader's own is the newest, unless clocks of several machines disagree.
_RECENT = 5


class Access(Enum):
    """Whether there is a ledger, and whether our role may read it."""

    NONE = "none"
    HIDDEN = "hidden"
    READABLE = "readable"


@dataclass(frozen=True, slots=True)
class Progress:
    """Which revision of its plan a run is applying; `since` when."""

    position: int
    planned: int
    revision: RevisionId
    since: datetime | None


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """One run that led. Without `finished` it is at work, or died: the leader lock tells which."""

    id: str
    app: str
    release: str
    started: datetime | None
    finished: datetime | None = None
    outcome: str | None = None
    exit_code: int | None = None
    applied: int = 0
    heads_before: tuple[RevisionId, ...] = ()
    heads_after: tuple[RevisionId, ...] | None = None
    error: str | None = None
    progress: Progress | None = None

    def is_led_by(self, holder: Holder) -> bool:
        """Whether this session holds the leader lock for this run."""
        if self.finished is not None:
            return False
        name = holder.application or ""
        is_cut = len(name.encode()) >= _NAME_BYTES and name.startswith("migrator ")
        return is_cut or name.endswith(f" run {self.id}")


@dataclass(frozen=True, slots=True)
class Leading:
    """Who leads now, and its run as far as the ledger tells."""

    holder: Holder
    run: RecordedRun | None

    def __str__(self) -> str:
        """What it is doing, in a sentence's second half."""
        if self.run is None:
            return f"{self.holder} leads"
        progress = self.run.progress
        if progress is None:
            since = _since(self.run.started)
            return f"release {self.run.release} leads{since}"
        of = f"revision {progress.position} of {progress.planned} ({progress.revision})"
        return f"release {self.run.release} is applying {of}{_since(progress.since)}"

    @property
    def facts(self) -> dict[str, Any]:
        """The same for events."""
        run = self.run
        progress = run.progress if run else None
        return {
            "leader": str(self.holder),
            "release": run.release if run else None,
            "run_id": run.id if run else None,
            "position": progress.position if progress else None,
            "planned": progress.planned if progress else None,
            "revision": progress.revision if progress else None,
            "since": rfc3339(progress.since) if progress else None,
        }


def who_leads(session: Session) -> Leading | None:
    """The leader with its run; the ledger is only asked where somebody leads."""
    holders = current_leader(session)
    if not holders:
        return None
    runs = last_runs(session, at_most=_RECENT)
    return Leading(holders[0], next((run for run in runs if run.is_led_by(holders[0])), None))


def ledger_access(session: Session) -> Access:
    """Ask the catalog, not the ledger: a refusal would stand in the server's log at every look."""
    found = session.rows(
        "SELECT has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') "
        "FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid "
        "WHERE n.nspname = 'migrator' AND c.relname IN ('run', 'revision', 'version_table')"
    )
    if not found:
        return Access.NONE
    return Access.READABLE if all(may for (may,) in found) else Access.HIDDEN


def last_runs(session: Session, *, at_most: int) -> tuple[RecordedRun, ...]:
    """The runs that led, newest first; none where there is no ledger, or none that we may read."""
    if ledger_access(session) is not Access.READABLE:
        return ()
    try:
        rows = session.rows(
            "SELECT to_jsonb(r), (SELECT count(*) FROM migrator.revision v WHERE v.run_id = r.id) "
            "FROM (SELECT * FROM migrator.run ORDER BY started_at DESC LIMIT %s) r ORDER BY started_at DESC",
            [at_most],
        )
    except (AccessDenied, DatabaseUnavailable):  # it is only a view
        return ()
    return tuple(_run(document, applied) for document, applied in rows)


def failed_runs(session: Session) -> frozenset[str]:
    """The ids of all runs that did not end in 0, or not at all. Raises `AccessDenied`."""
    rows = session.rows("SELECT id FROM migrator.run WHERE exit_code IS DISTINCT FROM 0")
    return frozenset(id_ for (id_,) in rows)


def _run(document: Mapping[str, Any], applied: int) -> RecordedRun:
    after = document.get("heads_after")
    return RecordedRun(
        id=str(document.get("id")),
        app=str(document.get("app")),
        release=str(document.get("release")),
        started=_moment(document.get("started_at")),
        finished=_moment(document.get("finished_at")),
        outcome=document.get("outcome"),
        exit_code=document.get("exit_code"),
        applied=applied,
        heads_before=tuple(map(RevisionId, document.get("heads_before") or ())),
        heads_after=None if after is None else tuple(map(RevisionId, after)),
        error=document.get("error"),
        progress=_progress(document),
    )


def _progress(document: Mapping[str, Any]) -> Progress | None:
    position, planned, revision = (document.get(name) for name in ("position", "planned", "revision"))
    if not isinstance(position, int) or not isinstance(planned, int) or revision is None:
        return None
    return Progress(position, planned, RevisionId(revision), _moment(document.get("revision_started_at")))


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def rfc3339(moment: datetime | None) -> str | None:
    """A moment as events and documents write it."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if moment else None


def _since(moment: datetime | None) -> str:
    return f" since {moment.astimezone(UTC):%H:%M:%S}Z" if moment else ""
