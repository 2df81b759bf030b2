"""An INVALID index is never taken for a finished one: it is dropped before its revision builds it again."""

import psycopg
import pytest

from tests.support.environment import ASYNC_ENV
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


BUILD = "CREATE INDEX CONCURRENTLY {}ix_busy ON busy (i)"
IS_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_busy'::regclass"


@pytest.mark.usefixtures("any_cluster")
@pytest.mark.parametrize("condition", ["IF NOT EXISTS ", ""])
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_what_an_interrupted_build_left_is_dropped_before_it_is_built_again(
    migrator: Migrator, project: Project, target: Target, condition: str, driver: str
) -> None:
    if driver == "asyncpg":
        project.write_env(ASYNC_ENV)
    project.write_revision(
        "b2",
        upgrade=f"""
            with op.get_context().autocommit_block():
                op.execute("{BUILD.format(condition)}")
        """,
        downgrade="op.drop_index('ix_busy')",
    )
    result = migrator(DATABASE_URL=target.url.replace("postgresql:", f"postgresql+{driver}:"))
    assert result.exit_code == 0, result.last
    assert target.value(IS_VALID) is True
    told = [event["message"] for event in result.named("hazard.found")]
    assert any("may have been interrupted" in one for one in told)
    assert any("DROP INDEX CONCURRENTLY public.ix_busy" in one for one in told)


def test_one_that_is_passed_over_in_another_way_is_not_taken_for_finished(
    migrator: Migrator, project: Project, target: Target
) -> None:
    project.write_revision(
        "b2",
        upgrade=f"""
            import os, psycopg
            with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as own:
                own.execute("{BUILD.format("IF NOT EXISTS ")}")
        """,
        downgrade="op.drop_index('ix_busy')",
    )
    result = migrator()
    assert result.exit_code == 15, result.last
    assert result.last["invalid_indexes"] == ["public.ix_busy on busy"]
    assert target.value(IS_VALID) is False
