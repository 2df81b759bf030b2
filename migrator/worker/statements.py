"""What the text of a statement tells: user code may end a transaction behind SQLAlchemy's back."""

from __future__ import annotations

import re
from typing import Any

from migrator.worker.driver import is_autocommit

# What may hold any word: literals, comments, bodies of functions.
OPAQUE = re.compile(
    r"\$(\w*)\$.*?\$\1\$|\bE'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|\bBEGIN\s+ATOMIC\b.*\bEND\b",
    re.IGNORECASE | re.DOTALL,
)
_TELLING = re.compile(r"\b(?:COMMIT|END|ROLLBACK|ABORT|CONCURRENTLY)\b", re.IGNORECASE)
_ENDING = re.compile(
    r"(?:^|;)\s*(?:(?P<commit>COMMIT|END)|ROLLBACK|ABORT)\b"
    r"(?!\s+(?:PREPARED|(?:(?:WORK|TRANSACTION)\s+)?TO)\b)",
    re.IGNORECASE,
)
_CLUSTER_WIDE = (
    r"(?:\b(?:CREATE|ALTER|DROP)\s+(?:ROLE|USER(?!\s+MAPPING\b)|GROUP|DATABASE|TABLESPACE|SUBSCRIPTION)\b(?!\s*[=,.)])"
    r"|\bALTER\s+SYSTEM\b|\b(?:REASSIGN|DROP)\s+OWNED\b"
    r"|\b(?:GRANT|REVOKE)\s+(?:(?!\bON\b)[^;()])+\s(?:TO|FROM)\s"
    r"|\b(?:GRANT|REVOKE)\b[^;]*?\bON\s+(?:DATABASE|TABLESPACE|PARAMETER)\b"
    r"|\bCOMMENT\s+ON\s+(?:DATABASE|ROLE|TABLESPACE)\b)"
)
_CLUSTER = re.compile(_CLUSTER_WIDE, re.IGNORECASE)
# A column may have any of these names: outside a DO, only the beginning of a statement says what it does.
_CLUSTER_STATEMENT = re.compile(rf"(?:^|;)\s*({_CLUSTER_WIDE})", re.IGNORECASE)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_DO = re.compile(r"(?:^|;)\s*DO\b", re.IGNORECASE)
_DATA = re.compile(r"\b(?:INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)
_DATA_FIRST = re.compile(
    r"(?:INSERT|UPDATE|DELETE|MERGE)\b|WITH\b.*\b(?:INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE | re.DOTALL
)
_SAVEPOINT = re.compile(
    r"\s*(?:SAVEPOINT|(?P<back>ROLLBACK\s+(?:(?:WORK|TRANSACTION)\s+)?TO)(?:\s+SAVEPOINT)?)\s+"
    r"(?P<name>\"[^\"]+\"|\w+)\s*;?\s*$",
    re.IGNORECASE,
)
_NOT_VALID = re.compile(r"\bNOT\s+VALID\b", re.IGNORECASE)
_IDENTIFIER = r"(?:\"(?:[^\"]|\"\")+\"|[\w$]+)"
_ALTERED = re.compile(
    rf"\bALTER\s+(?:FOREIGN\s+)?(?:TABLE|DOMAIN)\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?(?:{_IDENTIFIER}\s*\.\s*)?"
    rf"(?P<name>{_IDENTIFIER})",
    re.IGNORECASE,
)
_CONCURRENTLY = re.compile(r"(?P<refresh>\bREFRESH\b.*)?\bCONCURRENTLY\b", re.IGNORECASE | re.DOTALL)


def ending_of(statement: str) -> str | None:
    """Whether a statement ends the transaction by itself: `commit`, `rollback`, or neither."""
    endings = list(_ENDING.finditer(_bare(statement)))
    if any(one["commit"] for one in endings):
        return "commit"
    return "rollback" if endings else None


def is_data(statement: str) -> bool:
    """Whether it changes rows: it meets `lock_timeout` on those, where waiting is what everybody does."""
    if not _DATA.search(statement):
        return False
    text = OPAQUE.sub(" ", statement).lstrip(" \t\r\n(")
    return _DATA_FIRST.match(text) is not None


def savepoint_of(statement: str) -> tuple[str, str] | None:
    """A savepoint that a statement has `set`, or gone back to (`undone`), with its name.

    SQLAlchemy's own event names one only afterwards.
    """
    found = _SAVEPOINT.match(statement)
    return ("undone" if found["back"] else "set", found["name"].strip('"')) if found else None


def goes_back(statement: str) -> bool:
    """Whether it undoes the transaction, or all since a savepoint; nothing else goes after a failure."""
    savepoint = savepoint_of(statement)
    return ending_of(statement) == "rollback" or (savepoint is not None and savepoint[0] == "undone")


def is_concurrent(statement: str, connection: Any) -> bool:
    """Whether it waits for others without blocking them; a REFRESH does so only outside a transaction."""
    found = _CONCURRENTLY.search(_bare(statement))
    return found is not None and (not found["refresh"] or is_autocommit(connection))


def left_unvalidated(statement: str) -> list[str | None]:
    """The tables and domains to which a statement adds a constraint that is explicitly NOT VALID.

    None stands for any table: the body of a `DO` may make up its statements.
    """
    if not _NOT_VALID.search(statement):
        return []
    words = OPAQUE.sub(lambda found: found[0] if found[0].startswith('"') else " ", statement)
    parts = [one for one in words.split(";") if _NOT_VALID.search(one)]
    if not parts:
        return [None] if _DO.search(words) and _NOT_VALID.search(_COMMENT.sub(" ", statement)) else []
    altered = [_ALTERED.search(one) for one in parts]
    return [_unquoted(one["name"]) for one in altered if one]


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def cluster_wide(statement: str) -> str | None:
    """What in a statement reaches beyond its own database: roles, databases, the server's configuration.

    The body of a `DO` is run there and then; the body of a function is only kept.
    """
    if not _CLUSTER.search(statement):
        return None
    bare = OPAQUE.sub(" ", statement)
    if _DO.search(bare):
        found = _CLUSTER.search(_COMMENT.sub(" ", statement))
        return _said(found[0]) if found else None
    found = _CLUSTER_STATEMENT.search(bare)
    return _said(found[1]) if found else None


def _said(words: str) -> str:
    return " ".join(words.split()).upper()


def _bare(statement: str) -> str:
    """The statement's own words, if any of them matters here."""
    return OPAQUE.sub(" ", statement).lstrip() if _TELLING.search(statement) else ""
