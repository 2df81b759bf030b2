"""What is told of a statement that was committed: its own words, without values, if it left anything."""

from __future__ import annotations

import re

from migrator.worker.statements import OPAQUE, ending_of

# What may be a row's value or a remark; identifiers in quotes are kept. Outside of E'…' a backslash may
# escape a quote, or not: nobody can tell where such a literal ends, and all the rest is cut off.
_VALUE = re.compile(
    r"(?P<remark>--[^\n]*|/\*.*?\*/)|(?P<name>\"(?:[^\"]|\"\")*\")"
    r"|(?<=\bE)'(?:[^'\\]|''|\\.)*(?:'|$)|'(?:[^'\\]|''|\\[^'])*(?:(?P<rest>\\'.*)|'|$)"
    r"|\$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|$)|\b\d[\w.]*",
    re.DOTALL | re.IGNORECASE,
)
_LONGEST = 1000
_READ = 8000  # so much of a statement is looked at: one that inserts rows may have millions of characters
_IDLE = re.compile(
    r"(?:BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|SET|RESET|SHOW|LOCK|DISCARD)\b",
    re.IGNORECASE,
)
_READING = re.compile(
    r"(?:SELECT|WITH)\b(?!.*\b(?:INTO|INSERT|UPDATE|DELETE|MERGE)\b)", re.IGNORECASE | re.DOTALL
)
_CALL = re.compile(r"([\w.]+)\s*\(")
# A procedure may commit as it goes, and so may the body of a `DO`; `ON COMMIT` is an option of a table.
_COMMITS_MIDWAY = re.compile(r"(?:^|[;\n])\s*CALL\b|(?<!\bON\s)\bCOMMIT\b", re.IGNORECASE)
# What SQLAlchemy asks the catalogs with. Any other function may do what it likes.
_HARMLESS = re.compile(
    r"(?:pg_catalog\.)?(?:pg_get_\w+|pg_\w+_is_visible|format_type|\w+_description|current_schemas?|version"
    r"|array_agg|string_agg|unnest|generate_\w+|json_build_object|quote_ident|row_number|coalesce|cast|count"
    r"|min|max|any|all|exists|in|and|or|not|as|on|where|from|select|over|filter|values|then|when|else|by|lateral)",
    re.IGNORECASE,
)


def changes_nothing(statement: str) -> bool:
    """Whether all it does ends with its session; a SELECT may call a function that does more."""
    if len(statement) > _READ:
        return False
    bare = OPAQUE.sub(lambda one: "x" if one[0].startswith('"') else " ", statement).strip(" \t\r\n;")
    if ";" in bare:
        return False
    if not bare or _IDLE.match(bare):
        return True
    return bool(_READING.match(bare)) and all(_HARMLESS.fullmatch(one) for one in _CALL.findall(bare))


def may_outlast_failure(statement: str) -> bool:
    """Whether it may have committed a part of its work before it failed."""
    return ending_of(statement) == "commit" or _COMMITS_MIDWAY.search(statement) is not None


def shown(statement: str) -> str:
    """The statement without remarks and values on one line; `…` at its end if that is not all of it."""
    text = " ".join(_VALUE.sub(_kept, statement[:_READ]).split())
    is_whole = len(statement) <= _READ and len(text) <= _LONGEST
    return text if is_whole else text[: _LONGEST - 1] + "…"


def _kept(found: re.Match[str]) -> str:
    if found["remark"]:
        return " "
    if found["rest"]:
        return "?…"
    return found["name"] or "?"
