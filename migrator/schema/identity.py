"""By what two databases' parts are the same one: by name, or by definition where Postgres chose the name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from migrator.schema.facts import Facts, Part
from migrator.schema.naming import is_generated, quoted_words
from migrator.schema.spelling import settled

# Told in a difference, but no mismatch: the server's packages decide it, not the revisions.
INFORMATIVE: Final = {"extension": frozenset({"version"})}
# Said by the definition already, or by another part; kept for names, sentences and remedies.
_DERIVED: Final = {
    "column": frozenset({"inherited"}),
    "constraint": frozenset({"columns"}),
    "index": frozenset({"columns"}),
    "statistics": frozenset({"columns"}),
}
_OWN_SEQUENCE: Final = "nextval(its own sequence)"


@dataclass(frozen=True, slots=True)
class Known:
    """A part under the name and facts it has in its database, and the facts that are compared."""

    part: Part
    facts: Facts
    compared: Facts


def identified(parts: Mapping[Part, Facts]) -> dict[Part, Known]:
    """The parts by identity: a generated name is replaced by the definition, and numbered if that repeats."""
    generated = {part for part, facts in parts.items() if is_generated(part, facts)}
    defaults = {
        (facts["on"], facts["column"]): _nextval(part.name)
        for part, facts in parts.items()
        if part.kind == "sequence" and part in generated
    }
    known: dict[Part, Known] = {}
    for part in sorted(parts):
        facts = parts[part]
        identity = _unique(_identity(part, facts), known) if part in generated else part
        known[identity] = Known(part, facts, _compared(part, facts, defaults))
    return known


def _nextval(sequence: str) -> str:
    escaped = sequence.replace("'", "''")
    return f"nextval('{escaped}'::regclass)"


def _identity(part: Part, facts: Facts) -> Part:
    if part.kind == "sequence":
        return Part(part.kind, f"{facts['on']} of {facts['column']}")
    unique = "UNIQUE " if facts.get("unique") else ""
    return Part(part.kind, f"{facts['on']} {unique}{settled(facts['definition'])}")


def _unique(identity: Part, taken: Mapping[Part, Known]) -> Part:
    number, free = 1, identity
    while free in taken:
        number += 1
        free = Part(identity.kind, f"{identity.name} #{number}")
    return free


def _compared(part: Part, facts: Facts, defaults: Mapping[tuple[str, str], str]) -> Facts:
    left_out = INFORMATIVE.get(part.kind, frozenset()) | _DERIVED.get(part.kind, frozenset())
    compared = {fact: settled(value) for fact, value in facts.items() if fact not in left_out}
    if part.kind == "column" and "default" in facts:
        own = defaults.get((facts["on"], quoted_words(part.name)[-1]))
        compared["default"] = _OWN_SEQUENCE if facts["default"] == own else facts["default"]
    return compared
