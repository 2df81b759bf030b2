"""Which tables a revision alters, read from its text."""

from pathlib import Path

import pytest

from migrator.diagnosis.mentions import Mentions, mentions
from migrator.model import Revision, RevisionId


def read(tmp_path: Path, upgrade: str) -> Mentions:
    """What one revision with this body alters."""
    path = tmp_path / "a1.py"
    path.write_text(
        f"NAME = 'notes'\n\ndef upgrade():\n    {upgrade}\n\ndef downgrade():\n    op.drop_table('no')\n"
    )
    return mentions([Revision(RevisionId("a1"), path=path)])


@pytest.mark.parametrize(
    ("upgrade", "table"),
    [
        ("op.add_column('notes', x)", (None, "notes")),
        ("op.drop_column(table_name='notes', column_name='x', schema='s')", ("s", "notes")),
        ("op.drop_index('ix', table_name='notes')", (None, "notes")),
        ("op.create_foreign_key('fk', 'notes', 'other', ['a'], ['b'], source_schema='s')", ("s", "notes")),
        ("op.rename_table('notes', 'words')", (None, "notes")),
        ("op.execute('alter table if exists only Notes add x int')", (None, "notes")),
        ("""op.execute('ALTER TABLE "My s"."No""tes" ADD x int')""", ("My s", 'No"tes')),
        ("op.execute('DROP TABLE s . notes CASCADE')", ("s", "notes")),
        ("op.execute('CREATE UNIQUE INDEX IF NOT EXISTS ix ON notes USING gin (x)')", (None, "notes")),
        (
            "op.execute('CREATE TRIGGER t AFTER DELETE ON notes EXECUTE FUNCTION f()')",
            (None, "notes"),
        ),
        ("op.execute(sa.text('ALTER /* not */ TABLE notes ADD x int'))", (None, "notes")),
    ],
)
def test_a_table_that_is_named_is_found(tmp_path: Path, upgrade: str, table: tuple[str | None, str]) -> None:
    assert read(tmp_path, upgrade) == Mentions(frozenset({table}))


@pytest.mark.parametrize(
    "upgrade",
    [
        "op.execute('INSERT INTO notes VALUES (1)')",
        "op.execute('CREATE TABLE notes (x int REFERENCES words ON DELETE CASCADE)')",
        "op.execute('-- ALTER TABLE notes ADD x int')",
        "op.create_table('notes', sa.Column('x', sa.Integer))",
        "op.bulk_insert(notes, rows)",
    ],
)
def test_what_alters_nothing_is_not(tmp_path: Path, upgrade: str) -> None:
    assert read(tmp_path, upgrade) == Mentions()


@pytest.mark.parametrize(
    "upgrade",
    [
        "op.add_column(NAME, x)",
        "op.drop_index('ix')",
        "op.execute(f'ALTER TABLE {NAME} ADD x int')",
        "op.execute('DO $$ BEGIN EXECUTE made_up; END $$')",
        "this is no Python",
    ],
)
def test_what_is_put_together_is_said_not_to_be_known(tmp_path: Path, upgrade: str) -> None:
    assert read(tmp_path, upgrade) == Mentions(uncertain=(RevisionId("a1"),))


def test_a_batch_is_of_the_table_that_it_names(tmp_path: Path) -> None:
    found = read(tmp_path, "with op.batch_alter_table('notes') as batch_op: batch_op.drop_column('words')")
    assert found == Mentions(frozenset({(None, "notes")}))
