"""What has to be done to a schema to make it the one that the revisions build."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from migrator.schema.consequences import without_consequences
from migrator.schema.difference import Difference
from migrator.schema.facts import Facts, Part
from migrator.schema.identity import INFORMATIVE
from migrator.schema.matching import Mismatch, mismatches
from migrator.schema.naming import words
from migrator.schema.remedies import remedy_of
from migrator.schema.sentences import sentence_of
from migrator.schema.snapshot import Snapshot

_Surroundings = Mapping[str, Mapping[Part, Facts]]
# In the order in which one would make them: the list can be worked through from the top.
_KINDS: Final = (
    "schema, extension, language, enum, domain, composite type, range type, base type, collation, function, "
    "procedure, aggregate, cast, operator, operator family, operator class, text search dictionary, "
    "text search configuration, foreign-data wrapper, server, sequence, table, foreign table, column, "
    "constraint, view, materialized view, index, statistics, trigger, rule, policy, event trigger, "
    "publication"
)
_ORDER: Final = {kind: place for place, kind in enumerate(_KINDS.split(", "))}


def differences(expected: Snapshot, actual: Snapshot) -> tuple[Difference, ...]:
    """Everything that differs, what matters first; the schemas match if nothing does."""
    found = _essential(expected, actual)
    around = _surroundings(expected.parts), _surroundings(actual.parts)
    return tuple(_difference(one, *around) for one in sorted(found, key=lambda one: _place(one, around[0])))


def distance(expected: Snapshot, actual: Snapshot) -> int:
    """How many differences matter: 0 for a match, and the least for the nearest revision."""
    return sum(_matters(one) for one in _essential(expected, actual))


def _essential(expected: Snapshot, actual: Snapshot) -> list[Mismatch]:
    found = mismatches(expected.parts, actual.parts)
    return without_consequences(found, expected.parts, actual.parts)


def _surroundings(parts: Mapping[Part, Facts]) -> _Surroundings:
    """Each table with what stands on it: a missing one is made with it."""
    around: dict[str, dict[Part, Facts]] = defaultdict(dict)
    for part in sorted(parts):
        around[parts[part].get("on", part.name)][part] = parts[part]
    return around


def _difference(one: Mismatch, expected: _Surroundings, actual: _Surroundings) -> Difference:
    holder = one.part.name if one.holder is None else one.holder
    return Difference(
        kind=one.part.kind,
        name=one.part.name,
        what=one.what,
        changes=one.changes,
        matters=_matters(one),
        sentence=sentence_of(one),
        remedy=remedy_of(one, expected.get(holder, {}), actual.get(holder, {})),
    )


def _matters(one: Mismatch) -> bool:
    if one.what == "different":
        return not one.changed_facts <= INFORMATIVE.get(one.part.kind, frozenset())
    return one.what == "missing" or one.holder is not None


def _place(one: Mismatch, expected: _Surroundings) -> tuple[bool, bool, int, str, int, str]:
    place = _ORDER.get(one.part.kind, len(_ORDER))
    is_extra = one.what == "extra"
    table = one.holder or ""
    return (
        not _matters(one),
        is_extra,
        -place if is_extra else place,
        table,
        _position(one, expected.get(table, {})),
        one.part.name,
    )


def _position(one: Mismatch, around: Mapping[Part, Facts]) -> int:
    """Columns in their order, so that missing ones are added in it."""
    columns = next((facts["columns"] for part, facts in around.items() if part.kind == "table"), ())
    name = words(one.part.name)[-1]
    return columns.index(name) if one.part.kind == "column" and name in columns else 0
