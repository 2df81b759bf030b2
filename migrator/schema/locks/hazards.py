"""How a statement may hurt those who use the database meanwhile, and the safe way to the same end.

Source: PostgreSQL, "ALTER TABLE" (Notes), "CREATE INDEX" (Building Indexes Concurrently), "VACUUM".
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from migrator.schema.locks.levels import pattern
from migrator.schema.locks.names import TableName, table_name
from migrator.schema.locks.reading import ALTERED
from migrator.schema.locks.text import Statement, flat, parts_of


class Concern(StrEnum):
    """Whom it hurts: everybody, if the table is large; or pods of the release before, whatever its size."""

    LARGE_TABLE = "large table"
    OLD_PODS = "old pods"


@dataclass(frozen=True, slots=True)
class Hazard:
    """One way to hurt: its id never changes; `remedy` is the safe way."""

    id: str
    concern: Concern
    table: TableName
    why: str
    remedy: str


@dataclass(frozen=True, slots=True)
class _Rule:
    """What to look for. `unless` is what makes it safe; it is looked for in the same text."""

    id: str
    concern: Concern
    pattern: re.Pattern[str]
    why: str
    remedy: str
    unless: re.Pattern[str] | None = None


_VALIDATE = "add it NOT VALID, and in a later transaction VALIDATE CONSTRAINT, which blocks nobody"
_SWITCH = "let a release that no longer needs it go out first; do this in the next one"
_SIDE_BY_SIDE = (
    "add a new column, have the app write both, fill it in batches, and drop the old one in a later release"
)
_NOT_VALID = re.compile(r"\bNOT VALID\b", re.IGNORECASE)

_SCANNED = (
    _Rule(
        "set-not-null",
        Concern.LARGE_TABLE,
        pattern(r"ALTER (?:COLUMN )?{n} SET NOT NULL\b|ADD (?:CONSTRAINT {n} )?NOT NULL\b"),
        "reads the whole table while nobody else may, unless a valid CHECK already proves it",
        "ADD CONSTRAINT … CHECK (column IS NOT NULL) NOT VALID; in a later transaction VALIDATE CONSTRAINT; "
        "then SET NOT NULL, which reads nothing any more",
        _NOT_VALID,
    ),
    _Rule(
        "add-check",
        Concern.LARGE_TABLE,
        pattern(r"ADD (?:CONSTRAINT {n} )?CHECK\b|ADD (?:COLUMN )?.* CHECK ?\("),
        "reads the whole table while nobody else may",
        _VALIDATE,
        _NOT_VALID,
    ),
    _Rule(
        "add-foreign-key",
        Concern.LARGE_TABLE,
        pattern(r"ADD (?:CONSTRAINT {n} )?FOREIGN KEY\b"),
        "reads the whole table while nobody may write to it, nor to the one it refers to",
        _VALIDATE,
        _NOT_VALID,
    ),
    _Rule(
        "attach-partition",
        Concern.LARGE_TABLE,
        pattern(r"ATTACH PARTITION {o}"),
        "reads the whole partition while nobody else may, unless a valid CHECK already proves its bounds",
        "first add that CHECK to the partition NOT VALID, and validate it in a later transaction",
    ),
)
_REWRITTEN = (
    _Rule(
        "alter-type",
        Concern.LARGE_TABLE,
        pattern(r"ALTER (?:COLUMN )?{n} (?:SET DATA )?TYPE\b"),
        "rewrites the table and its indexes while nobody else may read, unless both types are stored alike "
        "(a longer varchar, varchar to text)",
        _SIDE_BY_SIDE,
    ),
    _Rule(
        "rewrite",
        Concern.LARGE_TABLE,
        pattern(r"SET (?:LOGGED|UNLOGGED|ACCESS METHOD|TABLESPACE)\b"),
        "rewrites the table while nobody else may read",
        "do it in a quiet hour, or move the rows in batches to a new table",
    ),
    _Rule(
        "add-unique",
        Concern.LARGE_TABLE,
        pattern(
            r"ADD (?:CONSTRAINT {n} )?(?:UNIQUE|PRIMARY KEY|EXCLUDE)\b"
            r"|ADD (?:COLUMN )?.* (?:UNIQUE|PRIMARY KEY)\b"
        ),
        "builds an index while nobody else may read",
        "CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT … USING INDEX",
        re.compile(r"\bUSING INDEX\b(?! TABLESPACE)", re.IGNORECASE),
    ),
)
_USED = (
    _Rule(
        "drop-column",
        Concern.OLD_PODS,
        pattern(r"DROP (?!CONSTRAINT\b|EXPRESSION\b|COLUMN\b){n}|DROP COLUMN\b"),
        "pods of the release before, which still name the column, fail until they are gone",
        _SWITCH,
    ),
    _Rule(
        "rename-column",
        Concern.OLD_PODS,
        pattern(r"RENAME (?!CONSTRAINT\b|TO\b)(?:COLUMN )?{n} TO\b"),
        "pods of the release before, which still use the old name, fail until they are gone",
        _SIDE_BY_SIDE,
    ),
    _Rule(
        "rename-table",
        Concern.OLD_PODS,
        pattern(r"RENAME TO\b|SET SCHEMA\b"),
        "pods of the release before, which still use the old name, fail until they are gone",
        "leave a view with the old name behind in the same transaction, and drop it in a later release",
    ),
)
_ACTIONS = (*_SCANNED, *_REWRITTEN, *_USED)

_INDEX = r"CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY\b)(?:IF NOT EXISTS )?(?:{n} )?ON (?!ONLY\b){t}"
_STATEMENTS = (
    _Rule(
        "index-not-concurrently",
        Concern.LARGE_TABLE,
        pattern(_INDEX),
        "builds an index while nobody may write to the table",
        "CREATE INDEX CONCURRENTLY, in an autocommit_block of its own revision",
    ),
    _Rule(
        "reindex",
        Concern.LARGE_TABLE,
        pattern(r"REINDEX (?!.*\bCONCURRENTLY\b)(?:\([^)]*\) )?(?:TABLE|INDEX) {t}"),
        "builds indexes while nobody may write to the table, nor read through them",
        "REINDEX … CONCURRENTLY, in an autocommit_block",
    ),
    _Rule(
        "vacuum-full",
        Concern.LARGE_TABLE,
        pattern(r"VACUUM (?:\([^)]*\bFULL\b[^)]*\)|FULL)(?: FREEZE)?(?: VERBOSE)?(?: ANALYZE)? {ts}"),
        "rewrites the table while nobody else may read",
        "a plain VACUUM blocks nobody; to give back room, do it in a quiet hour",
    ),
    _Rule(
        "cluster",
        Concern.LARGE_TABLE,
        pattern(r"CLUSTER (?:\([^)]*\) )?(?:VERBOSE )?{t}"),
        "rewrites the table while nobody else may read",
        "do it in a quiet hour, outside of a deploy",
    ),
    _Rule(
        "refresh-not-concurrently",
        Concern.LARGE_TABLE,
        pattern(r"REFRESH MATERIALIZED VIEW (?!CONCURRENTLY\b){t}"),
        "computes the view anew while nobody may read it",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY; it needs a unique index",
    ),
    _Rule(
        "every-row",
        Concern.LARGE_TABLE,
        pattern(r"(?:UPDATE|DELETE FROM) (?:ONLY )?{t}"),
        "changes every row in one transaction; whoever changes one of them waits until it ends",
        "change them in batches, each with a transaction of its own",
        re.compile(r"\bWHERE\b", re.IGNORECASE),
    ),
    _Rule(
        "drop-table",
        Concern.OLD_PODS,
        pattern(r"DROP (?:TABLE|VIEW|MATERIALIZED VIEW) (?:IF EXISTS )?{ts}"),
        "pods of the release before, which still use it, fail until they are gone",
        _SWITCH,
    ),
)


def hazards_of(statement: Statement) -> tuple[Hazard, ...]:
    """The ways in which a statement may hurt; whether its table is large is for who knows to say."""
    words = statement.words
    if found := ALTERED.match(words):
        table = table_name(found["t"])
        return tuple(one for action in parts_of(found["actions"]) for one in _of_action(action, table))
    return tuple(
        Hazard(rule.id, rule.concern, table, rule.why, rule.remedy)
        for rule in _STATEMENTS
        if (found := rule.pattern.match(words)) and not (rule.unless and rule.unless.search(words))
        for table in _tables(found)
    )


def _tables(found: re.Match[str]) -> list[TableName]:
    groups = found.groupdict()
    spelt = parts_of(groups["ts"]) if "ts" in groups else (groups["t"],)
    return [table_name(re.sub(r"^ONLY ", "", one, flags=re.IGNORECASE)) for one in spelt]


def _of_action(action: str, table: TableName) -> list[Hazard]:
    found = []
    for rule in _ACTIONS:
        if (seen := rule.pattern.match(action)) and not (rule.unless and rule.unless.search(action)):
            other = seen.groupdict().get("o")
            whose = table_name(other) if other else table
            found.append(Hazard(rule.id, rule.concern, whose, rule.why, rule.remedy))
            break
    filled = _filled(action, table)
    return [*found, *([filled] if filled else [])]


_ADDED = pattern(r"ADD (?!CONSTRAINT\b|CHECK\b|FOREIGN KEY\b|UNIQUE\b|PRIMARY KEY\b|EXCLUDE\b|NOT NULL\b)")
_STORED = re.compile(
    r" GENERATED (?:ALWAYS|BY DEFAULT) AS IDENTITY\b| GENERATED ALWAYS AS .*\bSTORED\b"
    r"| (?:small|big)?serial\d?\b",
    re.IGNORECASE,
)
_DEFAULT = re.compile(
    r" DEFAULT (?P<value>.*?)"
    r"(?: (?:NOT NULL|NULL|CHECK|REFERENCES|UNIQUE|PRIMARY KEY|CONSTRAINT|COLLATE|GENERATED)\b|$)",
    re.IGNORECASE,
)
_VOLATILE = frozenset(
    "random clock_timestamp timeofday nextval setval gen_random_uuid uuidv4 uuidv7 uuid_generate_v1 "
    "uuid_generate_v1mc uuid_generate_v4 random_normal gen_random_bytes gen_salt".split()
)
# Not volatile, or no function.
_STEADY = frozenset(
    "now transaction_timestamp statement_timestamp current_setting to_timestamp to_tsvector make_date "
    "make_interval date_trunc coalesce nullif lower upper concat array_fill jsonb_build_object "
    "jsonb_build_array json_build_object json_build_array string_to_array to_jsonb md5 timezone row array "
    "current_timestamp localtimestamp current_time in any and or".split()
)


def _filled(action: str, table: TableName) -> Hazard | None:
    """What fills a new column row by row, rather than by a note in the catalog."""
    if not _ADDED.match(action):
        return None
    default = _DEFAULT.search(action)
    value = re.sub(r"::[\w ]+\(\d+(?:, \d+)?\)", "", default["value"]) if default else ""
    called = {one.rpartition(".")[2].lower() for one in re.findall(r"([\w.]+) ?\(", value)}
    if _STORED.search(flat(action)) or called & _VOLATILE:
        why = "computes a value for every row and rewrites the table while nobody else may read"
    elif called - _STEADY:
        listed = ", ".join(sorted(called - _STEADY))
        why = (
            f"rewrites the table while nobody else may read, if {listed} is volatile, which is not known here"
        )
    else:
        return None
    remedy = "add the column without a default, then SET DEFAULT, and fill what is there in batches"
    return Hazard("add-column-default", Concern.LARGE_TABLE, table, why, remedy)
