"""The table of hazards: which words hurt whom, why, and the safe way to the same end.

Source: PostgreSQL, "ALTER TABLE" (Notes), "CREATE INDEX" (Building Indexes Concurrently), "VACUUM".
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from migrator.schema.locks.levels import pattern


class Concern(StrEnum):
    """Whom it hurts: everybody, if the table is large; or pods of the release before, whatever its size."""

    LARGE_TABLE = "large table"
    OLD_PODS = "old pods"


@dataclass(frozen=True, slots=True)
class Rule:
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
    Rule(
        "set-not-null",
        Concern.LARGE_TABLE,
        pattern(r"ALTER (?:COLUMN )?{n} SET NOT NULL\b|ADD (?:CONSTRAINT {n} )?NOT NULL\b"),
        "reads the whole table while nobody else may, unless a valid CHECK already proves it",
        "ADD CONSTRAINT … CHECK (column IS NOT NULL) NOT VALID; in a later transaction VALIDATE CONSTRAINT; "
        "then SET NOT NULL, which reads nothing any more",
        _NOT_VALID,
    ),
    Rule(
        "add-check",
        Concern.LARGE_TABLE,
        pattern(r"ADD (?:CONSTRAINT {n} )?CHECK\b|ADD (?:COLUMN )?.* CHECK ?\("),
        "reads the whole table while nobody else may",
        _VALIDATE,
        _NOT_VALID,
    ),
    Rule(
        "add-foreign-key",
        Concern.LARGE_TABLE,
        pattern(r"ADD (?:CONSTRAINT {n} )?FOREIGN KEY\b"),
        "reads the whole table while nobody may write to it, nor to the one it refers to",
        _VALIDATE,
        _NOT_VALID,
    ),
    Rule(
        "attach-partition",
        Concern.LARGE_TABLE,
        pattern(r"ATTACH PARTITION {o}"),
        "reads the whole partition while nobody else may, unless a valid CHECK already proves its bounds",
        "first add that CHECK to the partition NOT VALID, and validate it in a later transaction",
    ),
)
_REWRITTEN = (
    Rule(
        "alter-type",
        Concern.LARGE_TABLE,
        pattern(r"ALTER (?:COLUMN )?{n} (?:SET DATA )?TYPE\b"),
        "rewrites the table and its indexes while nobody else may read, unless both types are stored alike "
        "(a longer varchar, varchar to text)",
        _SIDE_BY_SIDE,
    ),
    Rule(
        "rewrite",
        Concern.LARGE_TABLE,
        pattern(r"SET (?:LOGGED|UNLOGGED|ACCESS METHOD|TABLESPACE)\b"),
        "rewrites the table while nobody else may read",
        "do it in a quiet hour, or move the rows in batches to a new table",
    ),
    Rule(
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
    Rule(
        "drop-column",
        Concern.OLD_PODS,
        pattern(r"DROP (?!CONSTRAINT\b|EXPRESSION\b|COLUMN\b){n}|DROP COLUMN\b"),
        "pods of the release before, which still name the column, fail until they are gone",
        _SWITCH,
    ),
    Rule(
        "rename-column",
        Concern.OLD_PODS,
        pattern(r"RENAME (?!CONSTRAINT\b|TO\b)(?:COLUMN )?{n} TO\b"),
        "pods of the release before, which still use the old name, fail until they are gone",
        _SIDE_BY_SIDE,
    ),
    Rule(
        "rename-table",
        Concern.OLD_PODS,
        pattern(r"RENAME TO\b|SET SCHEMA\b"),
        "pods of the release before, which still use the old name, fail until they are gone",
        "leave a view with the old name behind in the same transaction, and drop it in a later release",
    ),
)
ACTION_RULES = (*_SCANNED, *_REWRITTEN, *_USED)

_INDEX = r"CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY\b)(?:IF NOT EXISTS )?(?:{n} )?ON (?!ONLY\b){t}"
STATEMENT_RULES = (
    Rule(
        "index-not-concurrently",
        Concern.LARGE_TABLE,
        pattern(_INDEX),
        "builds an index while nobody may write to the table",
        "CREATE INDEX CONCURRENTLY, in an autocommit_block of its own revision",
    ),
    Rule(
        "reindex",
        Concern.LARGE_TABLE,
        pattern(r"REINDEX (?!.*\bCONCURRENTLY\b)(?:\([^)]*\) )?(?:TABLE|INDEX) {t}"),
        "builds indexes while nobody may write to the table, nor read through them",
        "REINDEX … CONCURRENTLY, in an autocommit_block",
    ),
    Rule(
        "vacuum-full",
        Concern.LARGE_TABLE,
        pattern(r"VACUUM (?:\([^)]*\bFULL\b[^)]*\)|FULL)(?: FREEZE)?(?: VERBOSE)?(?: ANALYZE)? {ts}"),
        "rewrites the table while nobody else may read",
        "a plain VACUUM blocks nobody; to give back room, do it in a quiet hour",
    ),
    Rule(
        "cluster",
        Concern.LARGE_TABLE,
        pattern(r"CLUSTER (?:\([^)]*\) )?(?:VERBOSE )?{t}"),
        "rewrites the table while nobody else may read",
        "do it in a quiet hour, outside of a deploy",
    ),
    Rule(
        "refresh-not-concurrently",
        Concern.LARGE_TABLE,
        pattern(r"REFRESH MATERIALIZED VIEW (?!CONCURRENTLY\b){t}"),
        "computes the view anew while nobody may read it",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY; it needs a unique index",
    ),
    Rule(
        "every-row",
        Concern.LARGE_TABLE,
        pattern(r"(?:UPDATE|DELETE FROM) (?:ONLY )?{t}"),
        "changes every row in one transaction; whoever changes one of them waits until it ends",
        "change them in batches, each with a transaction of its own",
        re.compile(r"\bWHERE\b", re.IGNORECASE),
    ),
    Rule(
        "drop-table",
        Concern.OLD_PODS,
        pattern(r"DROP (?:TABLE|VIEW|MATERIALIZED VIEW) (?:IF EXISTS )?{ts}"),
        "pods of the release before, which still use it, fail until they are gone",
        _SWITCH,
    ),
)
RULES = (*ACTION_RULES, *STATEMENT_RULES)
