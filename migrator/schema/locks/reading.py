"""Which table locks one statement takes, as far as its text tells."""

import re
from dataclasses import dataclass

from migrator.schema.locks.levels import ACTIONS, STATEMENTS, Mode, pattern
from migrator.schema.locks.names import QUALIFIED, TableName, table_name
from migrator.schema.locks.text import Statement, parts_of

ALTERED = pattern(
    r"ALTER (?:FOREIGN )?(?:TABLE|VIEW|MATERIALIZED VIEW) (?:IF EXISTS )?(?:ONLY )?{t}(?: \*)? "
    r"(?P<actions>.*)"
)
_MADE_TABLE = pattern(
    r"CREATE (?:(?:GLOBAL |LOCAL )?TEMP(?:ORARY)? |UNLOGGED |FOREIGN )?TABLE (?:IF NOT EXISTS )?{t}"
)
_MADE = pattern(
    r"CREATE (?:UNIQUE INDEX|INDEX|MATERIALIZED VIEW|VIEW|SEQUENCE) (?:CONCURRENTLY (?!ON\b))?"
    r"(?:IF NOT EXISTS )?(?!ON\b|CONCURRENTLY\b){t}"
)
_RENAMED = pattern(r"ALTER (?:TABLE|VIEW|MATERIALIZED VIEW|INDEX) (?:IF EXISTS )?{t} RENAME TO (?P<to>{n})")
_REFERENCED = re.compile(rf" REFERENCES (?P<o>{QUALIFIED})", re.IGNORECASE)
_PARENT = pattern(r".*? PARTITION OF {o}")
_INHERITED = pattern(r".*\) INHERITS \({ts}\)")
_LOCKED = pattern(r"LOCK (?:TABLE )?{ts}(?: IN (?P<mode>[A-Z ]+?) MODE)?(?: NOWAIT)?$")
# What changes no table that is there already, whatever else it does.
_HARMLESS = re.compile(
    r"(?:BEGIN|START TRANSACTION|COMMIT|END|ROLLBACK|SAVEPOINT|RELEASE|SET|RESET|SHOW)\b"
    r"|(?:CREATE|ALTER|DROP) (?:OR REPLACE )?(?:FUNCTION|PROCEDURE|AGGREGATE|COLLATION)\b"
    r"|CREATE (?:SCHEMA|TYPE|DOMAIN|SEQUENCE)\b|COMMENT ON (?:SCHEMA|TYPE|FUNCTION|DATABASE|EXTENSION)\b"
    rf"|ALTER TYPE {QUALIFIED} (?:ADD VALUE|RENAME VALUE|RENAME TO|OWNER TO)\b",
    re.IGNORECASE,
)
_READS = re.compile(r"(?:SELECT|VALUES|TABLE|CREATE (?:OR REPLACE )?(?:MATERIALIZED )?VIEW)\b", re.IGNORECASE)
_RUNS_CODE = re.compile(r"(?:DO|CALL|EXECUTE|CREATE EXTENSION|ALTER EXTENSION)\b", re.IGNORECASE)
_TABLE = re.compile(rf"(?:ONLY )?({QUALIFIED})", re.IGNORECASE)


@dataclass(frozen=True, slots=True, order=True)
class Lock:
    """A lock on a table; of an index, the table it belongs to."""

    table: TableName
    mode: Mode


@dataclass(frozen=True, slots=True)
class Reading:
    """What a statement's text tells: its locks, what it makes, and why there may be more.

    `unknown` is None where the locks are all that matter; each table stands there once.
    """

    locks: tuple[Lock, ...] = ()
    makes: TableName | None = None
    unknown: str | None = None


def read(statement: Statement) -> Reading:
    """Read one statement."""
    words = statement.words
    if found := ALTERED.match(words):
        return _altered(table_name(found["t"]), found["actions"])
    if found := _MADE_TABLE.match(words):
        return _made_table(table_name(found["t"]), words)
    if found := _LOCKED.match(words):
        mode = Mode(found["mode"].upper()) if found["mode"] else Mode.ACCESS_EXCLUSIVE
        return Reading(_on_each(found["ts"], mode))
    makes = _MADE.match(words)
    made = table_name(makes["t"]) if makes else None
    for rule, mode in STATEMENTS:
        if found := rule.match(words):
            groups = found.groupdict()
            locks = _on_each(groups["ts"], mode) if "ts" in groups else (Lock(table_name(groups["t"]), mode),)
            return Reading(locks, made, _beyond(words))
    return Reading(makes=made, unknown=_why_unknown(words))


def renamed(statement: Statement) -> tuple[TableName, TableName] | None:
    """From which to which name a statement renames a table, view or index."""
    found = _RENAMED.match(statement.words)
    if found is None:
        return None
    before = table_name(found["t"])
    return before, TableName(table_name(found["to"]).name, before.schema)


def _altered(table: TableName, actions: str) -> Reading:
    modes = {table: Mode.ACCESS_SHARE}
    unknown = None
    for action in parts_of(actions):
        mode, other, others = Mode.ACCESS_EXCLUSIVE, None, None
        for rule, level, their_level in ACTIONS:
            if found := rule.match(action):
                mode, others = level, their_level
                other = found.groupdict().get("o")
                break
        modes[table] = _stricter(modes[table], mode)
        if other and others:
            name = table_name(other)
            modes[name] = _stricter(modes.get(name, others), others)
        if re.match(r"(?:DROP|ALTER|VALIDATE) CONSTRAINT\b", action, re.IGNORECASE):
            unknown = "if the constraint is a foreign key, the table it refers to is locked too"
    return Reading(tuple(Lock(name, mode) for name, mode in modes.items()), unknown=unknown)


def _stricter(one: Mode, other: Mode) -> Mode:
    return max(one, other, key=lambda mode: mode.strength)


def _made_table(table: TableName, words: str) -> Reading:
    modes: dict[TableName, Mode] = {}
    if found := _INHERITED.match(words):
        modes |= {one.table: one.mode for one in _on_each(found["ts"], Mode.SHARE_UPDATE_EXCLUSIVE)}
    for reference in _REFERENCED.finditer(words):
        modes[table_name(reference["o"])] = Mode.SHARE_ROW_EXCLUSIVE
    if found := _PARENT.match(words):
        modes[table_name(found["o"])] = Mode.ACCESS_EXCLUSIVE
    modes.pop(table, None)
    reads = re.search(r"(?<=[\w\")]) AS \(?(?:SELECT|WITH|TABLE|VALUES)\b|\(LIKE ", words, re.IGNORECASE)
    return Reading(tuple(Lock(*one) for one in modes.items()), table, _READING if reads else None)


def _on_each(spelt: str, mode: Mode) -> tuple[Lock, ...]:
    return tuple(Lock(table_name(found[1]), mode) for found in map(_TABLE.match, parts_of(spelt)) if found)


_READING = "ACCESS SHARE on what it reads; functions that it calls may take more"


def _beyond(words: str) -> str | None:
    """What a statement may lock besides the tables it names at its beginning."""
    if re.match(r"(?:DROP|TRUNCATE)\b.* CASCADE$", words, re.IGNORECASE):
        return "CASCADE reaches what depends on it, which the text does not tell"
    if re.match(r"DROP TABLE\b", words, re.IGNORECASE):
        return "tables that its foreign keys refer to are locked too"
    if re.match(r"(?:INSERT|UPDATE|DELETE|MERGE)\b", words, re.IGNORECASE) and re.search(
        r"\b(?:SELECT|USING)\b|\bSET\b.* FROM\b", words, re.IGNORECASE
    ):
        return _READING
    return None


def _why_unknown(words: str) -> str | None:
    if _HARMLESS.match(words):
        return None
    if _RUNS_CODE.match(words):
        return "not known: it runs code whose statements are not told"
    if re.match(r"SELECT\b.* FOR (?:NO KEY )?(?:UPDATE|SHARE|KEY SHARE)\b", words, re.IGNORECASE):
        return "ROW SHARE on what it reads; functions that it calls may take more"
    if _READS.match(words):
        return _READING
    return "not known: this statement is not in the table of lock levels"
