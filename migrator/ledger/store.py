"""Writing the ledger: the leader alone does, through a session of its own."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from migrator.ledger.schema import bring_up_to_date
from migrator.model import RevisionId, VersionTable
from migrator.postgres.session import Session


@dataclass(frozen=True, slots=True)
class RunStart:
    """What is known of a run when it is about to change something.

    `circumstances` is a digest of all that decides how it ends, but the version rows.
    """

    id: str
    app: str
    release: str
    release_digest: str
    heads_before: tuple[RevisionId, ...]
    circumstances: str | None = None
    began_empty: bool = False
    backup_location: str | None = None
    backup_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class RunEnd:
    """What is known of it at the end."""

    outcome: str
    exit_code: int
    heads_after: tuple[RevisionId, ...]
    backup_location: str | None = None
    backup_sha256: str | None = None
    error: str | None = None
    remedy: str | None = None
    half_applied: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Digests:
    """What each revision's file says now, by one algorithm; those that cannot be told are absent."""

    algorithm: int
    by_id: Mapping[RevisionId, str]


class Ledger:
    """Writes the ledger."""

    def __init__(self, session: Session) -> None:
        """Take over this session."""
        self._session = session

    @classmethod
    def open(cls, session: Session) -> "Ledger":
        """Create what is missing. Raises `MigratorError` when the role may not: then close the session."""
        prepare(session)
        bring_up_to_date(session)
        return cls(session)

    def begin(self, run: RunStart) -> None:
        """Record that a run leads and is about to change something; the time is the database's."""
        self._session.rows(
            "INSERT INTO migrator.run "
            "(id, app, release, release_digest, started_at, heads_before, circumstances, began_empty, "
            "backup_location, backup_sha256) "
            "VALUES (%s, %s, %s, %s, clock_timestamp(), %s, %s, %s, %s, %s)",
            [
                run.id,
                run.app,
                run.release,
                run.release_digest,
                list(run.heads_before),
                run.circumstances,
                run.began_empty,
                run.backup_location,
                run.backup_sha256,
            ],
        )

    def progress(self, run_id: str, *, planned: int, position: int, revision: str, seconds: float) -> None:
        """Record that the run has been applying this revision of its plan for so many seconds."""
        self._session.rows(
            "UPDATE migrator.run SET planned = %s, position = %s, revision = %s, "
            "revision_started_at = clock_timestamp() - make_interval(secs => %s) "
            "WHERE id = %s AND finished_at IS NULL",
            [planned, position, revision, seconds, run_id],
        )

    def end(self, run_id: str, end: RunEnd) -> None:
        """Record how it ended."""
        self._session.rows(
            "UPDATE migrator.run SET finished_at = clock_timestamp(), outcome = %s, exit_code = %s, "
            "heads_after = %s, backup_location = %s, backup_sha256 = %s, error = %s, remedy = %s, "
            "half_applied = %s WHERE id = %s",
            [
                end.outcome,
                end.exit_code,
                list(end.heads_after),
                end.backup_location,
                end.backup_sha256,
                end.error,
                end.remedy,
                list(end.half_applied),
                run_id,
            ],
        )

    def record_version_tables(
        self, history: str, tables: Iterable[VersionTable], heads: Iterable[RevisionId]
    ) -> None:
        """Keep where the version rows are, for runs that must not run `env.py`; forget where they were."""
        names = json.dumps([[table.schema or "public", table.name] for table in tables])
        self._session.rows(
            "DELETE FROM migrator.version_table WHERE history = %s AND NOT "
            "jsonb_build_array(schema_name, table_name) IN (SELECT jsonb_array_elements(%s::jsonb))",
            [history, names],
        )
        self._session.rows(
            "INSERT INTO migrator.version_table (history, schema_name, table_name, heads) "
            "SELECT %s, r ->> 0, r ->> 1, %s FROM jsonb_array_elements(%s::jsonb) r "
            "ON CONFLICT (history, schema_name, table_name) DO UPDATE SET heads = excluded.heads",
            [history, sorted(heads), names],
        )

    def record_revisions(
        self,
        parents: Mapping[RevisionId, Iterable[RevisionId]],
        digests: Digests,
        *,
        run_id: str,
        applied: Mapping[RevisionId, datetime],
    ) -> None:
        """Record the lineage: those applied by this run with time, the others as found before.

        The digest is that of the file that was applied, or of the first one seen where nobody knows; one by
        an older algorithm gives way, since nothing compares it any more.
        """
        rows = [
            [id_, sorted(above), *_by(run_id, applied.get(id_)), digests.by_id.get(id_)]
            for id_, above in parents.items()
        ]
        newer = (
            "NOT excluded.found OR known.digest IS NULL "
            "OR coalesce(known.digest_algorithm, 0) < excluded.digest_algorithm"
        )
        self._session.rows(
            f"""
            INSERT INTO migrator.revision AS known
                (id, parents, applied_at, run_id, found, digest, digest_algorithm)
            SELECT r ->> 0, ARRAY(SELECT jsonb_array_elements_text(r -> 1)), (r ->> 2)::timestamptz, r ->> 3,
                r ->> 3 IS NULL, r ->> 4, CASE WHEN r ->> 4 IS NOT NULL THEN %s END
            FROM jsonb_array_elements(%s::jsonb) r
            ON CONFLICT (id) DO UPDATE SET parents = excluded.parents,
                applied_at = coalesce(excluded.applied_at, known.applied_at),
                run_id = coalesce(excluded.run_id, known.run_id),
                found = known.found AND excluded.found,
                digest = CASE WHEN {newer} THEN excluded.digest ELSE known.digest END,
                digest_algorithm = CASE WHEN {newer} THEN excluded.digest_algorithm
                    ELSE known.digest_algorithm END
            """,  # noqa: S608 - only our own words
            [digests.algorithm, json.dumps(rows)],
        )

    def unproven(self, ids: Iterable[RevisionId]) -> tuple[RevisionId, ...]:
        """Which of these nobody has recorded: neither applied by a run nor adopted nor found before."""
        rows = self._session.rows(
            "SELECT id FROM unnest(%s::text[]) i(id) "
            "WHERE NOT EXISTS (SELECT FROM migrator.revision r WHERE r.id = i.id) "
            "AND NOT EXISTS (SELECT FROM migrator.adoption a WHERE a.revision = i.id) ORDER BY 1",
            [list(ids)],
        )
        return tuple(RevisionId(id_) for (id_,) in rows)

    def record_adoption(self, revision: RevisionId, differences: Sequence[str], *, run_id: str) -> None:
        """Record that this revision was stamped: proven by a replay, or in spite of these differences."""
        self._session.rows(
            "INSERT INTO migrator.adoption (revision, run_id, proven, differences) VALUES (%s, %s, %s, %s)",
            [revision, run_id, not differences, list(differences)],
        )

    def settle(self, revisions: Iterable[RevisionId]) -> None:
        """Whatever was half applied of these is whole, or repaired by somebody whose word it is."""
        self._session.rows(
            "UPDATE migrator.half_applied SET settled_at = clock_timestamp() "
            "WHERE settled_at IS NULL AND revision = ANY(%s)",
            [list(revisions)],
        )

    def accept_digest(self, revision: RevisionId, digest: str | None, algorithm: int) -> bool:
        """Take this for what was applied; False if the revision was never recorded."""
        changed = self._session.rows(
            "UPDATE migrator.revision SET digest = %s, digest_algorithm = %s WHERE id = %s RETURNING id",
            [digest, algorithm if digest else None, revision],
        )
        return bool(changed)


def prepare(session: Session) -> None:
    """Let nobody who holds a lock on the ledger hold up the deploy."""
    session.rows(
        "SELECT set_config('lock_timeout', '2s', false), set_config('statement_timeout', '10s', false)"
    )


def _by(run_id: str, applied: datetime | None) -> tuple[str | None, str | None]:
    return (applied.isoformat(), run_id) if applied is not None else (None, None)
