"""SQL that makes and changes columns."""

from typing import Final

from migrator.schema.facts import Facts, Part
from migrator.schema.matching import Mismatch
from migrator.schema.naming import words
from migrator.schema.remedies.words import (
    Around,
    Statements,
    options,
    own_sequence,
    sequence_options,
    short_name,
)

_SIMPLE: Final = frozenset(
    {"type", "collation", "nullable", "default", "identity", "generated", "storage", "compression"}
)


def plain_name(column: Part) -> str:
    """The name as the catalogs have it."""
    return words(column.name)[-1]


def made_column(part: Part, facts: Facts, around: Around) -> Statements:
    """A column that is missing; with rows in the table, NOT NULL without a default needs more thought."""
    if "foreign_options" in facts or "not_null" in facts:
        return ()
    add = f"ALTER TABLE {facts['on']} ADD COLUMN {definition(part, facts, around)}"
    before, after = serial(part, facts, around)
    return (*before, add, *after, *settings(part, facts))


def definition(part: Part, facts: Facts, around: Around) -> str:
    """What stands between the commas of CREATE TABLE."""
    clauses = [short_name(part, facts), facts["type"]]
    if "collation" in facts:
        clauses.append(f"COLLATE {facts['collation']}")
    if "generated" in facts:
        clauses.append(f"GENERATED ALWAYS AS {facts['generated']}")
    if "identity" in facts:
        clauses.append(identity(part, facts, around))
    if "default" in facts:
        clauses.append(f"DEFAULT {facts['default']}")
    if not facts["nullable"]:
        clauses.append(f"NOT NULL {facts.get('not_null', '')}".strip())
    return " ".join(clauses)


def identity(part: Part, facts: Facts, around: Around) -> str:
    """The clause of an identity column, with the options of its sequence."""
    sequence = own_sequence(part, facts, around)
    inside = f" (SEQUENCE NAME {sequence[0].name} {sequence_options(sequence[1])})" if sequence else ""
    return f"GENERATED {facts['identity']} AS IDENTITY{inside}"


def serial(part: Part, facts: Facts, around: Around) -> tuple[Statements, Statements]:
    """What comes before and after a column whose default is a sequence of its own."""
    sequence = own_sequence(part, facts, around)
    if sequence is None or "identity" in facts:
        return (), ()
    name, of = sequence[0].name, sequence[1]
    made = f"CREATE SEQUENCE {name} AS {of['type']} {sequence_options(of)}"
    return (made,), (f"ALTER SEQUENCE {name} OWNED BY {part.name}",)


def settings(part: Part, facts: Facts) -> Statements:
    """What a column is told after it is there."""
    found = []
    if "storage" in facts:
        found.append(f"SET STORAGE {facts['storage']}")
    if "compression" in facts:
        found.append(f"SET COMPRESSION {facts['compression']}")
    if "options" in facts:
        found.append(f"SET ({options(facts['options'])})")
    return _altered(part, facts, found)


def _altered(part: Part, facts: Facts, actions: list[str]) -> Statements:
    if not actions:
        return ()
    steps = (f"ALTER COLUMN {short_name(part, facts)} {action}" for action in actions)
    return (f"ALTER TABLE {facts['on']} {', '.join(steps)}",)


def columns_behind(one: Mismatch, expected: Around, actual: Around) -> list[str]:
    """Which columns of the actual table belong behind a missing one, which cannot be put before them."""
    if one.what != "missing":
        return []
    listed, there = _listed(one, expected), set(_listed(one, actual))
    place = listed.index(plain_name(one.part))
    return [column for column in listed[place:] if column in there]


def _listed(one: Mismatch, around: Around) -> list[str]:
    tables = (facts for part, facts in around.items() if part.name == one.holder)
    return [column for table in tables for column in table["columns"]]


def altered_column(one: Mismatch, around: Around) -> Statements:
    """A column with other facts; Postgres orders the actions of one ALTER TABLE by itself."""
    part, expected, actual = one.part, one.expected_facts, one.actual_facts
    changed = one.changed_facts
    if not changed <= _SIMPLE or "generated" in changed & expected.keys() or _is_reset(expected, changed):
        return ()
    actions = [
        *(["DROP EXPRESSION"] if "generated" in changed else []),
        *_default_before(expected, actual, changed),
        *([_type(part, expected, actual)] if changed & {"type", "collation"} else []),
        *([f"{'DROP' if expected['nullable'] else 'SET'} NOT NULL"] if "nullable" in changed else []),
        *([f"SET DEFAULT {expected['default']}"] if "default" in changed & expected.keys() else []),
        *(_identity(part, expected, actual, around) if "identity" in changed else []),
        *([f"SET STORAGE {expected['storage']}"] if "storage" in changed else []),
        *([f"SET COMPRESSION {expected.get('compression', 'default')}"] if "compression" in changed else []),
    ]
    return _altered(part, expected, actions)


def _is_reset(expected: Facts, changed: frozenset[str]) -> bool:
    """Whether storage has to become the type's own again: before 16 that needs its name."""
    return "storage" in changed and "storage" not in expected


def _default_before(expected: Facts, actual: Facts, changed: frozenset[str]) -> list[str]:
    """A default of the old type may stand in the way of the new one."""
    if "default" not in changed or "default" not in actual:
        return []
    return ["DROP DEFAULT"] if "default" not in expected or "type" in changed else []


def _type(part: Part, expected: Facts, actual: Facts) -> str:
    collation = f" COLLATE {expected['collation']}" if "collation" in expected else ""
    same_family = expected["type"].partition("(")[0] == actual["type"].partition("(")[0]
    using = "" if same_family else f" USING {short_name(part, expected)}::{expected['type']}"
    return f"TYPE {expected['type']}{collation}{using}"


def _identity(part: Part, expected: Facts, actual: Facts, around: Around) -> list[str]:
    if "identity" not in expected:
        return ["DROP IDENTITY"]
    if "identity" in actual:
        return [f"SET GENERATED {expected['identity']}"]
    return [f"ADD {identity(part, expected, around)}"]
