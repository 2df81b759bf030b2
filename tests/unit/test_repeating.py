"""What of a half-applied revision may be run once more, and what undoes it."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from migrator.history.repeating import is_repeatable, why_uncertain
from migrator.history.straight import is_straight
from migrator.history.undoing import undo_of
from migrator.ledger.halves import HalfApplied
from migrator.model import RevisionId

STRAIGHT = b"""
from alembic import op
import sqlalchemy as sa

def upgrade():
    with op.get_context().autocommit_block():
        op.add_column("a", sa.Column("b", sa.Integer()), if_not_exists=True)
"""
CALM = "ALTER TABLE a ADD COLUMN IF NOT EXISTS b int"
LOSES = "(loses what was written to it since)"
BUILD = "CREATE INDEX CONCURRENTLY ix ON a (b)"


def half(*committed: str, begun: str | None = None, count: int | None = None) -> HalfApplied:
    return HalfApplied(
        "42",
        "public.alembic_version",
        RevisionId("b2"),
        "as it was",
        committed,
        len(committed) if count is None else count,
        begun,
        datetime(2026, 5, 4, tzinfo=UTC),
    )


def doubt(found: HalfApplied, source: bytes | None = STRAIGHT, **validity: bool) -> str | None:
    known: Mapping[str, frozenset[bool]] = {name: frozenset({valid}) for name, valid in validity.items()}
    return why_uncertain(found, source, "as it was", known)


@pytest.mark.parametrize(
    "statement",
    [
        CALM,
        "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS ix ON a (b)",
        "create table if not exists a (b int)",
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS ?;",
        "ALTER TYPE s.mood ADD VALUE IF NOT EXISTS ?",
        "DROP INDEX CONCURRENTLY IF EXISTS ix",
        'ALTER TABLE "A b" ADD COLUMN IF NOT EXISTS b numeric(?, ?), DROP COLUMN IF EXISTS c',
        "ANALYZE a",
    ],
)
def test_a_statement_that_says_so_itself_may_be_repeated(statement: str) -> None:
    assert is_repeatable(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE a ()",
        "CREATE TEMPORARY TABLE IF NOT EXISTS a ()",
        "ALTER TABLE a ADD COLUMN IF NOT EXISTS b int, ADD COLUMN c int",
        "ALTER TABLE a ALTER b TYPE bigint",
        "INSERT INTO a VALUES (?) ON CONFLICT DO NOTHING",
        "UPDATE a SET b = b + ?",
        "CREATE TABLE IF NOT EXISTS a (); INSERT INTO a VALUES (?)",
        "CREATE TABLE IF NOT EXISTS a (b int, …",
        "SELECT move_everything()",
        "REINDEX INDEX CONCURRENTLY ix",
        "DO ?",
        'ALTER TABLE "a ? b" ADD COLUMN IF NOT EXISTS c int',
    ],
)
def test_any_other_may_not(statement: str) -> None:
    assert not is_repeatable(statement)


def test_an_index_that_is_still_to_be_built_is_certain() -> None:
    assert doubt(half(begun=BUILD)) is None
    assert doubt(half(begun=BUILD), ix=False) is None


def test_an_index_that_was_finished_unheard_is_not_built_again() -> None:
    assert "did come to its end" in (doubt(half(begun=BUILD), ix=True) or "")
    assert doubt(half(begun=BUILD.replace("ix", "IF NOT EXISTS ix")), ix=True) is None


def test_an_index_is_dropped_again_while_it_stands() -> None:
    drop = 'DROP INDEX CONCURRENTLY "s"."Ix"'
    assert doubt(half(begun=drop), Ix=False) is None
    assert doubt(half(begun=drop), Ix=True) is None
    assert "did come to its end" in (doubt(half(begun=drop)) or "")


def test_anything_else_of_unknown_outcome_is_in_doubt() -> None:
    assert "may have been committed" in (doubt(half(begun="ALTER TABLE a ADD COLUMN b int")) or "")


def test_more_than_is_known_is_in_doubt() -> None:
    assert doubt(half(CALM)) is None
    assert "more was committed" in (doubt(half(CALM, count=2)) or "")


def test_another_file_is_in_doubt() -> None:
    assert "not what it was" in (doubt(half(CALM), None) or "")
    assert "not what it was" in (why_uncertain(half(CALM), STRAIGHT, "as it is", {}) or "")


@pytest.mark.parametrize("made", ["CREATE TABLE IF NOT EXISTS a ()", CALM])
def test_what_was_dropped_and_made_anew_is_not_dropped_again(made: str) -> None:
    assert "made anew" in (doubt(half("DROP TABLE IF EXISTS a", made)) or "")
    assert doubt(half(made, "DROP TABLE IF EXISTS old")) is None


def test_what_one_statement_drops_and_makes_anew_is_not_dropped_again() -> None:
    statement = "ALTER TABLE a DROP COLUMN IF EXISTS b, ADD COLUMN IF NOT EXISTS b int"
    assert "made anew" in (doubt(half(statement)) or "")
    assert doubt(half("DROP INDEX IF EXISTS ix", "CREATE INDEX IF NOT EXISTS ix ON a (b)")) is None


@pytest.mark.parametrize(
    "body",
    [
        "if True:\n        pass",
        "for one in (1, 2):\n        op.execute(str(one))",
        "helper()",
        "op.execute(f'SELECT {op.get_bind().execute(sa.text(\"SELECT 1\")).scalar()}')",
        "op.run_async(move)",
        "rows = op.get_bind().execute(sa.text('SELECT 1'))",
        "op.execute('a') if sa else None",
        "import os; os.system('psql')",
        "op.get_bind().connection.cursor().copy_expert('COPY a FROM STDIN', sa)",
        "with op.get_bind().engine.begin() as other:\n        other.execute(sa.text('DELETE FROM a'))",
        "with sa.create_engine('x').begin() as other:\n        other.execute(sa.text('DELETE FROM a'))",
    ],
)
def test_an_upgrade_that_may_do_something_else_next_time_is_not_straight(body: str) -> None:
    assert is_straight(STRAIGHT)
    source = STRAIGHT.decode() + f"    {body}\n"
    assert not is_straight(source.encode())
    assert "decides as it goes" in (doubt(half(CALM), source.encode()) or "")


def test_batches_and_further_names_of_the_libraries_are_straight() -> None:
    assert is_straight(
        b"from alembic import op\nfrom sqlalchemy import Column, Integer\n"
        b"def upgrade():\n    '''Why.'''\n    with op.batch_alter_table('a') as batch:\n"
        b"        batch.add_column(Column('b', Integer()))\n"
    )
    assert not is_straight(b"from alembic import op\nupgrade = op.execute")
    assert not is_straight(b"def upgrade(:")


@pytest.mark.parametrize(
    ("statement", "undo"),
    [
        ("CREATE INDEX CONCURRENTLY ix ON s.a (b)", "DROP INDEX CONCURRENTLY IF EXISTS s.ix"),
        ('CREATE UNIQUE INDEX "Ix" ON ONLY a (b)', 'DROP INDEX CONCURRENTLY IF EXISTS "Ix"'),
        ("CREATE TABLE s.a (b int)", f"DROP TABLE s.a {LOSES}"),
        ("CREATE VIEW v AS SELECT ?", "DROP VIEW v"),
        (
            "ALTER TABLE a ADD COLUMN b numeric(?, ?)",
            "ALTER TABLE a DROP COLUMN b (loses what was written to it since)",
        ),
        ("ALTER TABLE a ADD b int", "ALTER TABLE a DROP COLUMN b (loses what was written to it since)"),
        ("ALTER TABLE a ADD CONSTRAINT c CHECK (b > ?)", "ALTER TABLE a DROP CONSTRAINT c"),
    ],
)
def test_what_undoes_it_is_told_where_it_is_certain(statement: str, undo: str) -> None:
    assert str(undo_of(statement)) == undo


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE IF NOT EXISTS a ()",
        "CREATE INDEX IF NOT EXISTS ix ON a (b)",
        "CREATE INDEX ON a (b)",
        "CREATE TABLE a (); CREATE TABLE b ()",
        "ALTER TABLE a ADD COLUMN b int, ADD COLUMN c int",
        "ALTER TABLE a ADD COLUMN b int DEFAULT …",
        "CREATE TABLE a (b int, …",
        "ALTER TABLE a ADD PRIMARY KEY (b)",
        "ALTER TABLE IF EXISTS a ADD COLUMN b int",
        "DROP TABLE a",
        'CREATE TABLE "a ? b" ()',
    ],
)
def test_where_it_is_not_certain_nothing_is(statement: str) -> None:
    assert undo_of(statement) is None
