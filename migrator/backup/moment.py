"""The moment a dump is of: what its snapshot says, read in the transaction that exported it."""

from collections.abc import Iterable
from dataclasses import dataclass

from migrator.backup.manifest import Creation
from migrator.model import RevisionId, VersionTable
from migrator.postgres.catalog import (
    COUNTED,
    database_identity,
    database_size_bytes,
    read_version_rows,
)
from migrator.postgres.scratch import likeness
from migrator.postgres.session import Session


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the snapshot that a dump of the whole database holds."""

    schema: bytes  # as the archive's encoding writes it
    name: bytes
    shown: str  # `schema.name`, quoted where needed
    has_rows_itself: bool  # a partitioned table has none but its partitions'
    above: tuple[str, ...] = ()  # the partitioned tables it is a part of, as they are shown


@dataclass(frozen=True, slots=True)
class Moment:
    """What a backup is checked against, and what its manifest says of the database."""

    snapshot: str
    encoding: str
    tables: tuple[Table, ...]
    version_rows: dict[str, tuple[RevisionId, ...]]
    large_objects: int
    extensions: dict[str, str]
    creation: Creation
    lsn: str
    database_id: str
    database_size_bytes: int
    server_version: int

    @property
    def heads(self) -> tuple[RevisionId, ...]:
        """Every version row."""
        return tuple(sorted({row for rows in self.version_rows.values() for row in rows}))


def take_snapshot(session: Session, version_tables: Iterable[VersionTable]) -> Moment:
    """Export a snapshot and read it; the transaction stays open, for the dump works in it.

    No table is locked here: one that somebody holds is pg_dump's to wait for.
    """
    session.rows("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    snapshot = session.value("SELECT pg_export_snapshot()")
    return Moment(
        snapshot=str(snapshot),
        lsn=str(session.value("SELECT pg_current_wal_lsn()")),
        encoding=str(session.value("SELECT getdatabaseencoding()")),
        tables=tables_of(session),
        version_rows=version_rows_of(session, version_tables),
        large_objects=int(session.value("SELECT count(*) FROM pg_largeobject_metadata")),
        extensions=dict(session.rows("SELECT extname, extversion FROM pg_extension ORDER BY 1")),
        creation=_creation(session),
        database_id=database_identity(session),
        database_size_bytes=database_size_bytes(session),
        server_version=session.server_version,
    )


def tables_of(session: Session) -> tuple[Table, ...]:
    """Every table that a dump of the whole database holds."""
    rows = session.rows(
        f"""
        SELECT convert_to(n.nspname::text, getdatabaseencoding()),
            convert_to(c.relname::text, getdatabaseencoding()),
            quote_ident(n.nspname) || '.' || quote_ident(c.relname),
            c.relkind = 'r',
            ARRAY(
                SELECT quote_ident(an.nspname) || '.' || quote_ident(ac.relname)
                FROM pg_partition_ancestors(c.oid) a JOIN pg_class ac ON ac.oid = a.relid
                JOIN pg_namespace an ON an.oid = ac.relnamespace
                WHERE c.relispartition AND ac.oid <> c.oid
            )
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {COUNTED} AND c.relkind IN ('r', 'p') ORDER BY 3
        """  # noqa: S608 - a constant of ours
    )
    return tuple(Table(schema, name, shown, own, tuple(above)) for schema, name, shown, own, above in rows)


def version_rows_of(session: Session, tables: Iterable[VersionTable]) -> dict[str, tuple[RevisionId, ...]]:
    """What the version tables hold, by their names as SQL writes them."""
    found = [one for one in read_version_rows(session, tables) if one.exists]
    name = "SELECT quote_ident(%s) || '.' || quote_ident(%s)"
    return {session.value(name, [one.table.schema, one.table.name]): tuple(sorted(one.rows)) for one in found}


def _creation(session: Session) -> Creation:
    like = likeness(session)
    owner, privileges = session.row(
        "SELECT pg_get_userbyid(datdba), coalesce(datacl::text[], '{}') FROM pg_database "
        "WHERE datname = current_database()"
    )
    return Creation(str(owner), like.options, like.settings, tuple(privileges))
