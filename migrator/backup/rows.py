"""Rows of each table, counted in the SQL that `pg_restore` decodes from an archive while it is written."""

import re
from typing import Final

from migrator.errors import BackupFailed

_NAME: Final = rb'(?:"((?:[^"]++|"")*+)"|([^\s".(),;]++))'
_COLUMN: Final = rb'(?:"(?:[^"]++|"")*+"|[^\s".(),;]++)'
# Source: pg_dump prints `COPY schema.table (columns) FROM stdin;`; without columns there are two spaces.
_HEADER: Final = re.compile(
    rb"COPY "
    + _NAME
    + rb"\."
    + _NAME
    + rb" (?:\("
    + _COLUMN
    + rb"(?:, "
    + _COLUMN
    + rb")*+\))? ?FROM stdin;\n"
)
# What can follow a line's end outside of rows and matters to us; the longest bounds what is kept of a piece.
_OBJECT: Final = b"\nSELECT pg_catalog.lo_open("
_MATTERS: Final = re.compile(rb"\n(?:COPY |SELECT pg_catalog\.lo_open\()")
_END: Final = b"\n\\.\n"
# 1,600 columns with names of 63 bytes, each a quote that is doubled.
_LONGEST_HEADER: Final = 1 << 18

Name = tuple[bytes, bytes]  # schema and table, in the archive's encoding and without quotes


class RowCounter:
    r"""Takes the decoded data in pieces, cut wherever they are; only data, since a function's body may lie.

    `COPY` writes a line feed inside of a value as `\n`, and a backslash as two: a raw line feed ends a row,
    and a line with nothing but `\.` ends the table.
    """

    def __init__(self) -> None:
        """Nothing is decoded yet."""
        self.rows: dict[Name, int] = {}  # of tables whose data came to its end
        self.large_objects = 0
        self.size_bytes = 0
        self._rest = b"\n"
        self._table: Name | None = None
        self._counted = 0

    def take(self, piece: bytes) -> None:
        """Count what is in the next piece. Raises `BackupFailed` for what pg_restore would not print."""
        self.size_bytes += len(piece)
        data: bytes | None = self._rest + piece
        while data is not None:
            data = self._look(data) if self._table is None else self._count(data, self._table)

    def finish(self) -> None:
        """Raise `BackupFailed` unless everything came to its end."""
        if self._table is not None or _MATTERS.search(self._rest):
            raise BackupFailed("the decoded archive ends in the middle of a table")

    def _look(self, data: bytes) -> bytes | None:
        """Look for the next table; return what follows its header, or None when more must come first."""
        at = 0
        while found := _MATTERS.search(data, at):
            if found[0] == _OBJECT:
                self.large_objects += 1
                at = found.end()
                continue
            header = _HEADER.match(data, found.start() + 1)
            if header is None:
                self._rest = data[found.start() :]
                if len(self._rest) > _LONGEST_HEADER:
                    raise BackupFailed("the decoded archive has a COPY that cannot be understood")
                return None
            self._table = _unquoted(header[1], header[2]), _unquoted(header[3], header[4])
            self._counted = -1  # the line feed that ends the header is counted as well
            return data[header.end() - 1 :]
        self._rest = data[max(at, len(data) - len(_OBJECT) + 1) :]
        return None

    def _count(self, data: bytes, table: Name) -> bytes | None:
        """Count rows; return what follows the table, or None when more of it must come first."""
        end = data.find(_END)
        if end < 0:
            keep = max(len(data) - len(_END) + 1, 0)
            self._counted += data.count(b"\n", 0, keep)
            self._rest = data[keep:]
            return None
        self.rows[table] = self.rows.get(table, 0) + self._counted + data.count(b"\n", 0, end + 1)
        self._table = None
        return data[end + len(_END) - 1 :]


def _unquoted(quoted: bytes | None, plain: bytes | None) -> bytes:
    return plain if quoted is None else quoted.replace(b'""', b'"')  # type: ignore[return-value]
