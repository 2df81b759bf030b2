"""Snapshots as values: what is compared, what is left out, which names a user could have chosen."""

import json
from typing import Any

import pytest

from migrator.model import VersionTable
from migrator.schema.facts import Part, Row
from migrator.schema.naming import is_generated, made_name, words
from migrator.schema.queries import QUERIES, SETUP
from migrator.schema.snapshot import Snapshot

TABLE = {"columns": ["id", "title"], "unlogged": False}
LONG = "a_table_whose_name_is_as_long_as_postgres_allows_it_to_be_really"


def row(kind: str, name: str, **facts: Any) -> Row:
    return kind, name, json.dumps(facts)


def test_the_order_of_rows_and_of_facts_does_not_matter() -> None:
    one = Snapshot.of([row("table", "public.a", x=1, y=2), row("table", "public.b")])
    other = Snapshot.of([row("table", "public.b"), row("table", "public.a", y=2, x=1)])
    assert one == other
    assert one.fingerprint == other.fingerprint
    assert len(one.fingerprint) == 64


def test_any_fact_changes_the_fingerprint() -> None:
    snapshots = [
        Snapshot.of([]),
        Snapshot.of([row("table", "public.a")]),
        Snapshot.of([row("view", "public.a")]),
        Snapshot.of([row("table", "public.b")]),
        Snapshot.of([row("table", "public.a", x=None)]),
        Snapshot.of([row("table", "public.a", x=True)]),
        Snapshot.of([row("table", "public.a", x="true")]),
        Snapshot.of([row("table", "public.a", x=["true"])]),
    ]
    assert len({snapshot.fingerprint for snapshot in snapshots}) == len(snapshots)


def test_changes_add_replace_and_remove_parts() -> None:
    before = Snapshot.of([row("table", "public.a", x=1), row("table", "public.b"), row("view", "public.b")])
    after = before.changed(
        add=[row("table", "public.a", x=2), row("enum", "public.c")], remove=[("table", "public.b")]
    )
    assert after == Snapshot.of(
        [row("table", "public.a", x=2), row("view", "public.b"), row("enum", "public.c")]
    )
    assert before.parts[Part("table", "public.a")] == {"x": 1}
    assert before.changed() == before


def test_a_version_table_goes_with_everything_on_it() -> None:
    kept = [row("table", "public.book"), row("column", "public.book.id", on="public.book")]
    snapshot = Snapshot.of(
        [
            *kept,
            row("table", "public.alembic_version"),
            row("column", "public.alembic_version.version_num", on="public.alembic_version"),
            row("constraint", "public.alembic_version.alembic_version_pkc", on="public.alembic_version"),
            row("table", 'tenant."Versions"'),
            row("index", "tenant.i", on='tenant."Versions"'),
        ]
    )
    assert snapshot.without([VersionTable(), VersionTable("Versions", "tenant")]) == Snapshot.of(kept)
    assert snapshot.without([]) == snapshot
    assert snapshot.without([VersionTable("book", "tenant"), VersionTable("versions")]) == snapshot


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("public.book", ("public", "book")),
        ('public."Book"', ("public", "Book")),
        ('"a.b"."say ""hi"""', ("a.b", 'say "hi"')),
        ("plain", ("plain",)),
    ],
)
def test_a_qualified_name_is_taken_apart(name: str, expected: tuple[str, ...]) -> None:
    assert words(name) == expected


@pytest.mark.parametrize(
    ("first", "second", "label", "expected"),
    [
        ("book", "", "pkey", "book_pkey"),
        ("book", "title", "key", "book_title_key"),
        ("a" * 40, "b" * 40, "key", f"{'a' * 29}_{'b' * 29}_key"),
        ("a" * 10, "b" * 80, "fkey1", f"{'a' * 10}_{'b' * 46}_fkey1"),
        # Half a letter is not kept: two bytes each.
        ("é" * 40, "", "pkey", f"{'é' * 29}_pkey"),
    ],
)
def test_a_name_is_made_as_postgres_makes_it(first: str, second: str, label: str, expected: str) -> None:
    assert made_name(first, second, label) == expected
    assert len(expected.encode()) <= 63


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("book_pkey", {"type": "PRIMARY KEY", "columns": ["a", "b"]}),
        ("book_pkey12", {"type": "PRIMARY KEY", "columns": ["a", "b"]}),
        ("book_a_key", {"type": "UNIQUE", "columns": ["a"]}),
        ("book_a_b_key3", {"type": "UNIQUE", "columns": ["a", "b"]}),
        ("book_a_check", {"type": "CHECK", "columns": ["a"]}),
        ("book_check1", {"type": "CHECK", "columns": ["a", "b"]}),
        ("book_check", {"type": "CHECK", "columns": []}),
        ("book_a_fkey", {"type": "FOREIGN KEY", "columns": ["a"]}),
        ("book_during_excl", {"type": "EXCLUDE", "columns": ["during"]}),
    ],
)
def test_a_name_that_postgres_would_choose_is_recognized(name: str, facts: dict[str, Any]) -> None:
    assert is_generated(Part("constraint", f"public.book.{name}"), {"on": "public.book", **facts})


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("pk_book", {"type": "PRIMARY KEY", "columns": ["a"]}),
        ("author_pkey", {"type": "PRIMARY KEY", "columns": ["a"]}),
        ("book_pkey01", {"type": "PRIMARY KEY", "columns": ["a"]}),
        ("book_b_key", {"type": "UNIQUE", "columns": ["a"]}),
        ("book_a_fkey", {"type": "UNIQUE", "columns": ["a"]}),
        ("book_check", {"type": "CHECK", "columns": ["a"]}),
        ("book_a_check", {"type": "CHECK", "columns": ["a", "b"]}),
    ],
)
def test_a_name_that_only_a_user_would_choose_is_kept(name: str, facts: dict[str, Any]) -> None:
    assert not is_generated(Part("constraint", f"public.book.{name}"), {"on": "public.book", **facts})


def test_generated_names_of_indexes_and_sequences_are_recognized() -> None:
    index = {"on": "public.book", "columns": ["lower", "a"], "unique": False, "definition": "x"}
    assert is_generated(Part("index", "public.book_lower_a_idx"), index)
    assert not is_generated(Part("index", "public.ix_book_a"), index)
    sequence = {"on": "public.book", "column": '"Id"'}
    assert is_generated(Part("sequence", 'public."book_Id_seq1"'), sequence)
    assert not is_generated(Part("sequence", 'public."book_Id_seq1"'), {})
    assert not is_generated(Part("table", "public.book_pkey"), TABLE)


def test_equal_constraints_with_generated_names_are_counted() -> None:
    def check(number: str) -> Row:
        facts = {"on": "public.b", "type": "CHECK", "columns": ["a"], "definition": "CHECK (a > 0)"}
        return row("constraint", f"public.b.b_a_check{number}", **facts)

    assert Snapshot.of([check("")]).fingerprint == Snapshot.of([check("7")]).fingerprint
    assert (
        Snapshot.of([check(""), check("1")]).fingerprint == Snapshot.of([check("2"), check("5")]).fingerprint
    )
    assert Snapshot.of([check(""), check("1")]).fingerprint != Snapshot.of([check("")]).fingerprint


def test_no_query_can_be_mistaken_for_one_with_parameters() -> None:
    for text in (*SETUP, *(query.sql for query in QUERIES)):
        assert not set("%?${\\") & set(text)
        assert ":" not in text.replace("::", "")


def test_every_query_has_a_name_of_its_own_and_says_what_it_reads() -> None:
    assert len({query.name for query in QUERIES}) == len(QUERIES)
    assert all(query.about.endswith(".") for query in QUERIES)


FIRST_PRINT = (
    "CHECK (((x)::text = ANY ((ARRAY['a'::character varying, 'it''s'::character varying])::text[])))"
)
AFTER_A_RESTORE = (
    "CHECK (((x)::text = ANY (ARRAY[('a'::character varying)::text, ('it''s'::character varying)::text])))"
)


def test_a_list_that_postgres_spells_otherwise_after_a_restore_is_the_same() -> None:
    one, other = (
        Snapshot.of([row("constraint", "public.t.c", definition=text, on="public.t")])
        for text in (FIRST_PRINT, AFTER_A_RESTORE)
    )
    assert one.fingerprint == other.fingerprint


def test_another_list_is_another_schema() -> None:
    one, other = (
        Snapshot.of([row("constraint", "public.t.c", definition=text, on="public.t")])
        for text in (FIRST_PRINT, FIRST_PRINT.replace("'a'", "'b'"))
    )
    assert one.fingerprint != other.fingerprint
