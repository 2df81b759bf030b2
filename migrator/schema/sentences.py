"""A mismatch in one line, for a person."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from migrator.schema.difference import Change
from migrator.schema.matching import Mismatch

_MOST_LETTERS: Final = 120
# What a definition says already.
_IMPLIED: Final = frozenset({"signature", "columns", "type", "unique"})
# Of a fact that is true, and of one that is false or absent.
_SWITCHES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "all_tables": ("publishes all tables", "publishes some tables"),
        "attached": ("belongs to the parent table's", "stands alone"),
        "clustered": ("is the one to cluster on", "is not the one to cluster on"),
        "cycle": ("starts again at its end", "ends at its end"),
        "force_row_security": ("has row-level security for its owner too", "has none for its owner"),
        "invalid": ("is INVALID (its build was interrupted)", "is valid"),
        "nullable": ("may be NULL", "is NOT NULL"),
        "only_inherited": ("is only inherited", "is its own"),
        "permissive": ("is permissive", "is restrictive"),
        "row_security": ("has row-level security", "has no row-level security"),
        "unique": ("is unique", "is not unique"),
        "unlogged": ("is unlogged", "is logged"),
    }
)
_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {"on": "table", "partition_of": "parent", "bound": "bounds", "enabled": "state"}
)


def sentence_of(one: Mismatch) -> str:
    """Say what is here and what the revisions build."""
    match one.what:
        case "missing":
            return f"{one.part} is missing here, the revisions build it"
        case "extra" if one.holder is None:
            return f"{one.part} is here, no revision makes it"
        case "extra":
            return f"{one.part} is here, the revisions do not build it"
        case "different":
            return f"{one.part} {'; '.join(_phrase(change) for change in _told(one.changes))}"


def _told(changes: tuple[Change, ...]) -> list[Change]:
    if any(change.fact == "definition" for change in changes):
        return [change for change in changes if change.fact not in _IMPLIED]
    return list(changes)


def _phrase(change: Change) -> str:
    expected, actual = _text(change.expected), _text(change.actual)
    match change.fact:
        case "definition" if max(len(expected), len(actual)) > _MOST_LETTERS or "\n" in expected + actual:
            return "is defined otherwise here than the revisions build it"
        case "type" | "definition":
            return f"is {actual} here, the revisions build {expected}"
        case "name":
            return f"is called {actual} here"
        case "columns":
            return f"has its columns in another order here: {actual}; the revisions build {expected}"
        case fact if fact in _SWITCHES and not isinstance(change.expected or change.actual, str):
            here, there = (_SWITCHES[fact][0 if value else 1] for value in (change.actual, change.expected))
            return f"{here} here, the revisions build one that {there}"
        case fact:
            name = _NAMES.get(fact, fact.replace("_", " "))
            return f"has {_having(name, change.actual)} here, the revisions build {_value(change.expected)}"


def _having(name: str, value: object) -> str:
    return f"no {name}" if value is None else f"the {name} {_value(value)}"


def _value(value: object) -> str:
    text = "none" if value is None else " ".join(_text(value).split())
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}…"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(str(item) for item in value) if isinstance(value, list) else str(value)
