"""What the ledger says; whatever cannot be read of it counts as unknown.

Rows of tables that grew over the ledger's versions are read as documents, in which what an older one lacks is
absent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from migrator.errors import AccessDenied
from migrator.model import RevisionId, VersionTable
from migrator.postgres.session import Session

# One row, whatever there is, and no refusal in the server's log. Somebody may hold a lock on the ledger:
# nobody waits in its queue.
_LOOK = """
SELECT
    c.oid IS NOT NULL AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'),
    CASE
        WHEN c.oid IS NOT NULL THEN pg_has_role(c.relowner, 'USAGE')
        WHEN n.oid IS NOT NULL THEN has_schema_privilege(n.oid, 'CREATE')
        ELSE has_database_privilege(current_database(), 'CREATE')
    END,
    pg_backend_pid(),
    -- Behind a pooler it would stay in sessions of the app's.
    CASE pg_backend_pid() WHEN %s THEN set_config('lock_timeout', '2s', false) END
FROM (SELECT) one
LEFT JOIN pg_namespace n ON n.nspname = 'migrator'
LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'version_table'
"""


@dataclass(frozen=True, slots=True)
class LedgerView:
    """What the ledger says; empty when there is none or the role may not read it.

    `heads` are the version rows of this history when it was last recorded, None if never; `may_keep` tells
    whether our role could lead, and write the ledger or make one.
    """

    exists: bool = False
    version_tables: tuple[VersionTable, ...] = ()
    heads: frozenset[RevisionId] | None = None
    parents: Mapping[RevisionId, frozenset[RevisionId]] = field(default_factory=dict)
    releases: Mapping[RevisionId, str] = field(default_factory=dict)
    may_keep: bool = False


@dataclass(frozen=True, slots=True)
class LastTry:
    """How the last run under the same circumstances ended; without an exit code it did not."""

    run_id: str
    exit_code: int | None
    heads_after: frozenset[RevisionId]
    error: str
    remedy: str | None
    finished: datetime | None
    age: timedelta  # by the database's clock


def read_ledger(session: Session, history: str, *, with_parents: bool = False) -> LedgerView:
    """Read the version tables of one history, and the parents of every recorded revision if asked for.

    One database can hold several histories; what tells them apart are the revisions they begin with.
    """
    readable, may_keep, pid, _ = session.row(_LOOK, [session.client_side_pid])
    may_keep = bool(may_keep) and pid == session.client_side_pid  # no leader behind a pooler
    if not readable:
        return LedgerView(may_keep=may_keep)
    try:
        tables = session.rows(
            "SELECT table_name, schema_name, to_jsonb(t) -> 'heads' FROM migrator.version_table t "
            "WHERE history = %s ORDER BY 2, 1",
            [history],
        )
        parents = session.rows("SELECT id, parents FROM migrator.revision") if with_parents else []
        releases = _releases(session) if with_parents else {}
    except AccessDenied:  # a gate's role may lack it: then nothing is known
        return LedgerView()
    recorded = [heads for _, _, heads in tables]
    return LedgerView(
        exists=True,
        version_tables=tuple(VersionTable(name, schema) for name, schema, _ in tables),
        heads=frozenset(RevisionId(one) for heads in recorded for one in heads)
        if recorded and None not in recorded
        else None,
        parents={RevisionId(id_): frozenset(map(RevisionId, above)) for id_, above in parents},
        releases=releases,
        may_keep=may_keep,
    )


def _releases(session: Session) -> dict[RevisionId, str]:
    """Which release applied each revision, as far as we may know."""
    may = "SELECT has_table_privilege(to_regclass('migrator.run')::oid, 'SELECT')"
    if not session.value(may):
        return {}
    rows = session.rows(
        "SELECT v.id, r.release FROM migrator.revision v JOIN migrator.run r ON r.id = v.run_id"
    )
    return {RevisionId(id_): release for id_, release in rows}


def read_digests(session: Session, algorithm: int) -> dict[RevisionId, str]:
    """The digests that were recorded by this algorithm. Raises `AccessDenied`."""
    rows = session.rows(
        "SELECT id, digest FROM migrator.revision r "
        "WHERE digest IS NOT NULL AND (to_jsonb(r) ->> 'digest_algorithm')::int = %s",
        [algorithm],
    )
    return {RevisionId(id_): digest for id_, digest in rows}


def has_only_failed_beginnings(session: Session) -> bool:
    """Whether the database was empty when the first run began, and no run since committed any of a revision.

    A run that was killed could not say what it left behind. Raises `AccessDenied`.
    """
    return bool(
        session.value(
            "SELECT (array_agg(coalesce(to_jsonb(r) ->> 'began_empty', 'f')::bool ORDER BY started_at))[1] "
            "AND bool_and(finished_at IS NOT NULL AND exit_code <> 0 AND heads_before = '{}' "
            "AND heads_after = '{}' AND to_jsonb(r) -> 'half_applied' = '[]') "
            "FROM migrator.run r"
        )
    )


def read_last_try(session: Session, circumstances: str) -> LastTry | None:
    """The last run under these circumstances, if there was one. Raises `AccessDenied`."""
    rows = session.rows(
        "SELECT id, exit_code, coalesce(heads_after, heads_before), coalesce(error, ''), "
        "to_jsonb(r) ->> 'remedy', finished_at, clock_timestamp() - coalesce(finished_at, started_at) "
        "FROM migrator.run r WHERE to_jsonb(r) ->> 'circumstances' = %s ORDER BY started_at DESC LIMIT 1",
        [circumstances],
    )
    for run_id, exit_code, heads, error, remedy, finished, age in rows:
        return LastTry(run_id, exit_code, frozenset(map(RevisionId, heads)), error, remedy, finished, age)
    return None
