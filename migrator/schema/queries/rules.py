"""What acts on a table besides its constraints: triggers, rules, policies, extended statistics."""

# ruff: noqa: S608 - the texts are put together from constants of this package

from typing import Final

from migrator.schema.queries.query import Query, facts, relations

_ENABLED: Final = """CASE {} WHEN 'O' THEN 'ENABLE' WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA'
    ELSE 'ENABLE ALWAYS' END"""

TRIGGERS: Final = Query(
    "triggers",
    "Triggers as Postgres prints them, and whether they fire; a partition's copy only where it fires "
    "otherwise.",
    relations("'r', 'p', 'f', 'v'")
    + f"""
    SELECT 'trigger', r.name || '.' || quote_ident(t.tgname), {
        facts(f'''
            'on', r.name,
            'definition', pg_get_triggerdef(t.oid),
            'enabled', {_ENABLED.format("t.tgenabled")},
            'attached', nullif(t.tgparentid <> 0, false)
        ''')
    }
    FROM r
    JOIN pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
    LEFT JOIN pg_trigger p ON p.oid = t.tgparentid
    WHERE p.oid IS NULL OR p.tgenabled <> t.tgenabled
    """,
)

RULES: Final = Query(
    "rules",
    "Rewrite rules other than the one that makes a view a view.",
    relations("'r', 'p', 'f', 'v', 'm'")
    + f"""
    SELECT 'rule', r.name || '.' || quote_ident(w.rulename), {
        facts(f'''
            'on', r.name,
            'definition', rtrim(pg_get_ruledef(w.oid), ';'),
            'enabled', {_ENABLED.format("w.ev_enabled")}
        ''')
    }
    FROM r JOIN pg_rewrite w ON w.ev_class = r.oid AND NOT (w.rulename = '_RETURN'
        AND r.relkind IN ('v', 'm'))
    """,
)

POLICIES: Final = Query(
    "policies",
    "Policies of row-level security, with the roles they name.",
    relations("'r', 'p'")
    + f"""
    SELECT 'policy', r.name || '.' || quote_ident(p.polname), {
        facts('''
            'on', r.name,
            'permissive', p.polpermissive,
            'command', CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
            'roles', (
                SELECT jsonb_agg(who ORDER BY who COLLATE "C") FROM (
                    SELECT CASE one WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(one)) END AS who
                    FROM unnest(p.polroles) one
                ) named
            ),
            'using', pg_get_expr(p.polqual, p.polrelid),
            'check', pg_get_expr(p.polwithcheck, p.polrelid)
        ''')
    }
    FROM r JOIN pg_policy p ON p.polrelid = r.oid
    """,
)

STATISTICS: Final = Query(
    "statistics",
    "Extended statistics; how many values they sample is left out.",
    relations("'r', 'p', 'f', 'm'")
    + f"""
    , named AS (
        SELECT s.*, quote_ident(n.nspname) || '.' || quote_ident(s.stxname) AS name
        FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
    )
    SELECT 'statistics', s.name, {
        facts('''
            'on', r.name,
            'definition', substr(pg_get_statisticsobjdef(s.oid), 2 + length('CREATE STATISTICS ' || s.name)),
            'columns', coalesce((
                SELECT jsonb_agg(a.attname ORDER BY k.place)
                FROM unnest(s.stxkeys::smallint[]) WITH ORDINALITY k(attnum, place)
                JOIN pg_attribute a ON a.attrelid = s.stxrelid AND a.attnum = k.attnum
            ), '[]'::jsonb)
        ''')
    }
    FROM r JOIN named s ON s.stxrelid = r.oid
    """,
)
