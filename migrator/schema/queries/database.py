"""Objects of the database itself, which stand in no schema, and the schemas."""

# ruff: noqa: S608 - the texts are put together from constants of this package

from typing import Final

from migrator.schema.queries.query import (
    FIRST_NORMAL_OID,
    OURS,
    Query,
    facts,
    not_of_an_extension,
    sorted_list,
)

SCHEMAS: Final = Query(
    "schemas",
    "Schemas, without `public`: every database starts with it, and pg_dump does not name it either.",
    f"""
    SELECT 'schema', quote_ident(n.nspname), {facts("")} FROM pg_namespace n
    WHERE n.nspname <> 'public' AND {OURS} AND {not_of_an_extension("pg_namespace", "n.oid")}
    """,
)

EXTENSIONS: Final = Query(
    "extensions",
    "Extensions, where their objects stand, and their version, which is told but never a mismatch.",
    f"""
    SELECT 'extension', quote_ident(e.extname), {
        facts("'schema', quote_ident(n.nspname), 'version', e.extversion")
    }
    FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.oid >= {FIRST_NORMAL_OID}
    """,
)

LANGUAGES: Final = Query(
    "languages",
    "Procedural languages that no extension brought.",
    f"""
    SELECT 'language', quote_ident(l.lanname), {
        facts('''
            'trusted', l.lanpltrusted,
            'handler', l.lanplcallfoid::regprocedure::text,
            'inline', nullif(l.laninline, 0)::regprocedure::text,
            'validator', nullif(l.lanvalidator, 0)::regprocedure::text
        ''')
    }
    FROM pg_language l
    WHERE l.oid >= {FIRST_NORMAL_OID} AND {not_of_an_extension("pg_language", "l.oid")}
    """,
)

CASTS: Final = Query(
    "casts",
    "Casts that somebody made.",
    f"""
    SELECT 'cast', '(' || format_type(c.castsource, NULL) || ' AS ' || format_type(c.casttarget, NULL) || ')',
        {
        facts('''
            'method', CASE c.castmethod WHEN 'f' THEN 'function' WHEN 'i'
                THEN 'inout' ELSE 'binary' END,
            'function', nullif(c.castfunc, 0)::regprocedure::text,
            'context', CASE c.castcontext WHEN 'e' THEN 'explicit' WHEN 'a' THEN 'assignment'
                ELSE 'implicit' END
        ''')
    }
    FROM pg_cast c
    WHERE c.oid >= {FIRST_NORMAL_OID} AND {not_of_an_extension("pg_cast", "c.oid")}
    -- A range brings one to its multirange along.
    AND NOT EXISTS (
        SELECT FROM pg_depend i WHERE i.classid = 'pg_cast'::regclass AND i.objid = c.oid AND i.deptype = 'i'
    )
    """,
)

EVENT_TRIGGERS: Final = Query(
    "event triggers",
    "Event triggers with the event, the tags and the function.",
    f"""
    SELECT 'event trigger', quote_ident(t.evtname), {
        facts(f'''
            'event', t.evtevent,
            'function', t.evtfoid::regprocedure::text,
            'tags', {sorted_list("t.evttags")},
            'enabled', CASE t.evtenabled WHEN 'O' THEN 'ENABLE' WHEN 'D' THEN 'DISABLE'
                WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END
        ''')
    }
    FROM pg_event_trigger t WHERE {not_of_an_extension("pg_event_trigger", "t.oid")}
    """,
)

WRAPPERS: Final = Query(
    "foreign-data wrappers",
    "Foreign-data wrappers that no extension brought.",
    f"""
    SELECT 'foreign-data wrapper', quote_ident(w.fdwname), {
        facts(f'''
            'handler', nullif(w.fdwhandler, 0)::regprocedure::text,
            'validator', nullif(w.fdwvalidator, 0)::regprocedure::text,
            'options', {sorted_list("w.fdwoptions")}
        ''')
    }
    FROM pg_foreign_data_wrapper w WHERE {not_of_an_extension("pg_foreign_data_wrapper", "w.oid")}
    """,
)

SERVERS: Final = Query(
    "foreign servers",
    "Foreign servers; user mappings hold passwords and are left out.",
    f"""
    SELECT 'server', quote_ident(s.srvname), {
        facts(f'''
            'wrapper', quote_ident(w.fdwname),
            'type', s.srvtype,
            'version', s.srvversion,
            'options', {sorted_list("s.srvoptions")}
        ''')
    }
    FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
    WHERE {not_of_an_extension("pg_foreign_server", "s.oid")}
    """,
)

# Row filters, column lists and whole schemas came with 15: they are read through `to_jsonb` and through
# pg_depend, which do not mind that the columns and the catalog are absent on 14.
PUBLICATIONS: Final = Query(
    "publications",
    "Publications with the tables, columns, row filters and schemas they name.",
    f"""
    SELECT 'publication', quote_ident(p.pubname), {
        facts('''
            'all_tables', p.puballtables,
            'via_root', p.pubviaroot,
            'publish', concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END,
                CASE WHEN p.pubupdate THEN 'update' END, CASE WHEN p.pubdelete THEN 'delete' END,
                CASE WHEN p.pubtruncate THEN 'truncate' END),
            'generated', nullif(to_jsonb(p) ->> 'pubgencols', 'n'),
            'tables', t.tables,
            'schemas', s.schemas
        ''')
    }
    FROM pg_publication p
    LEFT JOIN (
        SELECT r.prpubid, jsonb_agg(
            r.prrelid::regclass::text
            || coalesce(' (' || (
                SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
                WHERE a.attrelid = r.prrelid
                AND a.attnum = ANY (string_to_array(to_jsonb(r) ->> 'prattrs', ' ')::smallint[])
            ) || ')', '')
            || coalesce(' WHERE ' || (
                SELECT to_jsonb(f) ->> 'rowfilter' FROM pg_publication_tables f
                JOIN pg_class c ON c.relname = f.tablename AND c.oid = r.prrelid
                JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = f.schemaname
                WHERE f.pubname = u.pubname
            ), '')
            ORDER BY r.prrelid::regclass::text COLLATE "C"
        ) AS tables
        FROM pg_publication_rel r JOIN pg_publication u ON u.oid = r.prpubid GROUP BY r.prpubid
    ) t ON t.prpubid = p.oid
    LEFT JOIN (
        SELECT pub.refobjid, jsonb_agg(quote_ident(n.nspname) ORDER BY n.nspname) AS schemas
        FROM pg_depend pub
        JOIN pg_depend sch ON sch.classid = pub.classid AND sch.objid = pub.objid
            AND sch.refclassid = 'pg_namespace'::regclass
        JOIN pg_namespace n ON n.oid = sch.refobjid
        WHERE pub.classid = to_regclass('pg_catalog.pg_publication_namespace')
        AND pub.refclassid = 'pg_publication'::regclass
        GROUP BY pub.refobjid
    ) s ON s.refobjid = p.oid
    WHERE {not_of_an_extension("pg_publication", "p.oid")}
    """,
)
