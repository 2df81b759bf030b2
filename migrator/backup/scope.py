"""What one backup is to hold: all the tables of its moment, less those whose rows are left out on purpose."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from migrator.backup.manifest import TableContents
from migrator.backup.moment import Moment, Table
from migrator.backup.patterns import tables_left_out
from migrator.backup.rows import RowCounter
from migrator.errors import BackupFailed

_LISTED = re.compile(rb"^\d+; \d+ \d+ TABLE (?!DATA |ATTACH )", re.MULTILINE)
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Scope:
    """What the archive must have, and what it must not."""

    moment: Moment
    left_out: tuple[Table, ...]

    @classmethod
    def of(cls, moment: Moment, patterns: Iterable[str]) -> "Scope":
        """By these patterns; version tables always keep their rows."""
        return cls(moment, tables_left_out(moment.tables, patterns, keep=moment.version_rows.keys()))

    @property
    def dumped(self) -> tuple[Table, ...]:
        """The tables whose rows are dumped."""
        out = set(self.left_out)
        return tuple(one for one in self.moment.tables if one.has_rows_itself and one not in out)

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of those that are left out."""
        return tuple(one.shown for one in self.left_out)

    def contents(self, counter: RowCounter, listing: bytes) -> Mapping[str, TableContents]:
        """The rows of each table by what was decoded. Raises `BackupFailed` naming what the archive lacks."""
        without = [one.shown for one in self.dumped if (one.schema, one.name) not in counter.rows]
        if without:
            more = f" and {len(without) - _NAMED} more" if len(without) > _NAMED else ""
            raise BackupFailed(f"the archive has no data of {', '.join(without[:_NAMED])}{more}")
        if (listed := len(_LISTED.findall(listing))) != len(self.moment.tables):
            raise BackupFailed(
                f"the archive lists {listed} tables, the database has {len(self.moment.tables)}"
            )
        if counter.large_objects != self.moment.large_objects:
            raise BackupFailed(
                f"the archive has {counter.large_objects} large objects, the database "
                f"{self.moment.large_objects}"
            )
        return {one.shown: TableContents(counter.rows[one.schema, one.name]) for one in self.dumped}
