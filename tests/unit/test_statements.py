"""What the text of a statement tells."""

import pytest

from migrator.worker.concurrently import Concurrently
from migrator.worker.statements import is_data, left_unvalidated, savepoint_of


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE a SET b = 1",
        "  insert into a values (1)",
        "/* why */ DELETE FROM a",
        "-- why\nMERGE INTO a USING b ON true WHEN MATCHED THEN DELETE",
        "WITH gone AS (DELETE FROM a RETURNING *) SELECT count(*) FROM gone",
    ],
)
def test_statements_that_change_rows_wait_for_rows(statement: str) -> None:
    assert is_data(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1",
        "ALTER TABLE a ADD COLUMN update_count int",
        "ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES c ON DELETE CASCADE",
        "CREATE TRIGGER t AFTER INSERT OR UPDATE ON a FOR EACH ROW EXECUTE FUNCTION f()",
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ DELETE FROM a $$",
        "SELECT 'DELETE FROM a'",
        "LOCK TABLE a",
    ],
)
def test_other_statements_climb_the_ladder(statement: str) -> None:
    assert not is_data(statement)


_ADD = "ADD CONSTRAINT positive CHECK (i > 0)"


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        (f"ALTER TABLE Orders {_ADD} NOT VALID", ["orders"]),
        (f'alter table if exists only shop."My orders" {_ADD} not  valid', ["My orders"]),
        (f"ALTER DOMAIN shop . price {_ADD} NOT VALID", ["price"]),
        (f"ALTER TABLE a {_ADD}; ALTER TABLE b {_ADD} NOT VALID", ["b"]),
        (f"DO $$ BEGIN EXECUTE format('ALTER TABLE %I {_ADD} NOT VALID', 'a'); END $$", [None]),
        (f"CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ ALTER TABLE a {_ADD} NOT VALID $$", []),
        ("ALTER TABLE a ADD COLUMN b text DEFAULT 'NOT VALID'", []),
        (f"ALTER TABLE a {_ADD} -- NOT VALID", []),
        ("ALTER TABLE a VALIDATE CONSTRAINT positive", []),
    ],
)
def test_what_a_statement_leaves_unvalidated_on_purpose_is_told_by_its_table(
    statement: str, tables: list[str | None]
) -> None:
    assert left_unvalidated(statement) == tables


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("SAVEPOINT sa_savepoint_1", ("set", "sa_savepoint_1")),
        ("ROLLBACK TO SAVEPOINT sa_savepoint_1", ("undone", "sa_savepoint_1")),
        ('rollback transaction to "My one";', ("undone", "My one")),
        ("ROLLBACK", None),
        ("RELEASE SAVEPOINT sa_savepoint_1", None),
        ("SELECT 'SAVEPOINT a'", None),
    ],
)
def test_savepoints_are_told_by_their_names(statement: str, told: tuple[str, str] | None) -> None:
    assert savepoint_of(statement) == told


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX CONCURRENTLY a_b ON a (b)",
        "create unique index concurrently if not exists a_b on only s.a using btree (b)",
        "DROP INDEX CONCURRENTLY a_b",
        "REINDEX TABLE CONCURRENTLY a",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY m",
    ],
)
def test_what_may_be_sent_again(statement: str) -> None:
    assert Concurrently.concerns(statement)


@pytest.mark.parametrize(
    "statement",
    ["CREATE INDEX a_b ON a (b)", "ALTER TABLE a DETACH PARTITION b CONCURRENTLY", "SELECT 'concurrently'"],
)
def test_what_may_not_be_sent_again(statement: str) -> None:
    assert not Concurrently.concerns(statement)
