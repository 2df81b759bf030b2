"""Which tables a pattern leaves out."""

import pytest

from migrator.backup.moment import Table
from migrator.backup.patterns import idle_patterns, tables_left_out


def table(shown: str, *above: str, has_rows_itself: bool = True) -> Table:
    schema, _, name = shown.replace('"', "").partition(".")
    return Table(schema.encode(), name.encode(), shown, has_rows_itself, above)


TABLES = (
    table("audit.log"),
    table("public.alembic_version"),
    table("public.book"),
    table("public.event", has_rows_itself=False),
    table("public.event_2025", "public.event"),
    table("public.event_2026", "public.event"),
    table('public."Odd.name"'),
    table("public.log"),
)


@pytest.mark.parametrize(
    ("patterns", "left_out"),
    [
        ((), ()),
        (("public.log",), ("public.log",)),
        (("log",), ("audit.log", "public.log")),
        (("audit.*",), ("audit.log",)),
        (("public.event",), ("public.event_2025", "public.event_2026")),
        (("event_202?",), ("public.event_2025", "public.event_2026")),
        (("public.event_2025",), ("public.event_2025",)),
        (("public.Odd.name",), ('public."Odd.name"',)),
        (('public."Odd.name"',), ('public."Odd.name"',)),
        (("publi[c].log",), ()),
        (("book", "log"), ("audit.log", "public.book", "public.log")),
    ],
)
def test_a_pattern_names_tables_with_or_without_their_schema(
    patterns: tuple[str, ...], left_out: tuple[str, ...]
) -> None:
    assert tuple(one.shown for one in tables_left_out(TABLES, patterns, keep=())) == left_out


def test_a_version_table_keeps_its_rows_whatever_is_asked() -> None:
    kept = {"public.alembic_version"}
    found = tables_left_out(TABLES, ("*",), keep=kept)
    assert {one.shown for one in TABLES if one.has_rows_itself} - {one.shown for one in found} == kept


def test_a_pattern_that_nothing_is_called_is_found() -> None:
    assert idle_patterns(TABLES, ("log", "logs", "public.even?")) == ("logs",)
