"""Rows are counted right wherever the pieces are cut, and whatever the values look like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.backup.rows import RowCounter
from migrator.errors import BackupFailed

START = b"--\n-- PostgreSQL database dump\n--\n\nSET client_encoding = 'UTF8';\n\n"
END = b"\n--\n-- PostgreSQL database dump complete\n--\n\n"
# What COPY writes of values that look like its own signs.
ROWS = (
    b"1\ta",
    b"",
    b"\\\\.",
    b"\\\\.\\n\\\\.",
    b"\\N",
    b".",
    b"COPY a.b (c) FROM stdin;",
    b"\\\\",
    b"x\\\\.",
)
TABLES = (
    (b"public.book (n, title)", (b"public", b"book")),
    (b"public.shelf ", (b"public", b"shelf")),
    (b'"We ird"."t""a.b\nle" ("a\n b(,)", "\xc3\xbc")', (b"We ird", b't"a.b\nle')),
    (b'public."COPY x.y (z) FROM stdin;" (a)', (b"public", b"COPY x.y (z) FROM stdin;")),
)


def table(header: bytes, rows: list[bytes]) -> bytes:
    lines = b"".join(row + b"\n" for row in rows)
    return b"--\n-- Data for Name: x\n--\n\nCOPY " + header + b" FROM stdin;\n" + lines + b"\\.\n\n\n"


def large_object(oid: int) -> bytes:
    return (
        b"SELECT pg_catalog.lo_open('%d', 131072);\nSELECT pg_catalog.lowrite(0, '\\x00');\n"
        b"SELECT pg_catalog.lo_close(0);\n\n" % oid
    )


def counted(text: bytes, size: int) -> RowCounter:
    counter = RowCounter()
    for start in range(0, len(text), size):
        counter.take(text[start : start + size])
    counter.finish()
    return counter


@given(
    st.lists(st.tuples(st.sampled_from(TABLES), st.lists(st.sampled_from(ROWS), max_size=6)), max_size=6),
    st.integers(0, 3),
    st.integers(1, 400),
)
def test_every_table_has_its_rows_wherever_the_pieces_are_cut(
    tables: list[tuple[tuple[bytes, tuple[bytes, bytes]], list[bytes]]], objects: int, size: int
) -> None:
    text = START + b"".join(table(header, rows) for (header, _), rows in tables)
    text += b"".join(large_object(oid) for oid in range(objects)) + END
    expected: dict[tuple[bytes, bytes], int] = {}
    for (_, name), rows in tables:
        expected[name] = expected.get(name, 0) + len(rows)
    counter = counted(text, size)
    assert counter.rows == expected
    assert counter.large_objects == objects
    assert counter.size_bytes == len(text)


@pytest.mark.parametrize("cut", [1, 2, 3, 10, 40])
def test_a_table_that_does_not_come_to_its_end_is_none(cut: int) -> None:
    text = START + table(*TABLES[0][:1], [b"1\ta", b"2\tb"]).rstrip(b"\n")
    with pytest.raises(BackupFailed, match="in the middle of a table"):
        counted(text[:-cut], 7)


def test_a_header_that_cannot_be_understood_is_no_table() -> None:
    with pytest.raises(BackupFailed, match="cannot be understood"):
        counted(START + b"COPY (SELECT 1) TO stdout;\n" + b"x\n" * 200_000, 1 << 16)
