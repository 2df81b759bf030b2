"""What the ledger tells of revisions that committed something and were not seen to be recorded."""

from dataclasses import dataclass
from datetime import datetime

from migrator.model import RevisionId
from migrator.postgres.session import Session


@dataclass(frozen=True, slots=True)
class HalfApplied:
    """What one run left of one revision. Statements are without values; one that was cut ends with `…`.

    `begun` was sent, and nobody heard whether it was committed. `digest` is that of the revision's file.
    """

    run_id: str
    version_table: str  # with its schema
    revision: RevisionId
    digest: str
    committed: tuple[str, ...]  # the first of them
    committed_count: int
    begun: str | None
    noted: datetime
    release: str | None = None
    backup_location: str | None = None


def read_half_applied(session: Session) -> tuple[HalfApplied, ...]:
    """What nobody has settled, oldest first; nothing where it is not kept, or we may not read it."""
    may_read = session.rows(
        "SELECT has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') "
        "FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid "
        "WHERE n.nspname = 'migrator' AND c.relname = 'half_applied'"
    )
    if may_read != [(True,)]:
        return ()
    rows = session.rows(
        "SELECT h.run_id, h.version_table, h.revision, h.digest, h.committed, h.committed_count, h.begun, "
        "h.noted_at, r.release, r.backup_location "
        "FROM migrator.half_applied h LEFT JOIN migrator.run r ON r.id = h.run_id "
        "WHERE h.settled_at IS NULL AND (h.committed_count > 0 OR h.begun IS NOT NULL) "
        "ORDER BY r.started_at NULLS FIRST, h.noted_at"
    )
    return tuple(
        HalfApplied(run, table, RevisionId(id_), digest, tuple(committed), count, begun, noted, *known)
        for run, table, id_, digest, committed, count, begun, noted, *known in rows
    )
