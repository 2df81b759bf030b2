"""The ledger's tables, schema `migrator` of the target database.

`migrator.run` has a row per run that led; `migrator.revision` a row per revision of the lineage, with
parents, so that an older release can tell *ahead* from *diverged*; `migrator.version_table` names the version
tables `env.py` configures, so that a deploy with nothing to do need not run it.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from migrator.errors import AccessDenied
from migrator.model import RevisionId, VersionTable
from migrator.postgres.session import Session

SCHEMA_VERSION = 1
_COMMENT = f"migrator ledger, version {SCHEMA_VERSION}"

_CREATE = f"""
CREATE SCHEMA IF NOT EXISTS migrator;
CREATE TABLE IF NOT EXISTS migrator.run (
    id text PRIMARY KEY,
    app text NOT NULL,
    release text NOT NULL,
    release_digest text,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    outcome text,
    exit_code int,
    heads_before text[] NOT NULL,
    heads_after text[],
    backup_location text,
    backup_sha256 text,
    error text
);
CREATE TABLE IF NOT EXISTS migrator.revision (
    id text PRIMARY KEY,
    parents text[] NOT NULL,
    digest text,
    applied_at timestamptz,
    run_id text,
    found boolean NOT NULL
);
CREATE TABLE IF NOT EXISTS migrator.version_table (
    history text NOT NULL,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    PRIMARY KEY (history, schema_name, table_name)
);
COMMENT ON SCHEMA migrator IS '{_COMMENT}';
"""


@dataclass(frozen=True, slots=True)
class LedgerView:
    """What the ledger says; empty when there is none or the role may not read it."""

    exists: bool = False
    version_tables: tuple[VersionTable, ...] = ()
    parents: Mapping[RevisionId, frozenset[RevisionId]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunStart:
    """What is known of a run when it begins to lead."""

    id: str
    app: str
    release: str
    release_digest: str
    started: datetime
    heads_before: tuple[RevisionId, ...]


@dataclass(frozen=True, slots=True)
class RunEnd:
    """What is known of it at the end."""

    outcome: str
    exit_code: int
    heads_after: tuple[RevisionId, ...]
    backup_location: str | None = None
    backup_sha256: str | None = None
    error: str | None = None


def read_ledger(session: Session, history: str, *, with_parents: bool = False) -> LedgerView:
    """Read the version tables of one history, and the parents of every recorded revision if asked for.

    One database can hold several histories; what tells them apart are the revisions they begin with.
    """
    try:
        if session.value("SELECT to_regclass('migrator.version_table')") is None:
            return LedgerView()
        tables = session.rows(
            "SELECT table_name, schema_name FROM migrator.version_table WHERE history = %s ORDER BY 2, 1",
            [history],
        )
        parents = session.rows("SELECT id, parents FROM migrator.revision") if with_parents else []
    except AccessDenied:  # a gate's role may lack it: then nothing is known
        return LedgerView()
    return LedgerView(
        exists=True,
        version_tables=tuple(VersionTable(name, schema) for name, schema in tables),
        parents={RevisionId(id_): frozenset(map(RevisionId, above)) for id_, above in parents},
    )


class Ledger:
    """Writes the ledger through a session of its own."""

    def __init__(self, session: Session) -> None:
        """Take over this session."""
        self._session = session

    @classmethod
    def open(cls, session: Session) -> "Ledger":
        """Create what is missing. Raises `MigratorError` when the role may not: then close the session.

        Whoever holds a lock on the ledger must not hold up the deploy.
        """
        session.rows(
            "SELECT set_config('lock_timeout', '2s', false), set_config('statement_timeout', '10s', false)"
        )
        if (
            session.value("SELECT obj_description(to_regnamespace('migrator')::oid, 'pg_namespace')")
            != _COMMENT
        ):
            session.rows(f"BEGIN; {_CREATE} COMMIT")
        return cls(session)

    def begin(self, run: RunStart) -> None:
        """Record that a run leads and is about to change something."""
        self._session.rows(
            "INSERT INTO migrator.run (id, app, release, release_digest, started_at, heads_before) "
            "VALUES (%s, %s, %s, %s, %s, %s)",
            [run.id, run.app, run.release, run.release_digest, run.started, list(run.heads_before)],
        )

    def end(self, run_id: str, end: RunEnd) -> None:
        """Record how it ended."""
        self._session.rows(
            "UPDATE migrator.run SET finished_at = clock_timestamp(), outcome = %s, exit_code = %s, "
            "heads_after = %s, backup_location = %s, backup_sha256 = %s, error = %s WHERE id = %s",
            [
                end.outcome,
                end.exit_code,
                list(end.heads_after),
                end.backup_location,
                end.backup_sha256,
                end.error,
                run_id,
            ],
        )

    def record_version_tables(self, history: str, tables: Iterable[VersionTable]) -> None:
        """Keep where the version rows are, for runs that must not run `env.py`; forget where they were."""
        names = json.dumps([[table.schema or "public", table.name] for table in tables])
        self._session.rows(
            "DELETE FROM migrator.version_table WHERE history = %s AND NOT "
            "jsonb_build_array(schema_name, table_name) IN (SELECT jsonb_array_elements(%s::jsonb))",
            [history, names],
        )
        self._session.rows(
            "INSERT INTO migrator.version_table (history, schema_name, table_name) "
            "SELECT %s, r ->> 0, r ->> 1 FROM jsonb_array_elements(%s::jsonb) r ON CONFLICT DO NOTHING",
            [history, names],
        )

    def record_revisions(
        self,
        parents: Mapping[RevisionId, Iterable[RevisionId]],
        *,
        run_id: str,
        applied: Mapping[RevisionId, datetime],
    ) -> None:
        """Record the lineage: those applied by this run with time, the others as found before."""
        rows = [
            (id_, sorted(above), applied[id_].isoformat(), run_id)
            if id_ in applied
            else (id_, sorted(above), None, None)
            for id_, above in parents.items()
        ]
        self._session.rows(
            """
            INSERT INTO migrator.revision (id, parents, applied_at, run_id, found)
            SELECT r ->> 0, ARRAY(SELECT jsonb_array_elements_text(r -> 1)), (r ->> 2)::timestamptz, r ->> 3,
                r ->> 3 IS NULL
            FROM jsonb_array_elements(%s::jsonb) r
            ON CONFLICT (id) DO UPDATE SET parents = excluded.parents,
                applied_at = coalesce(excluded.applied_at, migrator.revision.applied_at),
                run_id = coalesce(excluded.run_id, migrator.revision.run_id),
                found = migrator.revision.found AND excluded.found
            """,
            [json.dumps(rows)],
        )

    def close(self) -> None:
        """Let go of the session."""
        self._session.close()
