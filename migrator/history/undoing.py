"""What undoes a committed statement, where that is trivial and certain."""

import re
from dataclasses import dataclass

from migrator.history.repeating import NAME, QUALIFIED, actions_of

_INDEX = re.compile(
    rf"CREATE\s+(?:UNIQUE\s+)?INDEX\s+(?:CONCURRENTLY\s+)?(?P<name>(?!IF\b|CONCURRENTLY\b|ON\b){NAME})\s+"
    rf"ON\s+(?:ONLY\s+)?(?P<table>{QUALIFIED})",
    re.IGNORECASE,
)
_OBJECT = re.compile(
    r"CREATE\s+(?:UNLOGGED\s+)?(?P<kind>TABLE|VIEW|MATERIALIZED\s+VIEW|SEQUENCE|TYPE|SCHEMA)\s+"
    rf"(?P<name>(?!IF\b|AUTHORIZATION\b){QUALIFIED})",
    re.IGNORECASE,
)
_ADD = re.compile(
    rf"ALTER\s+TABLE\s+(?:ONLY\s+)?(?P<table>(?!IF\b|ONLY\b){QUALIFIED})\s+ADD\s+(?P<what>COLUMN\s+|CONSTRAINT\s+|)"
    rf"(?P<name>(?!(?:IF|COLUMN|CONSTRAINT|PRIMARY|UNIQUE|CHECK|FOREIGN|EXCLUDE)\b){NAME})(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Undo:
    """A statement, and whether what was written since is lost with it."""

    sql: str
    loses: bool = False

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.sql} (loses what was written to it since)" if self.loses else self.sql


def undo_of(statement: str) -> Undo | None:
    """What takes it back; None where it is not certain, as for what may have been there before.

    What was cut off could hold another action, or another statement.
    """
    if ";" in statement.rstrip("; ") or statement.endswith("…"):
        return None
    if found := _INDEX.match(statement):
        schema = found["table"].rpartition(".")[0]
        name = f"{schema}.{found['name']}" if schema else found["name"]
        return Undo(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    if found := _OBJECT.match(statement):
        kind = " ".join(found["kind"].upper().split())
        return Undo(f"DROP {kind} {found['name']}", loses=kind in {"TABLE", "SEQUENCE"})
    found = _ADD.match(statement)
    if found is None or len(actions_of(found["rest"])) > 1:
        return None
    kind = "CONSTRAINT" if found["what"].upper().startswith("CONSTRAINT") else "COLUMN"
    return Undo(f"ALTER TABLE {found['table']} DROP {kind} {found['name']}", loses=kind == "COLUMN")
