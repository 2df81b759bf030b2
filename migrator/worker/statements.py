"""What the text of a statement tells: user code may end a transaction behind SQLAlchemy's back."""

from __future__ import annotations

import re
from typing import Any

from migrator.worker.driver import is_autocommit

# What may hold any word: literals, comments, bodies of functions.
_OPAQUE = re.compile(
    r"\$(\w*)\$.*?\$\1\$|'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|\bBEGIN\s+ATOMIC\b.*\bEND\b",
    re.IGNORECASE | re.DOTALL,
)
_TELLING = re.compile(r"\b(?:COMMIT|END|ROLLBACK|ABORT|CONCURRENTLY)\b", re.IGNORECASE)
_ENDING = re.compile(
    r"(?:^|;)\s*(?:(?P<commit>COMMIT|END)|ROLLBACK|ABORT)\b"
    r"(?!\s+(?:PREPARED|(?:(?:WORK|TRANSACTION)\s+)?TO)\b)",
    re.IGNORECASE,
)
_CONCURRENTLY = re.compile(r"(?P<refresh>\bREFRESH\b.*)?\bCONCURRENTLY\b", re.IGNORECASE | re.DOTALL)


def ending_of(statement: str) -> str | None:
    """Whether a statement ends the transaction by itself: `commit`, `rollback`, or neither."""
    endings = list(_ENDING.finditer(_bare(statement)))
    if any(one["commit"] for one in endings):
        return "commit"
    return "rollback" if endings else None


def is_concurrent(statement: str, connection: Any) -> bool:
    """Whether it waits for others without blocking them; a REFRESH does so only outside a transaction."""
    found = _CONCURRENTLY.search(_bare(statement))
    return found is not None and (not found["refresh"] or is_autocommit(connection))


def _bare(statement: str) -> str:
    """The statement's own words, if any of them matters here."""
    return _OPAQUE.sub(" ", statement).lstrip() if _TELLING.search(statement) else ""
