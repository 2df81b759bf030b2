"""SQL that makes a part that is missing."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from migrator.schema.facts import Facts, Part
from migrator.schema.remedies import columns, standing, tables
from migrator.schema.remedies.words import Around, Statements, literal, options, sequence_options

Maker = Callable[[Part, Facts, Around], Statements]


def created(part: Part, facts: Facts, around: Around) -> Statements:
    """The statements that make it with all that stands on it; none where it is a matter for words."""
    maker = _MAKERS.get(part.kind)
    made = maker(part, facts, around) if maker else ()
    if not made or "on" in facts:
        return made
    also = (created(one, of, around) for one, of in around.items() if _follows(one, of))
    return (*made, *(statement for statements in also for statement in statements))


def _follows(part: Part, facts: Facts) -> bool:
    """Whether it stands on the whole, and CREATE TABLE has not brought it along."""
    return "on" in facts and part.kind not in {"column", "sequence"} and "attached" not in facts


def _schema(part: Part, _: Facts, __: Around) -> Statements:
    return (f"CREATE SCHEMA {part.name}",)


def _extension(part: Part, facts: Facts, _: Around) -> Statements:
    return (f"CREATE EXTENSION {part.name} SCHEMA {facts['schema']}",)


def _enum(part: Part, facts: Facts, _: Around) -> Statements:
    return (f"CREATE TYPE {part.name} AS ENUM ({', '.join(literal(label) for label in facts['labels'])})",)


def _domain(part: Part, facts: Facts, _: Around) -> Statements:
    clauses = [
        f"CREATE DOMAIN {part.name} AS {facts['type']}",
        *([f"COLLATE {facts['collation']}"] if "collation" in facts else []),
        *([f"DEFAULT {facts['default']}"] if "default" in facts else []),
        *([] if facts["nullable"] else ["NOT NULL"]),
    ]
    return (" ".join(clauses),)


def _composite(part: Part, facts: Facts, _: Around) -> Statements:
    return (f"CREATE TYPE {part.name} AS ({', '.join(facts['attributes'])})",)


def _printed(_: Part, facts: Facts, __: Around) -> Statements:
    return (facts["definition"].strip(),)


def _sequence(part: Part, facts: Facts, _: Around) -> Statements:
    if "identity" in facts or "unlogged" in facts:
        return ()
    owned = f" OWNED BY {facts['on']}.{facts['column']}" if "on" in facts else ""
    return (f"CREATE SEQUENCE {part.name} AS {facts['type']} {sequence_options(facts)}{owned}",)


def _view(part: Part, facts: Facts, _: Around) -> Statements:
    if "defaults" in facts:
        return ()
    given = f" WITH ({options(facts['options'])})" if "options" in facts else ""
    return (f"CREATE {part.kind.upper()} {part.name}{given} AS{facts['definition']}",)


_MAKERS: Final[Mapping[str, Maker]] = MappingProxyType(
    {
        "schema": _schema,
        "extension": _extension,
        "enum": _enum,
        "domain": _domain,
        "composite type": _composite,
        "function": _printed,
        "procedure": _printed,
        "sequence": _sequence,
        "view": _view,
        "materialized view": _view,
        "table": tables.made_table,
        "column": columns.made_column,
        "constraint": standing.made_constraint,
        "index": standing.made_index,
        "statistics": standing.made_statistics,
        "trigger": standing.made_trigger,
        "rule": standing.made_trigger,
        "policy": standing.made_policy,
    }
)
