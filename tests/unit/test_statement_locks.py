"""Locks and hazards by the text of a statement: its many spellings, and what is not known."""

from pathlib import Path

import pytest

from migrator.schema.locks import Mode, TableName, hazards_of, read, statements_of
from migrator.schema.locks.filling import FILLING
from migrator.schema.locks.rules import RULES


def locks(sql: str) -> dict[str, str]:
    (statement,) = statements_of(sql)
    return {str(one.table): one.mode.value for one in read(statement).locks}


def hazards(sql: str) -> list[tuple[str, str]]:
    (statement,) = statements_of(sql)
    return [(one.id, str(one.table)) for one in hazards_of(statement)]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("alter table BOOK add column x int", {"book": "ACCESS EXCLUSIVE"}),
        ('ALTER TABLE "Book" ADD x int', {"Book": "ACCESS EXCLUSIVE"}),
        ('ALTER TABLE shop."a . ""b""; c" DROP x', {'shop.a . "b"; c': "ACCESS EXCLUSIVE"}),
        ("ALTER TABLE IF EXISTS ONLY shop . book\n  DROP x", {"shop.book": "ACCESS EXCLUSIVE"}),
        ("ALTER /* why */ TABLE book -- so\n VALIDATE CONSTRAINT x", {"book": "SHARE UPDATE EXCLUSIVE"}),
        ("ALTER TABLE book * ALTER a SET STATISTICS 5", {"book": "SHARE UPDATE EXCLUSIVE"}),
        (
            "ALTER TABLE book VALIDATE CONSTRAINT x, ALTER COLUMN a SET DEFAULT '1, 2; DROP'",
            {"book": "ACCESS EXCLUSIVE"},
        ),
        (
            'ALTER TABLE book ADD CONSTRAINT "a b" FOREIGN KEY (a, b) REFERENCES shop."Author" (c, d)',
            {"book": "SHARE ROW EXCLUSIVE", "shop.Author": "SHARE ROW EXCLUSIVE"},
        ),
        (
            "ALTER TABLE book ADD COLUMN a int REFERENCES author",
            {"book": "ACCESS EXCLUSIVE", "author": "SHARE ROW EXCLUSIVE"},
        ),
        ("CREATE INDEX ON book (a)", {"book": "SHARE"}),
        (
            'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "ON x" ON ONLY s.book (a)',
            {"s.book": "SHARE UPDATE EXCLUSIVE"},
        ),
        ('DROP TABLE IF EXISTS a, s."b,c" CASCADE', {"a": "ACCESS EXCLUSIVE", "s.b,c": "ACCESS EXCLUSIVE"}),
        (
            "LOCK TABLE a, ONLY b IN share row exclusive MODE NOWAIT",
            dict.fromkeys("ab", "SHARE ROW EXCLUSIVE"),
        ),
        ("LOCK a", {"a": "ACCESS EXCLUSIVE"}),
        ("CREATE TABLE a (id int REFERENCES a, b int REFERENCES b (id))", {"b": "SHARE ROW EXCLUSIVE"}),
        ("CREATE TABLE a PARTITION OF s.b FOR VALUES IN ('x')", {"s.b": "ACCESS EXCLUSIVE"}),
        ("CREATE TABLE a (id int) INHERITS (b, c)", dict.fromkeys("bc", "SHARE UPDATE EXCLUSIVE")),
        ("COMMENT ON COLUMN s.book.title IS 'x'", {"s.book": "SHARE UPDATE EXCLUSIVE"}),
        ("VACUUM (FULL, ANALYZE) book", {"book": "ACCESS EXCLUSIVE"}),
        ("vacuum analyze book", {"book": "SHARE UPDATE EXCLUSIVE"}),
        ("COPY book (a, b) FROM stdin", {"book": "ROW EXCLUSIVE"}),
    ],
)
def test_the_spelling_of_a_statement_does_not_matter(sql: str, expected: dict[str, str]) -> None:
    assert locks(sql) == expected


def test_a_script_is_cut_where_its_statements_end_and_nowhere_else() -> None:
    script = """
    BEGIN; INSERT INTO a VALUES ('x; y', E'\\'; z', $t$ ; $t$); -- one; two
    /* three; */ CREATE FUNCTION f() RETURNS int LANGUAGE sql
    BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END;
    CREATE RULE r AS ON DELETE TO a DO ALSO (DELETE FROM b; DELETE FROM c);
    UPDATE "x;y" SET z = 1
    """
    found = statements_of(script)
    assert [one.words.split()[0] for one in found] == ["BEGIN", "INSERT", "CREATE", "CREATE", "UPDATE"]
    assert found[1].text.startswith("INSERT INTO a VALUES ('x; y'")
    assert "?" in found[1].words
    assert found[-1].words == 'UPDATE "x;y" SET z = 1'


@pytest.mark.parametrize(
    "sql",
    [
        "DO $$ BEGIN ALTER TABLE a DROP b; END $$",
        "CALL tidy()",
        "GRANT SELECT ON a TO b",
        "DROP SCHEMA s CASCADE",
        "FROBNICATE a",
    ],
)
def test_what_is_not_known_is_said_to_be_not_known(sql: str) -> None:
    (statement,) = statements_of(sql)
    reading = read(statement)
    assert reading.locks == ()
    assert reading.unknown is not None
    assert reading.unknown.startswith("not known")


@pytest.mark.parametrize("sql", ["BEGIN", "COMMIT", "CREATE TYPE t AS ENUM ('a')", "SET search_path TO s"])
def test_what_locks_no_table_is_known_to(sql: str) -> None:
    (statement,) = statements_of(sql)
    assert (read(statement).locks, read(statement).unknown) == ((), None)


def test_what_lies_beyond_the_text_is_said() -> None:
    (dropped,) = statements_of("DROP TABLE a CASCADE")
    (filled,) = statements_of("INSERT INTO a SELECT * FROM b")
    (freed,) = statements_of("ALTER TABLE a DROP CONSTRAINT b")
    assert "CASCADE" in (read(dropped).unknown or "")
    assert "ACCESS SHARE on what it reads" in (read(filled).unknown or "")
    assert "foreign key" in (read(freed).unknown or "")


def test_what_a_statement_makes_is_named() -> None:
    (made,) = statements_of('CREATE UNLOGGED TABLE IF NOT EXISTS s."T" (id int)')
    (index,) = statements_of("CREATE INDEX CONCURRENTLY ix ON t (a)")
    (nameless,) = statements_of("CREATE INDEX CONCURRENTLY ON t (a)")
    assert read(made).makes == TableName("T", "s")
    assert read(index).makes == TableName("ix")
    assert read(nameless).makes is None


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("ALTER TABLE t ALTER COLUMN a SET NOT NULL", ["set-not-null"]),
        ("ALTER TABLE t ADD CONSTRAINT n NOT NULL a", ["set-not-null"]),
        ("ALTER TABLE t ADD CONSTRAINT n NOT NULL a NOT VALID", []),
        ("ALTER TABLE t ADD CHECK (a > 0)", ["add-check"]),
        ("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID", []),
        ("ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES o (b)", ["add-foreign-key"]),
        ("ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES o (b) NOT VALID", []),
        ("ALTER TABLE t VALIDATE CONSTRAINT c", []),
        ("ALTER TABLE t ALTER a TYPE bigint", ["alter-type"]),
        ('ALTER TABLE t ALTER COLUMN "a" SET DATA TYPE bigint USING a::bigint', ["alter-type"]),
        ("ALTER TABLE t ADD UNIQUE (a)", ["add-unique"]),
        ("ALTER TABLE t ADD CONSTRAINT u PRIMARY KEY USING INDEX ix", []),
        ("ALTER TABLE t ADD COLUMN a int", []),
        ("ALTER TABLE t ADD COLUMN a numeric(10, 2) DEFAULT 5 NOT NULL", []),
        ("ALTER TABLE t ADD COLUMN a timestamptz DEFAULT now() NOT NULL", []),
        ("ALTER TABLE t ADD COLUMN a numeric DEFAULT '5'::numeric(10, 2)", []),
        ("ALTER TABLE t ADD COLUMN IF NOT EXISTS a uuid DEFAULT gen_random_uuid()", ["add-column-default"]),
        ("ALTER TABLE t ADD a timestamptz DEFAULT clock_timestamp() NOT NULL", ["add-column-default"]),
        ("ALTER TABLE t ADD a int DEFAULT shop.price()", ["add-column-default"]),
        ("ALTER TABLE t ADD a bigserial", ["add-column-default"]),
        ("ALTER TABLE t ADD a int GENERATED ALWAYS AS (b * 2) STORED", ["add-column-default"]),
        ("ALTER TABLE t ADD a int GENERATED BY DEFAULT AS IDENTITY", ["add-column-default"]),
        ("ALTER TABLE t DROP COLUMN a, DROP b", ["drop-column", "drop-column"]),
        ("ALTER TABLE t DROP CONSTRAINT a", []),
        ("ALTER TABLE t RENAME a TO b", ["rename-column"]),
        ("ALTER TABLE t RENAME COLUMN a TO b", ["rename-column"]),
        ("ALTER TABLE t RENAME CONSTRAINT a TO b", []),
        ("ALTER TABLE t RENAME TO u", ["rename-table"]),
        ("ALTER TABLE t SET SCHEMA s", ["rename-table"]),
        ("ALTER TABLE t SET UNLOGGED", ["rewrite"]),
        ("CREATE INDEX ix ON t (a)", ["index-not-concurrently"]),
        ("CREATE UNIQUE INDEX CONCURRENTLY ix ON t (a)", []),
        ("CREATE INDEX ix ON ONLY t (a)", []),
        ("DROP INDEX ix", []),
        ("REINDEX TABLE t", ["reindex"]),
        ("REINDEX TABLE CONCURRENTLY t", []),
        ("VACUUM FULL t", ["vacuum-full"]),
        ("VACUUM t", []),
        ("CLUSTER t USING ix", ["cluster"]),
        ("REFRESH MATERIALIZED VIEW t", ["refresh-not-concurrently"]),
        ("REFRESH MATERIALIZED VIEW CONCURRENTLY t", []),
        ("UPDATE t SET a = 1", ["every-row"]),
        ("UPDATE t SET a = 1 WHERE b", []),
        ("DELETE FROM ONLY t", ["every-row"]),
        ("DROP TABLE IF EXISTS t", ["drop-table"]),
        ("DROP VIEW t", ["drop-table"]),
        ("COMMENT ON TABLE t IS 'DROP TABLE t'", []),
    ],
)
def test_a_hazard_is_seen_and_its_safe_way_is_not_one(sql: str, expected: list[str]) -> None:
    assert hazards(sql) == [(one, "t") for one in expected]


def test_each_action_has_hazards_of_its_own_and_a_partition_is_meant_itself() -> None:
    assert hazards("ALTER TABLE t ALTER a SET NOT NULL, DROP b, ADD c int") == [
        ("set-not-null", "t"),
        ("drop-column", "t"),
    ]
    assert hazards("ALTER TABLE t ATTACH PARTITION s.p FOR VALUES IN (1)") == [("attach-partition", "s.p")]
    assert hazards('DROP TABLE ONLY a, "B"') == [("drop-table", "a"), ("drop-table", "B")]


def test_every_mode_is_one_of_postgres() -> None:
    assert [one.strength for one in Mode] == list(range(8))


def test_every_hazard_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
    assert [one for one in [FILLING, *(rule.id for rule in RULES)] if f"`{one}`" not in page] == []
