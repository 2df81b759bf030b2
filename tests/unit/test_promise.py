"""What a revision's file says before it is run."""

import pytest

from migrator.history.promise import promise_of

HEAD = '''"""Add prices

They are in cents:
half a cent is a rumour.

Revision ID: b2
Revises: a1
Create Date: 2026-01-01

"""
from alembic import op

def upgrade():
    """Upgrade schema, CONCURRENTLY."""
'''


def promise(*lines: str) -> tuple[bool | None, str | None]:
    found = promise_of((HEAD + "".join(f"    {line}\n" for line in lines)).encode())
    return found.transactional, found.why_not


def test_the_authors_words_are_told_without_alembics() -> None:
    found = promise_of((HEAD + "    pass\n").encode())
    assert found.words == "They are in cents:\nhalf a cent is a rumour."


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("with op.get_context().autocommit_block(): pass", "autocommit_block in line 15"),
        ("op.create_index('i', 't', ['a'], postgresql_concurrently=True)", "CONCURRENTLY in line 15"),
        ("op.execute('create index concurrently i on t (a)')", "CONCURRENTLY in line 15"),
        ("op.execute('COMMIT; DROP TABLE a')", "COMMIT in line 15"),
        ("op.get_bind().commit()", "commit() in line 15"),
        ("op.get_bind().execution_options(isolation_level='AUTOCOMMIT')", "AUTOCOMMIT in line 15"),
        ("op.execute('VACUUM t')", "VACUUM in line 15"),
    ],
)
def test_what_commits_on_the_way_is_named(line: str, why: str) -> None:
    assert promise(line) == (False, why)


@pytest.mark.parametrize(
    "line",
    [
        "op.create_index('i', 't', ['a'])",
        "op.execute('REFRESH MATERIALIZED VIEW CONCURRENTLY v')",
        "op.execute('ALTER TABLE t ADD COLUMN commit text')",
    ],
)
def test_anything_else_is_undone_whole_when_it_fails(line: str) -> None:
    assert promise(line) == (True, None)


def test_what_downgrade_does_is_not_told() -> None:
    downgrade = "\ndef downgrade():\n    op.get_bind().commit()\n"
    assert promise_of((HEAD + "    pass\n" + downgrade).encode()).transactional is True


def test_a_file_that_this_python_cannot_read_promises_nothing() -> None:
    assert promise_of(b"def upgrade(:").transactional is None


def test_an_upgrade_that_decides_is_told_from_one_that_does_not() -> None:
    plain = promise_of((HEAD + "    op.drop_table('a')\n").encode())
    winding = promise_of((HEAD + "    if op.get_bind(): op.drop_table('a')\n").encode())
    assert (plain.decides, winding.decides) == (False, True)
