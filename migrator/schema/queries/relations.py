"""Tables, sequences and views themselves, without what stands on them."""

# ruff: noqa: S608 - the texts are put together from constants of this package

from typing import Final

from migrator.schema.queries.query import Query, facts, relations, sorted_list

TABLES: Final = Query(
    "tables",
    "Ordinary, partitioned and foreign tables. The order of the columns is a fact of the table, so that a "
    "column dropped and added again, or a gap that a dropped one left, does not change the facts of its "
    "neighbours.",
    relations("'r', 'p', 'f'")
    + f"""
    , columns AS (
        SELECT attrelid, jsonb_agg(attname ORDER BY attnum) AS names
        FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped GROUP BY attrelid
    ), parents AS (
        SELECT i.inhrelid, jsonb_agg(
            quote_ident(n.nspname) || '.' || quote_ident(p.relname) ORDER BY i.inhseqno
        ) AS names
        FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
            JOIN pg_namespace n ON n.oid = p.relnamespace
        GROUP BY i.inhrelid
    )
    SELECT CASE r.relkind WHEN 'f' THEN 'foreign table' ELSE 'table' END, r.name, {
        facts(f'''
            'columns', columns.names,
            'unlogged', r.relpersistence = 'u',
            'access_method', am.amname,
            'partition_key', CASE r.relkind WHEN 'p' THEN pg_get_partkeydef(r.oid) END,
            'partition_of', CASE WHEN r.relispartition THEN parents.names ->> 0 END,
            'bound', pg_get_expr(r.relpartbound, r.oid),
            'inherits', CASE WHEN NOT r.relispartition THEN parents.names END,
            'of_type', CASE WHEN r.reloftype <> 0 THEN format_type(r.reloftype, NULL) END,
            'options', {sorted_list("r.reloptions")},
            'toast_options', {sorted_list("t.reloptions")},
            'row_security', r.relrowsecurity,
            'force_row_security', r.relforcerowsecurity,
            'replica_identity', CASE r.relreplident
                WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full' WHEN 'i' THEN 'index'
            END,
            'server', quote_ident(s.srvname),
            'foreign_options', {sorted_list("f.ftoptions")}
        ''')
    }
    FROM r
    LEFT JOIN columns ON columns.attrelid = r.oid
    LEFT JOIN parents ON parents.inhrelid = r.oid
    LEFT JOIN pg_am am ON am.oid = r.relam
    LEFT JOIN pg_class t ON t.oid = r.reltoastrelid
    LEFT JOIN pg_foreign_table f ON f.ftrelid = r.oid
    LEFT JOIN pg_foreign_server s ON s.oid = f.ftserver
    """,
)

SEQUENCES: Final = Query(
    "sequences",
    "Sequences, with the column that owns them; where they stand (`last_value`) is data.",
    relations("'S'")
    + f"""
    SELECT 'sequence', r.name, {
        facts('''
            'on', CASE WHEN o.oid IS NOT NULL THEN quote_ident(n.nspname) || '.'
                || quote_ident(o.relname) END,
            'column', quote_ident(a.attname),
            'identity', nullif(d.deptype = 'i', false),
            'type', format_type(s.seqtypid, NULL),
            'start', s.seqstart::text,
            'increment', s.seqincrement::text,
            'min', s.seqmin::text,
            'max', s.seqmax::text,
            'cache', s.seqcache::text,
            'cycle', s.seqcycle,
            'unlogged', nullif(r.relpersistence = 'u', false)
        ''')
    }
    FROM r
    JOIN pg_sequence s ON s.seqrelid = r.oid
    LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.objsubid = 0
        AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
    LEFT JOIN pg_class o ON o.oid = d.refobjid
    LEFT JOIN pg_namespace n ON n.oid = o.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    """,
)

VIEWS: Final = Query(
    "views",
    "Views and materialized views as Postgres prints them; whether a materialized one is filled is data.",
    relations("'v', 'm'")
    + f"""
    , columns AS (
        SELECT a.attrelid, jsonb_agg(
            quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum
        ) AS names, jsonb_object_agg(a.attname, pg_get_expr(d.adbin, d.adrelid))
            FILTER (WHERE d.oid IS NOT NULL) AS defaults
        FROM pg_attribute a
        JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('v', 'm')
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attnum > 0 AND NOT a.attisdropped GROUP BY a.attrelid
    )
    SELECT CASE r.relkind WHEN 'v' THEN 'view' ELSE 'materialized view' END, r.name, {
        facts(f'''
            'columns', columns.names,
            'defaults', columns.defaults,
            'definition', rtrim(pg_get_viewdef(r.oid), ';'),
            'options', {sorted_list("r.reloptions")},
            'access_method', am.amname
        ''')
    }
    FROM r
    LEFT JOIN columns ON columns.attrelid = r.oid
    LEFT JOIN pg_am am ON am.oid = r.relam
    """,
)
