"""Whether what a half-applied revision committed may be run once more, by the words of its statements alone.

Rather too little is certain than too much: a statement that is not known here is not.
"""

import re
from collections.abc import Iterator, Mapping

from migrator.history.straight import is_straight
from migrator.ledger.halves import HalfApplied

# A question mark stands where a value was left out: a name with one in it is not known.
NAME = r"(?:\"(?:[^\"?]|\"\")+\"|[^\W\d][\w$]*)"
QUALIFIED = rf"{NAME}(?:\.{NAME})*"
_CREATED = r"TABLE|UNLOGGED\s+TABLE|MATERIALIZED\s+VIEW|SEQUENCE|SCHEMA|EXTENSION"
_DROPPED = (
    r"INDEX(?:\s+CONCURRENTLY)?|TABLE|VIEW|MATERIALIZED\s+VIEW|SEQUENCE|SCHEMA|EXTENSION|TYPE|DOMAIN|FUNCTION"
    r"|PROCEDURE|TRIGGER|RULE|POLICY"
)
_REPEATABLE = re.compile(
    rf"CREATE\s+(?:UNIQUE\s+)?INDEX\s+(?:CONCURRENTLY\s+)?IF\s+NOT\s+EXISTS\b"
    rf"|CREATE\s+(?:{_CREATED})\s+IF\s+NOT\s+EXISTS\b"
    r"|CREATE\s+OR\s+REPLACE\s+(?:FUNCTION|PROCEDURE|VIEW|TRIGGER|RULE)\b"
    rf"|ALTER\s+TYPE\s+{QUALIFIED}\s+ADD\s+VALUE\s+IF\s+NOT\s+EXISTS\b"
    rf"|DROP\s+(?:{_DROPPED})\s+IF\s+EXISTS\b"
    r"|REFRESH\s+MATERIALIZED\s+VIEW\b|ANALYZE\b|VACUUM\b",
    re.IGNORECASE,
)
_ALTER_TABLE = re.compile(
    rf"ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?{QUALIFIED}\s+(?P<actions>.*)",
    re.IGNORECASE | re.DOTALL,
)
_REPEATABLE_ACTION = re.compile(
    r"\s*(?:ADD\s+(?:COLUMN\s+)?IF\s+NOT\s+EXISTS|DROP\s+(?:COLUMN\s+)?IF\s+EXISTS)\b", re.IGNORECASE
)
_BUILD = re.compile(
    rf"CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<name>{NAME})\s+ON\b",
    re.IGNORECASE,
)
_DROP = re.compile(
    rf"DROP\s+INDEX\s+CONCURRENTLY\s+(?:IF\s+EXISTS\s+)?(?:{NAME}\.)?(?P<name>{NAME})"
    r"(?:\s+(?:CASCADE|RESTRICT))?\s*;?$",
    re.IGNORECASE,
)
_LOSES = re.compile(r"DROP\s+(?!INDEX\b)|ALTER\s+TABLE\b.*\bDROP\b", re.IGNORECASE | re.DOTALL)
_MAKES = re.compile(r"CREATE\b|ALTER\s+TABLE\b.*\bADD\b", re.IGNORECASE | re.DOTALL)
_MOST_SHOWN = 120

Validity = Mapping[str, frozenset[bool]]


def indexes_in_doubt(half: HalfApplied) -> frozenset[str]:
    """The indexes whose standing tells how a statement ended that nobody heard of."""
    found = _BUILD.match(half.begun or "") or _DROP.match(half.begun or "")
    return frozenset({_unquoted(found["name"])}) if found else frozenset()


def why_uncertain(half: HalfApplied, source: bytes | None, digest: str, validity: Validity) -> str | None:
    """Why running the revision again may not be right; None if it is certain to be.

    `source` and `digest` are those of its file now; `validity` tells of the indexes that are in doubt.
    """
    return next(_doubts(half, source, digest, validity), None)


def _doubts(half: HalfApplied, source: bytes | None, digest: str, validity: Validity) -> Iterator[str]:
    if source is None or digest != half.digest:
        yield "its file is not what it was then"
        return
    if half.committed_count > len(half.committed):
        yield "more was committed than is known"
    yield from (f"{brief(one)} would be repeated" for one in half.committed if not is_repeatable(one))
    is_open = half.begun is not None and _is_open(half.begun, validity)
    if half.begun is not None and not is_open and not is_repeatable(half.begun):
        is_over = indexes_in_doubt(half)
        yield f"{brief(half.begun)} {'did come to its end' if is_over else 'may have been committed'}"
    if _recreates((*half.committed, *([half.begun] if half.begun else []))):
        yield "what it dropped it has made anew, and would drop again"
    # An index that is only half there is seen for what it is, however the revision goes about it.
    if (half.committed or not is_open) and not is_straight(source):
        yield "its upgrade() decides as it goes, and may take what is there for done"


def _is_open(begun: str, validity: Validity) -> bool:
    """Whether an index is left for the same statement to build, or to drop: it did not come to its end."""
    if found := _BUILD.match(begun):
        return True not in validity.get(_unquoted(found["name"]), ())
    found = _DROP.match(begun)
    return found is not None and _unquoted(found["name"]) in validity


def is_repeatable(statement: str) -> bool:
    """Whether a statement says itself that it may find its work done."""
    text = statement.rstrip("; ")
    if ";" in text or text.endswith("…"):
        return False
    if found := _ALTER_TABLE.match(text):
        return all(_REPEATABLE_ACTION.match(one) for one in actions_of(found["actions"]))
    return _REPEATABLE.match(text) is not None


def actions_of(text: str) -> list[str]:
    """The actions of an `ALTER TABLE`, without what stands in brackets."""
    flat, last = text, ""
    while flat != last:
        flat, last = re.sub(r"\([^()]*\)", " ", flat), flat
    return flat.split(",")


def _recreates(statements: tuple[str, ...]) -> bool:
    """Whether something other than an index is dropped, and something is made with it or later."""
    dropped = False
    for one in statements:
        dropped |= _LOSES.match(one) is not None
        if dropped and _MAKES.match(one):
            return True
    return False


def brief(statement: str) -> str:
    """A statement as a sentence can carry it."""
    return statement if len(statement) <= _MOST_SHOWN else statement[: _MOST_SHOWN - 1] + "…"


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
