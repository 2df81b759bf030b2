"""Constraints of tables and of domains, as Postgres prints them without their names."""

# ruff: noqa: S608 - the texts are put together from constants of this package

from typing import Final

from migrator.schema.queries.query import OURS, Query, facts, not_of_an_extension, relations, sorted_list

_KIND: Final = """CASE con.contype
    WHEN 'c' THEN 'CHECK' WHEN 'f' THEN 'FOREIGN KEY' WHEN 'p' THEN 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE'
    WHEN 'x' THEN 'EXCLUDE' END"""

# Left out: NOT NULL (a fact of the column), constraint triggers (they are triggers), and what a parent's
# constraint brought along by itself: inherited checks, and the foreign keys of partitions on either side.
CONSTRAINTS: Final = Query(
    "constraints",
    "Primary, unique, foreign, exclusion and check constraints of tables, with what their indexes add. "
    "The columns tell whether a name is the one Postgres generates; an index knows included ones and "
    "expressions too.",
    relations("'r', 'p', 'f'")
    + f"""
    , keys AS (
        SELECT con.oid, jsonb_agg(a.attname ORDER BY k.place) AS columns
        FROM pg_constraint con, unnest(con.conkey) WITH ORDINALITY k(attnum, place), pg_attribute a
        WHERE con.contype IN ('c', 'f') AND a.attrelid = con.conrelid AND a.attnum = k.attnum
        GROUP BY con.oid
    ), index_keys AS (
        SELECT con.oid, jsonb_agg(a.attname ORDER BY a.attnum) AS columns
        FROM pg_constraint con JOIN pg_attribute a ON a.attrelid = con.conindid
        WHERE con.contype IN ('p', 'u', 'x') GROUP BY con.oid
    )
    SELECT 'constraint', r.name || '.' || quote_ident(con.conname), {
        facts(f'''
            'on', r.name,
            'type', {_KIND},
            'definition', pg_get_constraintdef(con.oid),
            'columns', coalesce(keys.columns, index_keys.columns),
            'options', {sorted_list("ic.reloptions")},
            'invalid', nullif(NOT i.indisvalid, false),
            'clustered', nullif(i.indisclustered, false),
            'replica_identity', nullif(i.indisreplident, false),
            'attached', nullif(h.inhrelid IS NOT NULL, false)
        ''')
    }
    FROM r
    JOIN pg_constraint con ON con.conrelid = r.oid AND con.contype IN ('c', 'f', 'p', 'u', 'x')
        AND NOT (con.contype = 'c' AND NOT con.conislocal) AND NOT (con.contype = 'f'
            AND con.conparentid <> 0)
    LEFT JOIN keys ON keys.oid = con.oid
    LEFT JOIN index_keys ON index_keys.oid = con.oid
    LEFT JOIN pg_index i ON i.indexrelid = con.conindid AND con.contype IN ('p', 'u', 'x')
    LEFT JOIN pg_class ic ON ic.oid = i.indexrelid
    LEFT JOIN pg_inherits h ON h.inhrelid = i.indexrelid
    """,
)

DOMAIN_CONSTRAINTS: Final = Query(
    "domain constraints",
    "Check constraints of domains; NOT NULL is a fact of the domain.",
    f"""
    SELECT 'constraint', d.name || '.' || quote_ident(con.conname), {
        facts('''
            'on', d.name,
            'domain', true,
            'type', 'CHECK',
            'definition', pg_get_constraintdef(con.oid),
            'columns', '[]'::jsonb
        ''')
    }
    FROM (
        SELECT t.oid, quote_ident(n.nspname) || '.' || quote_ident(t.typname) AS name
        FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE t.typtype = 'd' AND {OURS} AND {not_of_an_extension("pg_type", "t.oid")}
    ) d JOIN pg_constraint con ON con.contypid = d.oid AND con.contype = 'c'
    """,
)
