"""An INVALID index holds up the revision that would take it for a finished one, and no other."""

import psycopg
import pytest

from tests.support.journal import version
from tests.support.project import Project
from tests.support.runner import Migrator
from tests.support.target import Target


@pytest.fixture(autouse=True)
def broken(migrator: Migrator, project: Project, target: Target) -> None:
    """A database in which a build of `ix_busy` was left INVALID."""
    project.write_revision("a1", upgrade="op.execute('CREATE TABLE busy (i int)')")
    assert migrator().exit_code == 0
    target.execute("INSERT INTO busy VALUES (1), (1)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        target.execute("CREATE UNIQUE INDEX CONCURRENTLY ix_busy ON busy (i)")


def test_the_revision_that_repairs_it_is_applied(
    migrator: Migrator, project: Project, target: Target
) -> None:
    project.write_revision(
        "b2",
        upgrade="""
            op.execute("DROP INDEX IF EXISTS ix_busy")
            op.execute("CREATE INDEX ix_busy ON busy (i)")
        """,
    )
    result = migrator()
    assert result.exit_code == 0, result.last
    assert version(target) == ["b2"]


def test_a_revision_that_would_pass_it_over_is_refused(
    migrator: Migrator, project: Project, target: Target
) -> None:
    project.write_revision(
        "b2",
        upgrade="""
            with op.get_context().autocommit_block():
                op.execute("CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_busy ON busy (i)")
        """,
        downgrade="op.drop_index('ix_busy')",
    )
    result = migrator()
    assert result.exit_code == 14
    assert "may have been interrupted" in result.last["error"]
    assert version(target) == ["a1"]
