"""One question to the catalogs, and the fragments that every question shares."""

# ruff: noqa: S608 - the texts are put together from constants of this package

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Query:
    """One SELECT without parameters whose rows are `(kind, name, facts)`, all text.

    The worker runs it through a bare DBAPI cursor of whatever driver the project has: there is no per cent
    sign in it, no placeholder of any driver, and nothing that only one of PostgreSQL 14–18 knows.
    """

    name: str
    about: str
    sql: str


# Reserved names are the server's or temporary; schema `migrator` is the ledger's.
OURS: Final = "n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'migrator')"

# Objects without a schema that initdb made. Source: `FirstNormalObjectId` in PostgreSQL's `transam.h`.
FIRST_NORMAL_OID: Final = 16384


def not_of_an_extension(catalog: str, oid: str) -> str:
    """The condition that no extension owns the object: the extension itself is the fact."""
    return (
        f"NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = '{catalog}'::regclass "
        f"AND x.objid = {oid} AND x.deptype = 'e')"
    )


def relations(kinds: str) -> str:
    """The common table expression `r`: relations of these kinds that somebody made, with readable names."""
    return f"""
    WITH r AS (
        SELECT c.*, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ({kinds}) AND {OURS} AND {not_of_an_extension("pg_class", "c.oid")}
    )"""


def sorted_list(array: str) -> str:
    """A JSON list of an array's elements in an order of their own: what was set first does not matter."""
    return f'(SELECT jsonb_agg(o ORDER BY o COLLATE "C") FROM unnest({array}) o)'


def facts(pairs: str) -> str:
    """The third column: a JSON object in which an absent fact is left out."""
    return f"jsonb_strip_nulls(jsonb_build_object({pairs}))::text"
