"""What the catalogs say: version rows, whether anything is there, indexes that are INVALID."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from migrator.errors import AccessDenied
from migrator.model import RevisionId, VersionRows, VersionTable
from migrator.postgres.session import Session

# A relation counts unless it is the server's, an extension's or temporary.
COUNTED = """
c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
AND n.nspname NOT IN ('pg_catalog', 'information_schema')
AND n.nspname !~ '^pg_(toast|temp)'
AND NOT EXISTS (
    SELECT FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
)
"""
# Somebody builds the index `i` right now. What another role builds is hidden without pg_read_all_stats, but
# not which table it locks.
BEING_BUILT = """EXISTS (
    SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid
    OR p.relid IS NULL AND EXISTS (
        SELECT FROM pg_locks l WHERE l.pid = p.pid AND l.relation = i.indrelid
        AND l.locktype = 'relation' AND l.mode = 'ShareUpdateExclusiveLock'
    )
)"""

# What a REINDEX CONCURRENTLY leaves beside the index that it was to replace.
_REINDEXED = re.compile(r"_cc(?:new|old)\d*$")


@dataclass(frozen=True, slots=True, order=True)
class InvalidIndex:
    """An index that a CONCURRENTLY build left unfinished."""

    schema: str
    name: str
    table: str

    def __str__(self) -> str:
        """Name it with its table."""
        return f"{self.schema}.{self.name} on {self.table}"

    @property
    def drop_statement(self) -> str:
        """The SQL that removes it without blocking anybody."""
        return f"DROP INDEX CONCURRENTLY {quoted(self.schema)}.{quoted(self.name)}"

    @property
    def repair_statement(self) -> str:
        """The SQL that builds it; what is only the rest of a rebuild is dropped.

        Source: PostgreSQL, REINDEX, "Rebuilding Indexes Concurrently".
        """
        if _REINDEXED.search(self.name):
            return self.drop_statement
        return f"REINDEX INDEX CONCURRENTLY {quoted(self.schema)}.{quoted(self.name)}"

    @property
    def remedy(self) -> str:
        """What somebody does about it: nobody knows whether it is still wanted."""
        ways = dict.fromkeys((self.repair_statement, self.drop_statement))
        return ", or ".join(ways)


def read_version_rows(session: Session, tables: Iterable[VersionTable]) -> tuple[VersionRows, ...]:
    """Read each version table. Raises `AccessDenied` when the role may not."""
    return tuple(_read_one(session, table) for table in tables)


def _read_one(session: Session, table: VersionTable) -> VersionRows:
    where = (session.client_side_pid, table.schema, table.name)
    oid, shaped, schema, _ = session.row(
        """
        SELECT c.oid, a.attnum IS NOT NULL, n.nspname,
            -- A leader may be changing the version table itself: nobody waits in its queue. Behind a pooler
            -- the setting would stay in sessions of the app's.
            CASE pg_backend_pid() WHEN %s THEN set_config('lock_timeout', '2s', false) END
        FROM (SELECT to_regclass(concat_ws('.', quote_ident(%s::text), quote_ident(%s::text)))::oid) t(oid)
        LEFT JOIN pg_class c ON c.oid = t.oid
        LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'version_num' AND NOT a.attisdropped
        """,
        where,
    )
    if oid is None:
        return VersionRows(table, exists=False)
    table = VersionTable(table.name, schema)
    if not shaped:
        return VersionRows(table, exists=True, is_misshapen=True)
    name = f"{quoted(schema)}.{quoted(table.name)}"
    try:
        rows = session.rows(f"SELECT version_num::text FROM {name}")  # noqa: S608 - quoted above
    except AccessDenied as error:
        raise AccessDenied(
            f"the role may not read the version table {name}",
            remedy=f"GRANT USAGE ON SCHEMA {quoted(schema)} and GRANT SELECT ON {name} to it",
        ) from error
    found = [row[0] for row in rows]
    nonsense = tuple(sorted({one for one in found if not _may_be_revision(one)}, key=str))
    kept = frozenset(RevisionId(one) for one in found if one not in nonsense)
    return VersionRows(table, exists=True, rows=kept, nonsense=nonsense)


def _may_be_revision(row: str | None) -> bool:
    """Whether Alembic would take it for an id: not blank, printable, and none of its own signs in it."""
    return row is not None and bool(row.strip()) and row.isprintable() and {"@", "+", "-"}.isdisjoint(row)


def quoted(name: str) -> str:
    """An identifier as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def object_names(session: Session, besides: Iterable[VersionTable]) -> tuple[str, ...]:
    """Tables, views and sequences that somebody made, as `schema.name`, version tables left out."""
    names = sorted({table.name for table in besides})
    rows = session.rows(
        f"SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "  # noqa: S608
        f"WHERE {COUNTED} AND n.nspname <> 'migrator' AND NOT c.relname = ANY(%s) "
        "ORDER BY c.relkind <> 'r', 1, 2",
        [names],
    )
    return tuple(f"{schema}.{name}" for schema, name in rows)


def invalid_indexes(session: Session) -> frozenset[InvalidIndex]:
    """Indexes that no query uses, those being built right now left out."""
    rows = session.rows(
        f"""
        SELECT n.nspname, c.relname, i.indrelid::regclass::text
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE NOT i.indisvalid AND c.relkind = 'i' AND NOT {BEING_BUILT}
        """  # noqa: S608 - our own text
    )
    return frozenset(InvalidIndex(*row) for row in rows)


def index_validity(session: Session, names: Iterable[str]) -> dict[str, frozenset[bool]]:
    """Of those that stand, in whatever schema: whether they are valid."""
    rows = session.rows(
        "SELECT c.relname, array_agg(DISTINCT i.indisvalid) FROM pg_index i JOIN pg_class c "
        "ON c.oid = i.indexrelid WHERE c.relname = ANY(%s) GROUP BY 1",
        [list(names)],
    )
    return {name: frozenset(valid) for name, valid in rows}


def database_size_bytes(session: Session) -> int:
    """Size of the database on the server's disk."""
    return int(session.value("SELECT pg_database_size(current_database())"))


def database_identity(session: Session) -> str:
    """Which database of which server; empty where the service hides it.

    By its name: one that a restore put in its place goes on being it.
    """
    if not session.value("SELECT has_function_privilege('pg_control_system()', 'EXECUTE')"):
        return ""
    return str(
        session.value("SELECT concat_ws('/', system_identifier, current_database()) FROM pg_control_system()")
    )
