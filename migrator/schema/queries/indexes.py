"""Indexes that no constraint owns."""

# ruff: noqa: S608 - the texts are put together from constants of this package

from typing import Final

from migrator.schema.queries.query import Query, facts, relations

# `pg_get_indexdef` starts with the name, which may be a generated one: the part behind the table is the fact.
INDEXES: Final = Query(
    "indexes",
    "Indexes of tables and materialized views that are not a constraint's, with method, columns, "
    "expressions, operator classes, predicate and options as Postgres prints them; one left INVALID "
    "differs.",
    relations("'r', 'p', 'm'")
    + f"""
    SELECT 'index', quote_ident(n.nspname) || '.' || quote_ident(ic.relname), {
        facts('''
            'on', r.name,
            'unique', i.indisunique,
            'definition', substr(pg_get_indexdef(ic.oid), 1 + length(
                'CREATE ' || CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END || 'INDEX '
                || quote_ident(ic.relname) || ' ON ' || CASE ic.relkind WHEN 'I' THEN 'ONLY ' ELSE '' END
                || r.name || ' '
            )),
            'columns', keys.columns,
            'invalid', nullif(NOT i.indisvalid, false),
            'clustered', nullif(i.indisclustered, false),
            'replica_identity', nullif(i.indisreplident, false),
            'attached', nullif(h.inhrelid IS NOT NULL, false)
        ''')
    }
    FROM r
    JOIN pg_index i ON i.indrelid = r.oid
    JOIN pg_class ic ON ic.oid = i.indexrelid
    JOIN pg_namespace n ON n.oid = ic.relnamespace
    JOIN (
        SELECT attrelid, jsonb_agg(attname ORDER BY attnum) AS columns FROM pg_attribute GROUP BY attrelid
    ) keys ON keys.attrelid = i.indexrelid
    LEFT JOIN pg_inherits h ON h.inhrelid = i.indexrelid
    WHERE NOT EXISTS (
        SELECT FROM pg_constraint con WHERE con.conindid = i.indexrelid AND con.contype IN ('p', 'u', 'x')
    )
    """,
)
