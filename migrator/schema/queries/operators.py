"""Operators, and the families and classes that tell indexes about them."""

# ruff: noqa: S608 - the texts are put together from constants of this package

from typing import Final

from migrator.schema.queries.query import OURS, Query, facts, not_of_an_extension

OPERATORS: Final = Query(
    "operators",
    "Operators with what the planner may know of them; those that were only announced have no function.",
    f"""
    SELECT 'operator', quote_ident(n.nspname) || '.' || o.oprname || '('
        || CASE o.oprleft WHEN 0 THEN 'NONE' ELSE format_type(o.oprleft, NULL) END || ', '
        || format_type(o.oprright, NULL) || ')', {
        facts('''
            'function', nullif(o.oprcode::oid, 0)::regprocedure::text,
            'commutator', nullif(o.oprcom, 0)::regoperator::text,
            'negator', nullif(o.oprnegate, 0)::regoperator::text,
            'restrict', nullif(o.oprrest::oid, 0)::regprocedure::text,
            'join', nullif(o.oprjoin::oid, 0)::regprocedure::text,
            'merges', o.oprcanmerge,
            'hashes', o.oprcanhash
        ''')
    }
    FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
    WHERE {OURS} AND {not_of_an_extension("pg_operator", "o.oid")}
    """,
)

OPERATOR_FAMILIES: Final = Query(
    "operator families",
    "Operator families with their operators and functions.",
    f"""
    SELECT 'operator family', quote_ident(n.nspname) || '.' || quote_ident(f.opfname) || ' USING '
        || m.amname, {
        facts('''
            'operators', (
                SELECT jsonb_agg(o.amopstrategy || ' ' || o.amopopr::regoperator::text || CASE o.amoppurpose
                    WHEN 'o' THEN ' FOR ORDER BY' ELSE '' END
                    ORDER BY o.amopstrategy, o.amopopr::regoperator::text COLLATE "C")
                FROM pg_amop o WHERE o.amopfamily = f.oid
            ),
            'functions', (
                SELECT jsonb_agg(p.amprocnum || ' ' || p.amproc::regprocedure::text || ' ('
                    || format_type(p.amproclefttype, NULL) || ', '
                        || format_type(p.amprocrighttype, NULL) || ')'
                    ORDER BY p.amprocnum, p.amproc::regprocedure::text COLLATE "C")
                FROM pg_amproc p WHERE p.amprocfamily = f.oid
            )
        ''')
    }
    FROM pg_opfamily f JOIN pg_namespace n ON n.oid = f.opfnamespace JOIN pg_am m ON m.oid = f.opfmethod
    WHERE {OURS} AND {not_of_an_extension("pg_opfamily", "f.oid")}
    """,
)

OPERATOR_CLASSES: Final = Query(
    "operator classes",
    "Operator classes; their operators and functions are told of the family.",
    f"""
    SELECT 'operator class', quote_ident(n.nspname) || '.' || quote_ident(c.opcname) || ' USING '
        || m.amname, {
        facts('''
            'type', format_type(c.opcintype, NULL),
            'default', c.opcdefault,
            'family', quote_ident(fn.nspname) || '.' || quote_ident(f.opfname),
            'storage', CASE WHEN c.opckeytype <> 0 THEN format_type(c.opckeytype, NULL) END
        ''')
    }
    FROM pg_opclass c
    JOIN pg_namespace n ON n.oid = c.opcnamespace
    JOIN pg_am m ON m.oid = c.opcmethod
    JOIN pg_opfamily f ON f.oid = c.opcfamily
    JOIN pg_namespace fn ON fn.oid = f.opfnamespace
    WHERE {OURS} AND {not_of_an_extension("pg_opclass", "c.oid")}
    """,
)
