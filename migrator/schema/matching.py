"""Which part of one schema corresponds to which of the other, and what is left without a counterpart."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from migrator.schema.difference import Change, What
from migrator.schema.facts import Facts, Part
from migrator.schema.identity import INFORMATIVE, Known, identified

# What is told apart by its definition alone, so that another name is one difference and not two.
_RENAMED = frozenset({"constraint", "index"})


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A part that is missing, extra, or there with other facts."""

    expected: Known | None
    actual: Known | None
    changes: tuple[Change, ...] = ()

    @property
    def what(self) -> What:
        """In one word."""
        if self.actual is None:
            return "missing"
        return "extra" if self.expected is None else "different"

    @property
    def known(self) -> Known:
        """The expected part, or the actual one where none is expected."""
        known = self.expected or self.actual
        assert known is not None  # noqa: S101 - one of the two is always there
        return known

    @property
    def part(self) -> Part:
        """The part it is about."""
        return self.known.part

    @property
    def expected_facts(self) -> Facts:
        """What is expected of it; nothing of an extra part."""
        return self.expected.facts if self.expected else {}

    @property
    def actual_facts(self) -> Facts:
        """What is there; nothing of a missing part."""
        return self.actual.facts if self.actual else {}

    @property
    def holder(self) -> str | None:
        """The table, view or domain that the part stands on."""
        return self.known.facts.get("on")

    @property
    def changed_facts(self) -> frozenset[str]:
        """The facts that differ."""
        return frozenset(change.fact for change in self.changes)


def mismatches(expected: Mapping[Part, Facts], actual: Mapping[Part, Facts]) -> list[Mismatch]:
    """Every part without an equal counterpart, as it is; nothing is left out yet."""
    left, right = identified(expected), identified(actual)
    missing = {known.part: known for identity, known in left.items() if identity not in right}
    extra = {known.part: known for identity, known in right.items() if identity not in left}
    common = [(left[identity], right[identity]) for identity in left.keys() & right.keys()]
    namesakes = _taken(missing, extra, [(part, part) for part in missing.keys() & extra.keys()])
    renamed = _taken(missing, extra, _renamed(missing, extra))
    return [
        *(
            Mismatch(one, other, found)
            for one, other in (*common, *namesakes)
            if (found := _changes(one, other))
        ),
        *(Mismatch(one, other, (_name_change(one, other),)) for one, other in renamed),
        *(Mismatch(one, None) for one in missing.values()),
        *(Mismatch(None, other) for other in extra.values()),
    ]


def _taken(
    missing: dict[Part, Known], extra: dict[Part, Known], keys: Iterable[tuple[Part, Part]]
) -> list[tuple[Known, Known]]:
    return [(missing.pop(one), extra.pop(other)) for one, other in keys]


def _renamed(missing: Mapping[Part, Known], extra: Mapping[Part, Known]) -> list[tuple[Part, Part]]:
    """Constraints and indexes that are there under another name."""
    free: dict[str, list[Part]] = {}
    for part in sorted(extra):
        free.setdefault(_definition(extra[part]), []).append(part)
    return [
        (part, others.pop(0))
        for part in sorted(missing)
        if part.kind in _RENAMED and (others := free.get(_definition(missing[part])))
    ]


def _definition(known: Known) -> str:
    return json.dumps([known.part.kind, known.compared], sort_keys=True)


def _changes(one: Known, other: Known) -> tuple[Change, ...]:
    expected, actual = dict(one.compared), dict(other.compared)
    if one.part.kind in {"table", "foreign table"}:
        columns = _orders(expected.get("columns", ()), actual.get("columns", ()))
        expected["columns"], actual["columns"] = columns
    for fact in INFORMATIVE.get(one.part.kind, ()):
        expected[fact], actual[fact] = one.facts.get(fact), other.facts.get(fact)
    return tuple(
        Change(fact, one.facts.get(fact), other.facts.get(fact))
        for fact in sorted(expected.keys() | actual.keys())
        if expected.get(fact) != actual.get(fact)
    )


def _orders(expected: Sequence[str], actual: Sequence[str]) -> tuple[list[str], list[str]]:
    """The columns that both have: one that only one of them has is a difference of its own."""
    both = set(expected) & set(actual)
    return [column for column in expected if column in both], [column for column in actual if column in both]


def _name_change(one: Known, other: Known) -> Change:
    return Change("name", one.part.name, other.part.name)
