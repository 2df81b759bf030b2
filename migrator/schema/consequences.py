"""Which mismatches are only the consequence of another one, and need not be told."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from migrator.schema.difference import What
from migrator.schema.facts import Facts, Part
from migrator.schema.matching import Mismatch
from migrator.schema.naming import words

_HOLDERS = frozenset({"table", "foreign table", "view", "materialized view", "domain"})
# What ALTER COLUMN … TYPE does to the sequence of an identity column by itself.
_FOLLOWS_THE_TYPE = frozenset({"type", "min", "max"})
# Attached or detached, a table takes on or keeps what its parent has: look again afterwards.
_MOVES = frozenset({"partition_of", "inherits"})
_Key = tuple[str, str | None, object]


def without_consequences(found: Iterable[Mismatch], *schemas: Mapping[Part, Facts]) -> list[Mismatch]:
    """Keep what has to be done; doing it brings along what is left out."""
    mismatches = list(found)
    causes = _Causes.of(mismatches, schemas)
    return [one for one in mismatches if not any(rule(one, causes) for rule in _RULES)]


@dataclass(frozen=True, slots=True)
class _Causes:
    whole: frozenset[tuple[What, str]]
    moved: frozenset[str]
    columns: Mapping[tuple[str, str], Mismatch]
    schemas: frozenset[str]
    shapes: frozenset[_Key]
    parents: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, found: Iterable[Mismatch], schemas: Iterable[Mapping[Part, Facts]]) -> "_Causes":
        found = list(found)
        return cls(
            whole=frozenset((one.what, one.part.name) for one in found if one.part.kind in _HOLDERS),
            moved=frozenset(one.part.name for one in found if one.changed_facts & _MOVES),
            columns={_column(one): one for one in found if one.part.kind == "column"},
            schemas=frozenset(
                words(one.part.name)[0] for one in found if one.what == "extra" and one.part.kind == "schema"
            ),
            shapes=frozenset(_shape(one, one.holder) for one in found),
            parents={
                part.name: tuple(facts.get("inherits", ())) or (facts["partition_of"],)
                for schema in schemas
                for part, facts in schema.items()
                if part.kind in _HOLDERS and ("inherits" in facts or "partition_of" in facts)
            },
        )


def _column(one: Mismatch) -> tuple[str, str]:
    return str(one.holder), words(one.part.name)[-1]


def _shape(one: Mismatch, holder: str | None) -> _Key:
    """The same mismatch has the same shape on a table and on its children."""
    if one.part.kind == "column":
        return one.what, holder, (words(one.part.name)[-1], repr(one.changes))
    # Of an index by the same name, but another definition, each side has its own.
    sides = [side.facts.get("definition") if side else None for side in (one.expected, one.actual)]
    return one.what, holder, (one.part.kind, *sides)


def _stands_on_one(one: Mismatch, causes: _Causes) -> bool:
    return one.holder is not None and ((one.what, one.holder) in causes.whole or one.holder in causes.moved)


def _goes_with_a_column(one: Mismatch, causes: _Causes) -> bool:
    """DROP COLUMN takes along what stands on the column; a column brings its own sequence."""
    if one.what == "extra" and one.part.kind in {"constraint", "index", "statistics"}:
        columns = [causes.columns.get((str(one.holder), column)) for column in one.known.facts["columns"]]
        return any(column is not None and column.what == "extra" for column in columns)
    if one.part.kind != "sequence" or one.holder is None:
        return False
    column = causes.columns.get((one.holder, words(one.known.facts["column"])[-1]))
    if column is None:
        return False
    if column.what == one.what != "different":
        return True
    if not one.known.facts.get("identity"):
        return False
    return "identity" in column.changed_facts or (
        "type" in column.changed_facts and bool(one.changes) and one.changed_facts <= _FOLLOWS_THE_TYPE
    )


def _is_told_of_the_parent(one: Mismatch, causes: _Causes) -> bool:
    if not (one.known.facts.get("inherited") or one.known.facts.get("attached")):
        return False
    parents = causes.parents.get(str(one.holder), ())
    return any(_shape(one, parent) in causes.shapes for parent in parents)


def _stands_in_an_extra_schema(one: Mismatch, causes: _Causes) -> bool:
    if one.what != "extra" or one.part.kind == "schema":
        return False
    name = words(one.part.name)
    return len(name) > 1 and name[0] in causes.schemas


_RULES: tuple[Callable[[Mismatch, _Causes], bool], ...] = (
    _stands_on_one,
    _goes_with_a_column,
    _is_told_of_the_parent,
    _stands_in_an_extra_schema,
)
