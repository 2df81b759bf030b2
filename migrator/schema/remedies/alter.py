"""SQL that changes a part that is there with other facts."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from migrator.schema.facts import Part
from migrator.schema.matching import Mismatch
from migrator.schema.remedies import columns, standing, tables
from migrator.schema.remedies.create import created
from migrator.schema.remedies.drop import dropped
from migrator.schema.remedies.words import (
    Around,
    Statements,
    last_word,
    literal,
    sequence_options,
    short_name,
)


def altered(one: Mismatch, around: Around) -> Statements:
    """The statements that change it, or none where it is a matter for words."""
    kind = one.part.kind
    if kind in {"constraint", "index"} and "name" in one.changed_facts:
        return _renamed(one)
    if kind in {"trigger", "rule"} and one.changed_facts == {"enabled"}:
        return (standing.enabled(one.part, one.expected_facts),)
    if kind in _ANEW:
        return _anew(one, around)
    alter = _ALTERERS.get(kind)
    return alter(one, around) if alter else ()


def _renamed(one: Mismatch) -> Statements:
    actual = _actual(one)
    if one.part.kind == "index":
        return (f"ALTER INDEX {actual.name} RENAME TO {last_word(one.part.name)}",)
    old, new = short_name(actual, one.actual_facts), short_name(one.part, one.expected_facts)
    return (f"ALTER TABLE {one.holder} RENAME CONSTRAINT {old} TO {new}",)


def _anew(one: Mismatch, around: Around) -> Statements:
    made = created(one.part, one.expected_facts, around)
    gone = dropped(_actual(one), one.actual_facts)
    return (*gone, *made) if made and gone else ()


def _actual(one: Mismatch) -> Part:
    return one.actual.part if one.actual else one.part


def _index(one: Mismatch, around: Around) -> Statements:
    if one.changed_facts == {"invalid"} and "invalid" in one.actual_facts:
        concurrently = "" if standing.is_partitioned(around) else "CONCURRENTLY "
        return (f"REINDEX INDEX {concurrently}{one.part.name}",)
    return _anew(one, around)


def _constraint(one: Mismatch, around: Around) -> Statements:
    definition = one.expected_facts["definition"]
    if one.changed_facts == {"definition"} and one.actual_facts["definition"] == f"{definition} NOT VALID":
        holder = "DOMAIN" if "domain" in one.expected_facts else "TABLE"
        return (
            f"ALTER {holder} {one.holder} VALIDATE CONSTRAINT {short_name(_actual(one), one.actual_facts)}",
        )
    return _anew(one, around)


def _function(one: Mismatch, around: Around) -> Statements:
    """Replace it where Postgres can: not with other arguments or another result."""
    return (
        _anew(one, around)
        if "signature" in one.changed_facts
        else (one.expected_facts["definition"].strip(),)
    )


def _enum(one: Mismatch, _: Around) -> Statements:
    """Labels can be added, but neither taken away nor moved."""
    expected, actual = one.expected_facts["labels"], one.actual_facts["labels"]
    if [label for label in expected if label in actual] != actual:
        return ()
    steps, before = [], ""
    for label in expected:
        if label not in actual:
            place = f"AFTER {literal(before)}" if before else f"BEFORE {literal(actual[0])}" if actual else ""
            steps.append(f"ALTER TYPE {one.part.name} ADD VALUE {literal(label)} {place}".strip())
        before = label
    return tuple(steps)


def _sequence(one: Mismatch, _: Around) -> Statements:
    facts = one.expected_facts
    if not one.changed_facts.isdisjoint({"identity", "unlogged"}):
        return ()
    steps = []
    if one.changed_facts & {"type", "increment", "min", "max", "start", "cache", "cycle"}:
        # An identity column's sequence has the type of the column.
        typed = "" if "identity" in facts else f"AS {facts['type']} "
        steps.append(f"ALTER SEQUENCE {_actual(one).name} {typed}{sequence_options(facts)}")
    if one.changed_facts & {"on", "column"}:
        owner = f"{facts['on']}.{facts['column']}" if "on" in facts else "NONE"
        steps.append(f"ALTER SEQUENCE {_actual(one).name} OWNED BY {owner}")
    return tuple(steps)


def _domain(one: Mismatch, _: Around) -> Statements:
    facts, changed = one.expected_facts, one.changed_facts
    if not changed <= {"default", "nullable"}:
        return ()
    steps = []
    if "default" in changed:
        steps.append(f"SET DEFAULT {facts['default']}" if "default" in facts else "DROP DEFAULT")
    if "nullable" in changed:
        steps.append(f"{'DROP' if facts['nullable'] else 'SET'} NOT NULL")
    return tuple(f"ALTER DOMAIN {one.part.name} {step}" for step in steps)


def _extension(one: Mismatch, _: Around) -> Statements:
    facts, steps = one.expected_facts, []
    if "schema" in one.changed_facts:
        steps.append(f"SET SCHEMA {facts['schema']}")
    if "version" in one.changed_facts:
        steps.append(f"UPDATE TO {literal(facts['version'])}")
    return tuple(f"ALTER EXTENSION {one.part.name} {step}" for step in steps)


_ANEW: Final = frozenset({"view", "materialized view", "statistics", "trigger", "rule", "policy"})
_ALTERERS: Final[Mapping[str, Callable[[Mismatch, Around], Statements]]] = MappingProxyType(
    {
        "column": columns.altered_column,
        "constraint": _constraint,
        "domain": _domain,
        "enum": _enum,
        "extension": _extension,
        "function": _function,
        "index": _index,
        "procedure": _function,
        "sequence": _sequence,
        "table": tables.altered_table,
    }
)
