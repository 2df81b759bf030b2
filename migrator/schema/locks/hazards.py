"""How a statement may hurt those who use the database meanwhile, and the safe way to the same end."""

import re
from dataclasses import dataclass

from migrator.schema.locks.filling import FILLING, FILLING_REMEDY, why_filled
from migrator.schema.locks.names import TableName, table_name
from migrator.schema.locks.reading import ALTERED
from migrator.schema.locks.rules import ACTION_RULES, STATEMENT_RULES, Concern
from migrator.schema.locks.text import Statement, parts_of


@dataclass(frozen=True, slots=True)
class Hazard:
    """One way to hurt: its id never changes; `remedy` is the safe way."""

    id: str
    concern: Concern
    table: TableName
    why: str
    remedy: str


def hazards_of(statement: Statement) -> tuple[Hazard, ...]:
    """The ways in which a statement may hurt; whether its table is large is for who knows to say."""
    words = statement.words
    if found := ALTERED.match(words):
        table = table_name(found["t"])
        return tuple(one for action in parts_of(found["actions"]) for one in _of_action(action, table))
    return tuple(
        Hazard(rule.id, rule.concern, table, rule.why, rule.remedy)
        for rule in STATEMENT_RULES
        if (found := rule.pattern.match(words)) and not (rule.unless and rule.unless.search(words))
        for table in _tables(found)
    )


def _tables(found: re.Match[str]) -> list[TableName]:
    groups = found.groupdict()
    spelt = parts_of(groups["ts"]) if "ts" in groups else (groups["t"],)
    return [table_name(re.sub(r"^ONLY ", "", one, flags=re.IGNORECASE)) for one in spelt]


def _of_action(action: str, table: TableName) -> list[Hazard]:
    found = []
    for rule in ACTION_RULES:
        if (seen := rule.pattern.match(action)) and not (rule.unless and rule.unless.search(action)):
            other = seen.groupdict().get("o")
            whose = table_name(other) if other else table
            found.append(Hazard(rule.id, rule.concern, whose, rule.why, rule.remedy))
            break
    if why := why_filled(action):
        found.append(Hazard(FILLING, Concern.LARGE_TABLE, table, why, FILLING_REMEDY))
    return found
