"""Columns of tables; those of views belong to their definition."""

# ruff: noqa: S608 - the texts are put together from constants of this package

from typing import Final

from migrator.schema.queries.query import Query, facts, relations, sorted_list

# Storage and compression are facts where a user set them. The name of a NOT NULL constraint is not a fact:
# nobody could choose or see one before PostgreSQL 18.
COLUMNS: Final = Query(
    "columns",
    "Columns of ordinary, partitioned and foreign tables, one row each; their order is a fact of the table.",
    relations("'r', 'p', 'f'")
    + f"""
    , odd AS (
        SELECT conrelid, conkey[1] AS attnum, concat_ws(
            ' ', CASE WHEN connoinherit THEN 'NO INHERIT' END, CASE WHEN NOT convalidated THEN 'NOT VALID' END
        ) AS words
        FROM pg_constraint WHERE contype = 'n' AND conrelid <> 0 AND (connoinherit OR NOT convalidated)
    )
    SELECT 'column', r.name || '.' || quote_ident(a.attname), {
        facts(f'''
            'on', r.name,
            'type', format_type(a.atttypid, a.atttypmod),
            'nullable', NOT a.attnotnull,
            'not_null', odd.words,
            'default', CASE a.attgenerated WHEN '' THEN pg_get_expr(d.adbin, d.adrelid) END,
            'generated', '(' || CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END || ')'
                || CASE a.attgenerated WHEN 'v' THEN ' VIRTUAL' ELSE ' STORED' END,
            'identity', CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END,
            'collation', CASE WHEN a.attcollation <> t.typcollation
                THEN quote_ident(cn.nspname) || '.' || quote_ident(co.collname) END,
            'storage', CASE WHEN a.attstorage <> t.typstorage THEN
                CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN'
                    ELSE 'EXTENDED' END END,
            'compression', CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END,
            'options', {sorted_list("a.attoptions")},
            'foreign_options', {sorted_list("a.attfdwoptions")},
            'inherited', nullif(a.attinhcount > 0, false),
            'only_inherited', CASE WHEN NOT r.relispartition THEN nullif(NOT a.attislocal, false) END
        ''')
    }
    FROM r
    JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    LEFT JOIN pg_collation co ON co.oid = a.attcollation
    LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
    LEFT JOIN odd ON odd.conrelid = a.attrelid AND odd.attnum = a.attnum
    """,
)
