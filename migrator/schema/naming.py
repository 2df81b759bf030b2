"""Which names Postgres itself would have chosen.

Source: `makeObjectName` and `ChooseIndexColumnNames` in PostgreSQL's `indexcmds.c`, `ChooseConstraintName` in
`pg_constraint.c`: table, columns and a label, shortened to 63 bytes, with a number if the name was taken.
"""

import re
from collections.abc import Sequence
from typing import Final

from migrator.schema.facts import Facts, Part

_MOST_BYTES: Final = 63
_WORD: Final = re.compile(r'"(?:[^"]|"")*"|[^."]+')
_LABELS: Final = {
    "PRIMARY KEY": "pkey",
    "UNIQUE": "key",
    "EXCLUDE": "excl",
    "FOREIGN KEY": "fkey",
    "CHECK": "check",
}
_KINDS: Final = {"index": "idx", "sequence": "seq"}


def quoted_words(name: str) -> tuple[str, ...]:
    """The identifiers of a qualified name, as SQL writes them."""
    return tuple(_WORD.findall(name))


def words(name: str) -> tuple[str, ...]:
    """The identifiers of a qualified name, as the catalogs have them."""
    return tuple(
        word[1:-1].replace('""', '"') if word.startswith('"') else word for word in quoted_words(name)
    )


def is_generated(part: Part, facts: Facts) -> bool:
    """Whether Postgres would have given the part this name, so that no user need have chosen it."""
    label = _LABELS.get(facts.get("type", "")) if part.kind == "constraint" else _KINDS.get(part.kind)
    if label is None or "on" not in facts:
        return False
    name = words(part.name)[-1]
    found = re.search(rf"_{label}([1-9]\d*)?$", name)
    if found is None:
        return False
    return name == made_name(words(facts["on"])[-1], _columns(part, facts), label + (found[1] or ""))


def _columns(part: Part, facts: Facts) -> str:
    columns = facts.get("columns", ())
    match part.kind, facts.get("type"):
        case "sequence", _:
            return words(facts["column"])[-1]
        case _, "PRIMARY KEY":
            return ""
        case _, "CHECK":
            return columns[0] if len(columns) == 1 else ""
        case _:
            return _joined(columns)


def _joined(columns: Sequence[str]) -> str:
    text = ""
    for column in columns:
        text = f"{text}_{column}" if text else column
        if len(text.encode()) > _MOST_BYTES:
            break
    return text


def made_name(first: str, second: str, label: str) -> str:
    """Join the words as Postgres does, shortening the longer of the first two until the whole fits."""
    room = _MOST_BYTES - len(label.encode()) - 1 - (1 if second else 0)
    one, two = len(first.encode()), len(second.encode())
    while one + two > room:
        if one > two:
            one -= 1
        else:
            two -= 1
    return "_".join(word for word in (_clipped(first, one), _clipped(second, two), label) if word)


def _clipped(word: str, size_bytes: int) -> str:
    return word.encode()[:size_bytes].decode(errors="ignore")
