"""What a revision's file says before it is run: its author's words, and whether it commits on the way."""

import ast
import re
import warnings
from dataclasses import dataclass

from migrator.history.straight import is_straight

_ALEMBICS = re.compile(r"(?:Revision ID|Revises|Create Date|Branch Labels|Depends on)\s*:", re.IGNORECASE)
_COMMIT = re.compile(r"\s*(?:COMMIT|END)(?:\s+(?:WORK|TRANSACTION))?\s*", re.IGNORECASE)
_CONCURRENTLY = re.compile(r"\b(?:INDEX|TABLE|PARTITION)\b.*\bCONCURRENTLY\b", re.IGNORECASE | re.DOTALL)
_ALONE = re.compile(r"(?:^|;)\s*(?:VACUUM|ALTER\s+SYSTEM|(?:CREATE|DROP)\s+DATABASE)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Promise:
    """Told from the file alone. `transactional` is None where the file cannot be read as Python.

    `why_not` says what commits on the way. `decides` is whether a run may send other statements than a
    rendering shows, because `upgrade()` is more than plain calls of Alembic's.
    """

    words: str = ""
    transactional: bool | None = None
    why_not: str | None = None
    decides: bool = True


def promise_of(source: bytes) -> Promise:
    """Read a revision's file; nothing is run."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\\d" in a revision must not reach our standard error
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Promise()
    why_not = next((why for why in map(_commits, _upgrading(tree)) if why), None)
    return Promise(_words(tree), why_not is None, why_not, not is_straight(source))


def _words(tree: ast.Module) -> str:
    """The docstring without its first paragraph, which is the message, and without what Alembic wrote."""
    paragraphs = re.split(r"\n\s*\n", ast.get_docstring(tree) or "")[1:]
    return "\n\n".join(one.strip() for one in paragraphs if not _ALEMBICS.match(one.strip()))


def _upgrading(node: ast.AST) -> list[ast.AST]:
    """All that an upgrade may run, in the order of the file."""
    found: list[ast.AST] = []
    for child in ast.iter_child_nodes(node):
        is_docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        if is_docstring or (isinstance(child, ast.FunctionDef) and child.name.startswith("downgrade")):
            continue
        found += [child, *_upgrading(child)]
    return found


def _commits(node: ast.AST) -> str | None:
    """What in a piece of code commits, or cannot be in a transaction."""
    match node:
        case ast.Attribute(attr="autocommit_block", lineno=line):
            return f"autocommit_block in line {line}"
        case ast.Call(func=ast.Attribute(attr="commit"), args=[], lineno=line):
            return f"commit() in line {line}"
        case ast.keyword(arg="postgresql_concurrently", value=ast.Constant(value=True), lineno=line):
            return f"CONCURRENTLY in line {line}"
        case ast.Constant(value=str(text), lineno=line):
            said = _said(text)
            return f"{said} in line {line}" if said else None
        case _:
            return None


def _said(text: str) -> str | None:
    if text == "AUTOCOMMIT":
        return text
    if _CONCURRENTLY.search(text):
        return "CONCURRENTLY"
    if any(map(_COMMIT.fullmatch, text.split(";"))):
        return "COMMIT"
    alone = _ALONE.search(text)
    return " ".join(alone[0].strip("; \n\t").upper().split()) if alone else None
