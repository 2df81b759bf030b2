"""Functions, procedures and aggregates, told apart by the types of their arguments."""

# ruff: noqa: S608 - the texts are put together from constants of this package

from typing import Final

from migrator.schema.queries.query import OURS, Query, facts, not_of_an_extension

_NAME: Final = (
    "quote_ident(n.nspname) || '.' || quote_ident(p.proname) || '(' || oidvectortypes(p.proargtypes) || ')'"
)

FUNCTIONS: Final = Query(
    "functions",
    "Functions, window functions and procedures as Postgres prints them, whitespace of the body included.",
    f"""
    SELECT CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END, {_NAME}, {
        facts('''
            'signature', pg_get_function_arguments(p.oid) || coalesce(' -> '
                || pg_get_function_result(p.oid), ''),
            'definition', pg_get_functiondef(p.oid)
        ''')
    }
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.prokind IN ('f', 'p', 'w') AND {OURS} AND {not_of_an_extension("pg_proc", "p.oid")}
    -- Those that a range type brings along.
    AND NOT EXISTS (
        SELECT FROM pg_depend i WHERE i.classid = 'pg_proc'::regclass AND i.objid = p.oid AND i.deptype = 'i'
        AND i.refclassid = 'pg_type'::regclass
    )
    """,
)

AGGREGATES: Final = Query(
    "aggregates",
    "Aggregates, which Postgres does not print: every column of pg_aggregate, types and operators by name.",
    f"""
    SELECT 'aggregate', {_NAME}, (
        to_jsonb(a) - ARRAY['aggfnoid', 'aggtranstype', 'aggmtranstype', 'aggsortop'] || jsonb_build_object(
            'arguments', pg_get_function_arguments(p.oid),
            'parallel', p.proparallel,
            'state', format_type(a.aggtranstype, NULL),
            'moving_state', CASE WHEN a.aggmtranstype <> 0 THEN format_type(a.aggmtranstype, NULL) END,
            'sort', CASE WHEN a.aggsortop <> 0 THEN a.aggsortop::regoperator::text END
        )
    )::text
    FROM pg_proc p
    JOIN pg_namespace n ON n.oid = p.pronamespace
    JOIN pg_aggregate a ON a.aggfnoid = p.oid
    WHERE {OURS} AND {not_of_an_extension("pg_proc", "p.oid")}
    """,
)
