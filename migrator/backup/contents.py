"""What tables and large objects hold: their rows counted, and a checksum that no order of rows changes.

Both sides of a comparison ask with the same settings, so equal values have equal texts.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from migrator.backup.manifest import TableContents
from migrator.postgres.session import Session

# What the text of a value depends on, and what would hide rows or end a long statement. A policy that hides
# rows must be an error.
_SETTINGS = {
    "search_path": "pg_catalog",
    "row_security": "off",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "lc_monetary": "C",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "jit": "off",
}
_PIECE_BYTES = 8 << 20


def row_counts(session: Session, tables: Iterable[str]) -> dict[str, TableContents]:
    """How many rows each of these tables has by itself; they are named as SQL writes them, with schema.

    Raises our errors, also where row-level security would hide a row.
    """
    with _settled(session):
        return {
            table: TableContents(session.value(f"SELECT count(*) FROM ONLY {table}"))  # noqa: S608 - quoted
            for table in tables
        }


def checksums(session: Session, tables: Iterable[str]) -> dict[str, TableContents]:
    """Rows and checksum of each of these tables by itself; they are named as SQL writes them, with schema.

    In the transaction the session is in, such as that of a dump's snapshot; its settings stay what they were.
    Raises our errors, also where row-level security would hide a row.
    """
    with _settled(session):
        return {table: TableContents(*session.row(_CHECKSUM.format(table=table))) for table in tables}


def large_objects(session: Session) -> TableContents:
    """How many large objects there are, with a checksum of all they hold, read piece by piece.

    Raises our errors, also where the role may not read one.
    """
    with _settled(session):
        left = [
            oid for (oid,) in session.rows("SELECT oid::bigint FROM pg_largeobject_metadata ORDER BY oid")
        ]
        count, total, offset = len(left), 0, 0
        while left:
            piece, left = session.row(_PIECES, [offset, _PIECE_BYTES, offset, _PIECE_BYTES, left])
            total += int(piece)
            offset += _PIECE_BYTES
            left = left or []
    return TableContents(count, str(total))


_CHECKSUM = """
SELECT count(*), coalesce(sum(hashtextextended(t::text COLLATE "C", 0)::numeric), 0)::text FROM ONLY {table} t
"""
_PIECES = """
SELECT coalesce(sum(hashtextextended(concat_ws(':', oid, %s, encode(sha256(piece), 'hex')), 0)::numeric), 0),
    array_agg(oid) FILTER (WHERE length(piece) = %s)
FROM (SELECT oid, lo_get(oid::oid, %s, %s) AS piece FROM unnest(%s::bigint[]) AS objects(oid)) pieces
"""


@contextmanager
def _settled(session: Session) -> Iterator[None]:
    """Our settings, for as long as the block lasts: in a transaction of its own where there is none."""
    is_inside = session.in_transaction
    session.rows("SAVEPOINT contents" if is_inside else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        for name, value in _SETTINGS.items():
            session.rows("SELECT set_config(%s, %s, true)", [name, value])
        yield
    finally:
        session.rows("ROLLBACK TO SAVEPOINT contents" if is_inside else "ROLLBACK")
