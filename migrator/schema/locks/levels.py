"""The table of lock levels, as the manual has them.

Source: PostgreSQL, "Explicit Locking" (table-level locks), "ALTER TABLE", and the page of each command.
A test runs each against a server and reads `pg_locks`.
"""

import re
from enum import StrEnum

from migrator.schema.locks.names import NAME, QUALIFIED


class Mode(StrEnum):
    """A table-level lock; the order is by strength, as far as there is one."""

    ACCESS_SHARE = "ACCESS SHARE"
    ROW_SHARE = "ROW SHARE"
    ROW_EXCLUSIVE = "ROW EXCLUSIVE"
    SHARE_UPDATE_EXCLUSIVE = "SHARE UPDATE EXCLUSIVE"
    SHARE = "SHARE"
    SHARE_ROW_EXCLUSIVE = "SHARE ROW EXCLUSIVE"
    EXCLUSIVE = "EXCLUSIVE"
    ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"

    @property
    def strength(self) -> int:
        """For comparison: an `ALTER TABLE` takes the strictest of what its actions need."""
        return list(Mode).index(self)


_WRITERS_WAIT = "readers go on, writers wait"
EFFECTS = {
    Mode.ACCESS_SHARE: "readers and writers go on",
    Mode.ROW_SHARE: "readers and writers go on",
    Mode.ROW_EXCLUSIVE: "readers and writers go on, but for the rows it changes",
    Mode.SHARE_UPDATE_EXCLUSIVE: "readers and writers go on; VACUUM and other changes of the schema wait",
    Mode.SHARE: _WRITERS_WAIT,
    Mode.SHARE_ROW_EXCLUSIVE: _WRITERS_WAIT,
    Mode.EXCLUSIVE: _WRITERS_WAIT,
    Mode.ACCESS_EXCLUSIVE: "readers and writers wait",
}
"""What everybody else feels of it, until the transaction ends."""


def pattern(template: str) -> re.Pattern[str]:
    """A pattern of a statement's plain spelling: `{t}` is its table, `{o}` another one, `{n}` any name."""
    text = template.replace("{t}", f"(?P<t>{QUALIFIED})").replace("{o}", f"(?P<o>{QUALIFIED})")
    text = text.replace(
        "{ts}", f"(?P<ts>(?:ONLY )?{QUALIFIED}(?: ?\\*)?(?:, ?(?:ONLY )?{QUALIFIED}(?: ?\\*)?)*)"
    )
    text = text.replace("{n}", NAME)
    return re.compile(text, re.IGNORECASE)


_OPTIONS = r"(?:\([^)]*\) )?"
_SUE, _AE = Mode.SHARE_UPDATE_EXCLUSIVE, Mode.ACCESS_EXCLUSIVE

STATEMENTS = tuple(
    (pattern(template), mode)
    for template, mode in (
        (r"CREATE (?:UNIQUE )?INDEX CONCURRENTLY (?:IF NOT EXISTS )?(?:{n} )?ON (?:ONLY )?{t}", _SUE),
        (r"CREATE (?:UNIQUE )?INDEX (?:IF NOT EXISTS )?(?:{n} )?ON (?:ONLY )?{t}", Mode.SHARE),
        (r"DROP INDEX CONCURRENTLY (?:IF EXISTS )?{ts}", _SUE),
        (r"DROP INDEX (?:IF EXISTS )?{ts}", _AE),
        (r"ALTER INDEX (?:IF EXISTS )?{t} RENAME TO\b", _SUE),
        (r"REINDEX \([^)]*\bCONCURRENTLY\b[^)]*\) (?:TABLE|INDEX) {t}", _SUE),
        (rf"REINDEX {_OPTIONS}(?:TABLE|INDEX) CONCURRENTLY {{t}}", _SUE),
        (rf"REINDEX {_OPTIONS}(?:TABLE|INDEX) {{t}}", Mode.SHARE),
        (r"DROP (?:TABLE|VIEW|MATERIALIZED VIEW) (?:IF EXISTS )?{ts}", _AE),
        (r"TRUNCATE (?:TABLE )?{ts}", _AE),
        (r"VACUUM (?:\([^)]*\bFULL\b[^)]*\)|FULL)(?: FREEZE)?(?: VERBOSE)?(?: ANALYZE)? {ts}", _AE),
        (rf"VACUUM {_OPTIONS}(?:FREEZE )?(?:VERBOSE )?(?:ANALYZE )?{{ts}}", _SUE),
        (rf"ANALYZE {_OPTIONS}(?:VERBOSE )?{{ts}}", _SUE),
        (rf"CLUSTER {_OPTIONS}(?:VERBOSE )?{{t}}", _AE),
        (r"REFRESH MATERIALIZED VIEW CONCURRENTLY {t}", Mode.EXCLUSIVE),
        (r"REFRESH MATERIALIZED VIEW {t}", _AE),
        (
            r"CREATE (?:OR REPLACE )?(?:CONSTRAINT )?TRIGGER {n} .*? ON {t}",
            Mode.SHARE_ROW_EXCLUSIVE,
        ),
        (r"(?:ALTER|DROP) TRIGGER (?:IF EXISTS )?{n} ON {t}", _AE),
        (r"CREATE (?:OR REPLACE )?RULE {n} AS ON \w+ TO {t}", _AE),
        (r"(?:ALTER|DROP) RULE (?:IF EXISTS )?{n} ON {t}", _AE),
        (r"(?:CREATE|ALTER|DROP) POLICY (?:IF EXISTS )?{n} ON {t}", _AE),
        (r"CREATE STATISTICS .* FROM {t}", _SUE),
        (r"COMMENT ON (?:TABLE|VIEW|MATERIALIZED VIEW) {t} IS\b", _SUE),
        (r"COMMENT ON COLUMN {t}\.{n} IS\b", _SUE),
        (r"INSERT INTO {t}", Mode.ROW_EXCLUSIVE),
        (r"UPDATE (?:ONLY )?{t}", Mode.ROW_EXCLUSIVE),
        (r"DELETE FROM (?:ONLY )?{t}", Mode.ROW_EXCLUSIVE),
        (r"MERGE INTO (?:ONLY )?{t}", Mode.ROW_EXCLUSIVE),
        (r"COPY {t}(?: ?\([^)]*\))? FROM\b", Mode.ROW_EXCLUSIVE),
    )
)
"""The first that fits counts."""

_QUICK_PARAMETER = (
    r"(?:toast\.)?(?:fillfactor|toast_tuple_target|parallel_workers|vacuum_\w+|autovacuum_\w+"
    r"|log_autovacuum_\w+)"
)
ACTIONS = tuple(
    (pattern(template), mode, others)
    for template, mode, others in (
        (r"VALIDATE CONSTRAINT\b", _SUE, None),
        (r"ALTER (?:COLUMN )?(?:{n}|\d+) SET STATISTICS\b", _SUE, None),
        (r"ALTER (?:COLUMN )?{n} (?:SET|RESET) ?\(", _SUE, None),
        (r"(?:CLUSTER ON|SET WITHOUT CLUSTER)\b", _SUE, None),
        (
            rf"(?:SET|RESET) ?\({_QUICK_PARAMETER}(?: ?=[^,)]*)?(?:, ?{_QUICK_PARAMETER}(?: ?=[^,)]*)?)*\)",
            _SUE,
            None,
        ),
        (r"(?:ENABLE|DISABLE) (?:REPLICA |ALWAYS )?TRIGGER\b", Mode.SHARE_ROW_EXCLUSIVE, None),
        (
            r"ADD (?:CONSTRAINT {n} )?FOREIGN KEY\b.*? REFERENCES {o}",
            Mode.SHARE_ROW_EXCLUSIVE,
            Mode.SHARE_ROW_EXCLUSIVE,
        ),
        (r"ADD .*? REFERENCES {o}", _AE, Mode.SHARE_ROW_EXCLUSIVE),
        (r"ATTACH PARTITION {o}", _SUE, _AE),
        (r"DETACH PARTITION {o} (?:CONCURRENTLY|FINALIZE)\b", _SUE, _AE),
        (r"DETACH PARTITION {o}", _AE, _AE),
        (r"INHERIT {o}", _AE, _SUE),
    )
)
"""Of an `ALTER TABLE`: its table's lock and the other table's; whatever is not here is ACCESS EXCLUSIVE."""
