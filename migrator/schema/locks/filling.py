"""Whether a new column is filled row by row, rather than by a note in the catalog.

Source: PostgreSQL, "ALTER TABLE", Notes: a volatile default, a stored expression and an identity rewrite.
"""

import re

from migrator.schema.locks.levels import pattern
from migrator.schema.locks.text import flat

FILLING = "add-column-default"
FILLING_REMEDY = "add the column without a default, then SET DEFAULT, and fill what is there in batches"

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
_TYPE_WITH_LENGTH = re.compile(r"::[\w ]+\(\d+(?:, \d+)?\)")
# Not volatile, or no function.
_STEADY = frozenset(
    "now transaction_timestamp statement_timestamp current_setting to_timestamp to_tsvector make_date "
    "make_interval date_trunc coalesce nullif lower upper concat array_fill jsonb_build_object "
    "jsonb_build_array json_build_object json_build_array string_to_array to_jsonb md5 timezone row array "
    "current_timestamp localtimestamp current_time in any and or".split()
)


def why_filled(action: str) -> str | None:
    """Why an `ADD COLUMN` writes every row; None if it does not."""
    if not _ADDED.match(action):
        return None
    default = _DEFAULT.search(action)
    value = _TYPE_WITH_LENGTH.sub("", default["value"]) if default else ""
    called = {one.rpartition(".")[2].lower() for one in re.findall(r"([\w.]+) ?\(", value)}
    if _STORED.search(flat(action)) or called & _VOLATILE:
        return "computes a value for every row and rewrites the table while nobody else may read"
    doubtful = called - _STEADY
    if not doubtful:
        return None
    listed = ", ".join(sorted(doubtful))
    return f"rewrites the table while nobody else may read, if {listed} is volatile, which is not known here"
