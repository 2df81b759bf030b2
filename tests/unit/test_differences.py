"""Differences as values: what is told, in which words and order, and what only follows from it."""

import json
from typing import Any

import pytest

from migrator.schema.difference import Change, Difference
from migrator.schema.differences import differences, distance
from migrator.schema.facts import Row
from migrator.schema.snapshot import Snapshot


def row(kind: str, name: str, **facts: Any) -> Row:
    return kind, name, json.dumps(facts)


def table(name: str, *columns: str, **facts: Any) -> Row:
    plain = {"unlogged": False, "row_security": False, "force_row_security": False, "access_method": "heap"}
    return row("table", name, columns=list(columns), **(plain | facts))


def column(on: str, name: str, **facts: Any) -> Row:
    return row("column", f"{on}.{name}", on=on, **({"type": "integer", "nullable": True} | facts))


def constraint(on: str, name: str, definition: str, **facts: Any) -> Row:
    plain = {"on": on, "type": "CHECK", "columns": [], "definition": definition}
    return row("constraint", f"{on}.{name}", **(plain | facts))


def index(on: str, name: str, definition: str, **facts: Any) -> Row:
    plain = {"on": on, "unique": False, "columns": [], "definition": definition}
    return row("index", f"public.{name}", **(plain | facts))


BOOK = (table("public.book", "id", "title"), column("public.book", "id"), column("public.book", "title"))


def compared(expected: list[Row], actual: list[Row]) -> tuple[Difference, ...]:
    return differences(Snapshot.of([*BOOK, *expected]), Snapshot.of([*BOOK, *actual]))


def only(expected: list[Row], actual: list[Row]) -> Difference:
    (difference,) = compared(expected, actual)
    return difference


def test_equal_schemas_do_not_differ() -> None:
    assert compared([], []) == ()


def test_a_missing_table_is_told_once_with_all_that_stands_on_it() -> None:
    on = "public.author"
    difference = only(
        [
            table(on, "id", "name"),
            column(on, "id", nullable=False),
            column(on, "name", type="text", default="'x'::text"),
            constraint(on, "author_pkey", "PRIMARY KEY (id)", type="PRIMARY KEY", columns=["id"]),
            index(on, "by_name", "USING btree (name)"),
            row("trigger", f"{on}.t", on=on, definition="CREATE TRIGGER t …", enabled="DISABLE"),
        ],
        [],
    )
    assert difference.sentence == "table public.author is missing here, the revisions build it"
    assert difference.matters
    assert difference.remedy.text.split("; ") == [
        "CREATE TABLE public.author (id integer NOT NULL, name text DEFAULT 'x'::text)",
        "ALTER TABLE public.author ADD CONSTRAINT author_pkey PRIMARY KEY (id)",
        "CREATE INDEX CONCURRENTLY by_name ON public.author USING btree (name)",
        "CREATE TRIGGER t …",
        "ALTER TABLE public.author DISABLE TRIGGER t",
    ]


@pytest.mark.parametrize("kind", ["table", "view", "function", "sequence", "extension", "schema", "enum"])
def test_a_whole_object_that_no_revision_makes_is_only_listed(kind: str) -> None:
    difference = only([], [row(kind, "audit")])
    assert difference.is_foreign
    assert not difference.matters
    assert difference.sentence == f"{kind} audit is here, no revision makes it"
    assert not difference.remedy.is_sql


@pytest.mark.parametrize(
    "extra",
    [
        index("public.book", "i", "USING btree (id)"),
        constraint("public.book", "c", "CHECK (id > 0)"),
        row("trigger", "public.book.t", on="public.book", definition="", enabled="ENABLE"),
        row("policy", "public.book.p", on="public.book"),
        row("rule", "public.book.r", on="public.book"),
        row("statistics", "public.s", on="public.book", columns=["id"]),
        row("sequence", "public.s", on="public.book", column="id"),
    ],
    ids=lambda extra: extra[0],
)
def test_what_is_extra_on_an_expected_table_matters(extra: Row) -> None:
    difference = only([], [extra])
    assert difference.matters
    assert not difference.is_foreign
    assert difference.sentence.endswith("is here, the revisions do not build it")
    assert difference.remedy.is_sql


def test_an_extra_table_takes_what_stands_on_it_along() -> None:
    assert only([], [table("public.x", "a"), column("public.x", "a")]).name == "public.x"


def test_an_extra_schema_takes_what_stands_in_it_along() -> None:
    extra = [
        row("schema", "tenant"),
        table("tenant.x"),
        row("function", "tenant.f(integer)"),
        row("server", "tenant"),
    ]
    assert [found.name for found in compared([], extra)] == ["tenant", "tenant"]


def test_a_column_that_differs_in_several_facts_is_one_difference() -> None:
    expected = [table("public.a", "t"), column("public.a", "t", type="varchar(100)", default="'x'")]
    actual = [table("public.a", "t"), column("public.a", "t", type="varchar(200)", nullable=False)]
    difference = only(expected, actual)
    assert difference.changes == (
        Change("default", "'x'", None),
        Change("nullable", True, False),  # noqa: FBT003 - a fact and its two values
        Change("type", "varchar(100)", "varchar(200)"),
    )
    assert difference.sentence == (
        "column public.a.t has no default here, the revisions build 'x'; is NOT NULL here, the revisions "
        "build one that may be NULL; is varchar(200) here, the revisions build varchar(100)"
    )
    assert difference.remedy.text == (
        "ALTER TABLE public.a ALTER COLUMN t TYPE varchar(100), ALTER COLUMN t DROP NOT NULL, "
        "ALTER COLUMN t SET DEFAULT 'x'"
    )


def test_a_missing_column_in_the_middle_is_a_matter_for_words() -> None:
    rest = [column("public.a", "x"), column("public.a", "z")]
    actual = [table("public.a", "x", "z"), *rest]
    middle = only([table("public.a", "x", "y", "z"), column("public.a", "y"), *rest], actual)
    assert middle.remedy.text.endswith("puts it last, but the revisions build it before z")
    assert not middle.remedy.is_sql
    last = only([table("public.a", "x", "z", "y"), column("public.a", "y"), *rest], actual)
    assert last.remedy.is_sql


def test_missing_columns_are_told_in_their_order() -> None:
    new = [column("public.a", name) for name in ("z", "y", "x")]
    expected = [table("public.a", "a", "z", "y", "x"), column("public.a", "a"), *new]
    found = compared(expected, [table("public.a", "a"), column("public.a", "a")])
    assert [difference.name[-1] for difference in found] == ["z", "y", "x"]


def test_a_dropped_column_takes_its_constraints_indexes_and_sequence_along() -> None:
    extra = [
        table("public.a", "x", "n"),
        column("public.a", "x"),
        column("public.a", "n", default="nextval('public.a_n_seq'::regclass)"),
        row("sequence", "public.a_n_seq", on="public.a", column="n"),
        constraint("public.a", "a_n_key", "UNIQUE (n)", type="UNIQUE", columns=["n"]),
        index("public.a", "i", "USING btree (x, n)", columns=["x", "n"]),
    ]
    assert only([table("public.a", "x"), column("public.a", "x")], extra).name == "public.a.n"


def test_a_generated_name_is_no_difference_and_a_chosen_one_is_told() -> None:
    facts: dict[str, Any] = {"type": "CHECK", "columns": ["id"]}
    one = constraint("public.book", "book_id_check", "CHECK (id > 0)", **facts)
    two = constraint("public.book", "book_id_check2", "CHECK (id > 0)", **facts)
    mine = constraint("public.book", "positive", "CHECK (id > 0)", **facts)
    assert compared([one], [two]) == ()
    renamed = only([one], [mine])
    assert renamed.changes == (Change("name", "public.book.book_id_check", "public.book.positive"),)
    assert renamed.remedy.text == "ALTER TABLE public.book RENAME CONSTRAINT positive TO book_id_check"


def test_another_definition_under_the_same_generated_name_is_one_difference() -> None:
    facts: dict[str, Any] = {"type": "CHECK", "columns": ["id"]}
    difference = only(
        [constraint("public.book", "book_id_check", "CHECK (id > 0)", **facts)],
        [constraint("public.book", "book_id_check", "CHECK (id > 1)", **facts)],
    )
    assert difference.sentence == (
        "constraint public.book.book_id_check is CHECK (id > 1) here, the revisions build CHECK (id > 0)"
    )


def test_one_of_two_equal_constraints_can_be_missing() -> None:
    facts: dict[str, Any] = {"type": "CHECK", "columns": ["id"]}
    one = constraint("public.book", "book_id_check", "CHECK (id > 0)", **facts)
    two = constraint("public.book", "book_id_check1", "CHECK (id > 0)", **facts)
    assert only([one, two], [two]).what == "missing"


def test_what_matters_comes_first_and_what_goes_last() -> None:
    found = compared(
        [
            row("view", "public.v", definition=" SELECT 1"),
            row("enum", "public.e", labels=["a"]),
            table("public.t"),
        ],
        [
            row("enum", "public.a", labels=[]),
            index("public.book", "i", ""),
            constraint("public.book", "c", ""),
        ],
    )
    assert [(one.what, one.kind) for one in found] == [
        ("missing", "enum"),
        ("missing", "table"),
        ("missing", "view"),
        ("extra", "index"),
        ("extra", "constraint"),
        ("extra", "enum"),
    ]


def test_another_version_of_an_extension_is_told_but_does_not_matter() -> None:
    difference = only(
        [row("extension", "postgis", schema="public", version="3.4")],
        [row("extension", "postgis", schema="public", version="3.5")],
    )
    assert (difference.matters, difference.is_foreign) == (False, False)
    assert difference.remedy.text == "ALTER EXTENSION postgis UPDATE TO '3.4'"


def test_the_distance_counts_what_matters() -> None:
    expected = Snapshot.of([*BOOK, row("enum", "public.e", labels=["a"])])
    actual = Snapshot.of([*BOOK, index("public.book", "i", ""), row("view", "public.v")])
    assert distance(expected, expected) == 0
    assert distance(expected, actual) == 2
    assert distance(actual, expected) == 2


def test_the_index_of_a_partitioned_table_is_told_once_and_not_made_concurrently() -> None:
    tables = [
        table("public.p", "a", partition_key="LIST (a)"),
        table("public.p1", "a", partition_of="public.p", bound="FOR VALUES IN (1)"),
    ]
    indexes = [
        index("public.p", "i", "USING btree (a)"),
        index("public.p1", "p1_a_idx", "USING btree (a)", attached=True, columns=["a"]),
    ]
    difference = only([*tables, *indexes], tables)
    assert difference.remedy.text == "CREATE INDEX i ON public.p USING btree (a)"


def test_a_kind_without_sql_is_advised_in_words() -> None:
    missing = only([row("aggregate", "public.a(integer)")], [])
    assert missing.remedy.text == "make aggregate public.a(integer) as the revisions do"
    different = only([row("cast", "(a AS b)", x=1)], [row("cast", "(a AS b)", x=2)])
    assert different.remedy.text == "make cast (a AS b) anew as the revisions do, or change its x"


def test_a_label_can_be_added_but_not_taken_away() -> None:
    few, many = row("enum", "public.e", labels=["b"]), row("enum", "public.e", labels=["a", "b", "c'd"])
    assert only([many], [few]).remedy.text == (
        "ALTER TYPE public.e ADD VALUE 'a' BEFORE 'b'; ALTER TYPE public.e ADD VALUE 'c''d' AFTER 'b'"
    )
    assert not only([few], [many]).remedy.is_sql
