"""How text is compared and searched: collations, dictionaries, configurations."""

# ruff: noqa: S608 - the texts are put together from constants of this package

from typing import Final

from migrator.schema.queries.query import OURS, Query, facts, not_of_an_extension

# The locale of ICU and of the built-in provider is in another column on 15, 16 and 17. The version is the
# operating system's.
COLLATIONS: Final = Query(
    "collations",
    "Collations; which version of the provider's rules they have is left out.",
    f"""
    SELECT 'collation', quote_ident(n.nspname) || '.' || quote_ident(c.collname), {
        facts('''
            'provider', CASE c.collprovider WHEN 'i' THEN 'icu' WHEN 'c' THEN 'libc' WHEN 'b' THEN 'builtin'
                ELSE 'default' END,
            'locale', coalesce(
                to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale', to_jsonb(c) ->> 'collcollate'
            ),
            'ctype', to_jsonb(c) ->> 'collctype',
            'deterministic', c.collisdeterministic,
            'rules', to_jsonb(c) ->> 'collicurules'
        ''')
    }
    FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
    WHERE {OURS} AND {not_of_an_extension("pg_collation", "c.oid")}
    """,
)

DICTIONARIES: Final = Query(
    "text search dictionaries",
    "Text search dictionaries with their template and options.",
    f"""
    SELECT 'text search dictionary', quote_ident(n.nspname) || '.' || quote_ident(d.dictname), {
        facts('''
            'template', quote_ident(tn.nspname) || '.' || quote_ident(t.tmplname),
            'options', d.dictinitoption
        ''')
    }
    FROM pg_ts_dict d
    JOIN pg_namespace n ON n.oid = d.dictnamespace
    JOIN pg_ts_template t ON t.oid = d.dicttemplate
    JOIN pg_namespace tn ON tn.oid = t.tmplnamespace
    WHERE {OURS} AND {not_of_an_extension("pg_ts_dict", "d.oid")}
    """,
)

CONFIGURATIONS: Final = Query(
    "text search configurations",
    "Text search configurations with the dictionaries each kind of token goes through.",
    f"""
    SELECT 'text search configuration', quote_ident(n.nspname) || '.' || quote_ident(c.cfgname), {
        facts('''
            'parser', quote_ident(pn.nspname) || '.' || quote_ident(p.prsname),
            'mapping', (
                SELECT jsonb_agg(k.alias || ' ' || m.mapseqno || ' ' || m.mapdict::regdictionary::text
                    ORDER BY k.alias COLLATE "C", m.mapseqno)
                FROM pg_ts_config_map m JOIN ts_token_type(c.cfgparser) k ON k.tokid = m.maptokentype
                WHERE m.mapcfg = c.oid
            )
        ''')
    }
    FROM pg_ts_config c
    JOIN pg_namespace n ON n.oid = c.cfgnamespace
    JOIN pg_ts_parser p ON p.oid = c.cfgparser
    JOIN pg_namespace pn ON pn.oid = p.prsnamespace
    WHERE {OURS} AND {not_of_an_extension("pg_ts_config", "c.oid")}
    """,
)
