"""What is told of a statement that was committed."""

import pytest

from migrator.worker.telling import changes_nothing, may_outlast_failure, shown


@pytest.mark.parametrize(
    "statement",
    [
        "",
        "-- nothing",
        "SET LOCAL lock_timeout = '1s'",
        "SAVEPOINT a",
        "SELECT alembic_version.version_num FROM alembic_version",
        "SELECT pg_catalog.pg_get_indexdef(c.oid) FROM pg_catalog.pg_class c WHERE oid = ANY(ARRAY[1])",
        "WITH a AS (SELECT 1) SELECT count(*) FROM a",
    ],
)
def test_what_ends_with_its_session_changes_nothing(statement: str) -> None:
    assert changes_nothing(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT move_rows()",
        'SELECT "count" (1), "Move"(2)',
        "SELECT setval('a_seq', 7)",
        "SELECT * INTO copy FROM a",
        "WITH gone AS (DELETE FROM a RETURNING *) SELECT count(*) FROM gone",
        "SET a = 1; DROP TABLE b",
        "VACUUM a",
        "CREATE TABLE a ()",
    ],
)
def test_whatever_may_last_is_kept(statement: str) -> None:
    assert not changes_nothing(statement)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("INSERT INTO a\n  VALUES ('it''s', 12.5, $$x$$) -- why\n", "INSERT INTO a VALUES (?, ?, ?)"),
        (
            "CREATE TABLE \"it's 1\" (a2 numeric(10, 2)) /* 'why' */",
            'CREATE TABLE "it\'s 1" (a2 numeric(?, ?))',
        ),
        ("SELECT 'C:\\' || secret", "SELECT ?…"),
        ("INSERT INTO a VALUES ('C:\\', 'secret', 'more')", "INSERT INTO a VALUES (?…"),
        (
            "INSERT INTO a VALUES (e'it\\'s', 'secret') RETURNING b",
            "INSERT INTO a VALUES (e?, ?) RETURNING b",
        ),
        ("UPDATE a SET b = 1e10, c = 0xdead, d = 1_000, e5 = 2", "UPDATE a SET b = ?, c = ?, d = ?, e5 = ?"),
        ("UPDATE a SET b = %(b)s WHERE c = $1", "UPDATE a SET b = %(b)s WHERE c = $?"),
    ],
)
def test_a_statement_is_shown_without_values(statement: str, told: str) -> None:
    assert shown(statement) == told


def test_a_long_statement_is_cut() -> None:
    text = shown(f"SELECT {', '.join(['column'] * 500)}")
    assert (len(text), text[-1]) == (1000, "…")
    assert shown(f"INSERT INTO a VALUES ('{'secret' * 10_000}')") == "INSERT INTO a VALUES (?…"
    assert not changes_nothing(f"SELECT 1 {' ' * 10_000}; DROP TABLE a")


@pytest.mark.parametrize(
    "statement",
    [
        "CALL fill()",
        "-- once\n call fill()",
        "DO $$ BEGIN PERFORM f(); COMMIT; END $$",
        "BEGIN; UPDATE a SET b = 1; END",
    ],
)
def test_a_statement_that_failed_may_have_committed_a_part(statement: str) -> None:
    assert may_outlast_failure(statement)


@pytest.mark.parametrize(
    "statement",
    ["CREATE TEMP TABLE a () ON COMMIT DROP", "DO $$ BEGIN PERFORM f(); END $$", "UPDATE a SET call = 1"],
)
def test_any_other_that_failed_has_not(statement: str) -> None:
    assert not may_outlast_failure(statement)
