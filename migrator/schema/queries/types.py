"""Types that somebody made; those that a table or another type brings along are left out."""

# ruff: noqa: S608 - the texts are put together from constants of this package

from typing import Final

from migrator.schema.queries.query import OURS, Query, facts, not_of_an_extension, relations


def _types(letter: str) -> str:
    return f"""
    WITH t AS (
        SELECT t.*, quote_ident(n.nspname) || '.' || quote_ident(t.typname) AS name
        FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE t.typtype = '{letter}' AND {OURS} AND {not_of_an_extension("pg_type", "t.oid")}
    )"""


ENUMS: Final = Query(
    "enums",
    "Enums with their labels in order.",
    _types("e")
    + f"""
    SELECT 'enum', t.name, {facts("'labels', coalesce(l.labels, '[]'::jsonb)")}
    FROM t LEFT JOIN (
        SELECT enumtypid, jsonb_agg(enumlabel ORDER BY enumsortorder) AS labels FROM pg_enum
            GROUP BY enumtypid
    ) l ON l.enumtypid = t.oid
    """,
)

DOMAINS: Final = Query(
    "domains",
    "Domains without their checks, which are parts of their own.",
    _types("d")
    + f"""
    SELECT 'domain', t.name, {
        facts('''
            'type', format_type(t.typbasetype, t.typtypmod),
            'nullable', NOT t.typnotnull,
            'default', coalesce(pg_get_expr(t.typdefaultbin, 0), quote_literal(t.typdefault)),
            'collation', CASE WHEN t.typcollation <> b.typcollation
                THEN quote_ident(cn.nspname) || '.' || quote_ident(co.collname) END
        ''')
    }
    FROM t
    JOIN pg_type b ON b.oid = t.typbasetype
    LEFT JOIN pg_collation co ON co.oid = t.typcollation
    LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
    """,
)

COMPOSITES: Final = Query(
    "composite types",
    "Composite types with their attributes in order.",
    relations("'c'")
    + f"""
    SELECT 'composite type', r.name, {facts("'attributes', coalesce(a.attributes, '[]'::jsonb)")}
    FROM r LEFT JOIN (
        SELECT a.attrelid, jsonb_agg(
            quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod) || coalesce(
                ' COLLATE ' || CASE WHEN a.attcollation <> t.typcollation
                    THEN quote_ident(cn.nspname) || '.' || quote_ident(co.collname) END, ''
            ) ORDER BY a.attnum
        ) AS attributes
        FROM pg_attribute a
        JOIN pg_class c ON c.oid = a.attrelid AND c.relkind = 'c'
        JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_collation co ON co.oid = a.attcollation
        LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
        WHERE a.attnum > 0 AND NOT a.attisdropped GROUP BY a.attrelid
    ) a ON a.attrelid = r.oid
    -- An extension owns the type and not the relation behind it.
    WHERE {not_of_an_extension("pg_type", "r.reltype")}
    """,
)

RANGES: Final = Query(
    "range types",
    "Range types with the name of their multirange, which a user may choose.",
    _types("r")
    + f"""
    SELECT 'range type', t.name, {
        facts('''
            'subtype', format_type(g.rngsubtype, NULL),
            'operator_class', quote_ident(pn.nspname) || '.' || quote_ident(p.opcname),
            'collation', quote_ident(cn.nspname) || '.' || quote_ident(co.collname),
            'canonical', nullif(g.rngcanonical::oid, 0)::regprocedure::text,
            'subtype_diff', nullif(g.rngsubdiff::oid, 0)::regprocedure::text,
            'multirange', format_type(g.rngmultitypid, NULL)
        ''')
    }
    FROM t
    JOIN pg_range g ON g.rngtypid = t.oid
    JOIN pg_type s ON s.oid = g.rngsubtype
    JOIN pg_opclass p ON p.oid = g.rngsubopc
    JOIN pg_namespace pn ON pn.oid = p.opcnamespace
    LEFT JOIN pg_collation co ON co.oid = g.rngcollation AND g.rngcollation <> s.typcollation
    LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
    """,
)

BASE_TYPES: Final = Query(
    "base types",
    "Base types, which need functions in C, and types that were only announced; their arrays are left out.",
    f"""
    SELECT 'base type', quote_ident(n.nspname) || '.' || quote_ident(t.typname), {
        facts('''
            'is_defined', t.typisdefined,
            'input', t.typinput::text,
            'output', t.typoutput::text,
            'length', t.typlen,
            'by_value', t.typbyval,
            'alignment', t.typalign,
            'storage', t.typstorage,
            'category', t.typcategory,
            'is_preferred', t.typispreferred,
            'default', t.typdefault
        ''')
    }
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE (t.typtype = 'b' AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
        OR NOT t.typisdefined)
    AND {OURS} AND {not_of_an_extension("pg_type", "t.oid")}
    """,
)
