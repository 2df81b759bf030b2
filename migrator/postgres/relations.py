"""How large tables are, without waiting for anybody: what a statement of a plan would meet there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from migrator.errors import DatabaseUnavailable
from migrator.postgres.session import Session


@dataclass(frozen=True, slots=True)
class Measured:
    """A table of the target, or the one that an index belongs to, with its partitions.

    `rows` is the planner's estimate; None where the table was never analyzed. `size_bytes` is None while
    somebody has locked the table: nobody queues there just to measure.
    """

    schema: str
    name: str
    rows: int | None
    size_bytes: int | None

    def __str__(self) -> str:
        """Name it as a person would."""
        return f"{self.schema}.{self.name}"


Spelt = tuple[str | None, str]
"""Schema, if it was said, and name."""


def measure(session: Session, names: Iterable[Spelt]) -> Mapping[Spelt, Measured]:
    """Those of the names that there are, on the role's own search path."""
    wanted = sorted(set(names), key=str)
    # Behind a pooler the session is the app's too: nothing may stay set in it.
    session.rows(
        "SELECT set_config('lock_timeout', '500ms', false) WHERE pg_backend_pid() = %s",
        [session.client_side_pid],
    )
    schemas, tables = [schema for schema, _ in wanted], [name for _, name in wanted]
    try:
        rows = session.rows(_MEASURE.format(size=_SIZE), [schemas, tables])
    except DatabaseUnavailable:  # locked between our look at the locks and the measuring
        rows = session.rows(_MEASURE.format(size="NULL"), [schemas, tables])
    return {(schema, name): Measured(*found) for schema, name, *found in rows}


_SIZE = """CASE WHEN NOT EXISTS (
    SELECT FROM pg_locks l WHERE l.relation = c.oid AND l.mode = 'AccessExclusiveLock'
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
) THEN pg_table_size(c.oid) END"""
_MEASURE = """
SELECT w.schema, w.name, n.nspname, t.relname, whole.rows, whole.size_bytes
FROM unnest(%s::text[], %s::text[]) w(schema, name)
LEFT JOIN pg_namespace told ON told.nspname = w.schema
JOIN pg_class named ON named.oid = CASE
    -- asking for what stands in a schema that we may not use is an error
    WHEN w.schema IS NULL THEN to_regclass(quote_ident(w.name))
    WHEN has_schema_privilege(told.oid, 'USAGE') THEN to_regclass(format('%%I.%%I', w.schema, w.name))
END
LEFT JOIN pg_index i ON i.indexrelid = named.oid
JOIN pg_class t ON t.oid = coalesce(i.indrelid, named.oid)
JOIN pg_namespace n ON n.oid = t.relnamespace
CROSS JOIN LATERAL (
    WITH RECURSIVE parts(oid) AS (
        SELECT t.oid UNION SELECT h.inhrelid FROM pg_inherits h JOIN parts p ON h.inhparent = p.oid
    ), one AS (
        SELECT c.reltuples, {size} AS size_bytes FROM parts p JOIN pg_class c ON c.oid = p.oid
        WHERE c.relkind <> 'p'
    )
    SELECT CASE WHEN count(*) = count(*) FILTER (WHERE reltuples >= 0)
            THEN coalesce(sum(reltuples), 0)::bigint END,
        CASE WHEN count(*) = count(size_bytes) THEN coalesce(sum(size_bytes), 0)::bigint END
    FROM one
) whole(rows, size_bytes)
"""
