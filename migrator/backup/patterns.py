"""Which tables the patterns of `MIGRATOR_BACKUP_EXCLUDE_DATA` name."""

import re
from collections.abc import Collection, Iterable

from migrator.backup.moment import Table


def tables_left_out(
    tables: Iterable[Table], patterns: Iterable[str], *, keep: Collection[str]
) -> tuple[Table, ...]:
    """Those whose rows a dump leaves out; a partitioned table stands for its partitions.

    The names in `keep` never are: a restored database must say which version it is at.
    """
    wanted = [_compiled(pattern) for pattern in patterns]
    return tuple(
        table
        for table in tables
        if table.has_rows_itself and table.shown not in keep and any(_matches(one, table) for one in wanted)
    )


def idle_patterns(tables: Iterable[Table], patterns: Iterable[str]) -> tuple[str, ...]:
    """Patterns that no table matches: a typo, or a table that is gone."""
    tables = tuple(tables)
    return tuple(one for one in patterns if not any(_matches(_compiled(one), table) for table in tables))


def _matches(pattern: re.Pattern[str], table: Table) -> bool:
    return any(pattern.fullmatch(name.replace('"', "")) for name in (table.shown, *table.above))


def _compiled(pattern: str) -> re.Pattern[str]:
    """`schema.name`, or a name in any schema; `*` stands for any characters, `?` for one."""
    plain = pattern.replace('"', "")
    text = plain if "." in plain else f"*.{plain}"
    return re.compile(re.escape(text).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
