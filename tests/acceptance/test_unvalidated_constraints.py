"""NOT VALID constraints that appear in a run: asked for by a revision they are told, else exit 15."""

import pytest

from tests.support.environment import ASYNC_ENV
from tests.support.project import Project
from tests.support.runner import Migrator
from tests.support.target import Target

ADD = "ALTER TABLE busy ADD CONSTRAINT positive CHECK (i > 0) NOT VALID"
VALIDATE = 'ALTER TABLE "public"."busy" VALIDATE CONSTRAINT "positive"'
IS_VALID = "SELECT convalidated FROM pg_constraint WHERE conname = 'positive'"


@pytest.fixture(autouse=True)
def busy(migrator: Migrator, project: Project) -> None:
    """A table that is there already."""
    project.write_revision("a1", upgrade="op.execute('CREATE TABLE busy (i int)')")
    assert migrator().exit_code == 0


@pytest.mark.usefixtures("any_cluster")
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_one_that_a_revision_asks_for_is_told_and_validated_by_a_later_release(
    migrator: Migrator, project: Project, target: Target, driver: str
) -> None:
    if driver == "asyncpg":
        project.write_env(ASYNC_ENV)
    url = target.url.replace("postgresql:", f"postgresql+{driver}:")
    project.write_revision("b2", upgrade=f"op.execute('{ADD}')")
    result = migrator(DATABASE_URL=url)
    assert result.exit_code == 0, result.last
    (told,) = [one for one in result.named("hazard.found") if "NOT VALID" in one["message"]]
    assert (told["level"], told["remedy"]) == ("warning", f"in a later release, {VALIDATE}")
    project.write_revision("c3", upgrade=f"op.execute('{VALIDATE}')")
    later = migrator(DATABASE_URL=url)
    assert later.exit_code == 0, later.last
    assert not any("NOT VALID" in one["message"] for one in later.named("hazard.found"))
    assert target.value(IS_VALID) is True


def test_one_that_alembics_own_operation_asks_for_is_told(migrator: Migrator, project: Project) -> None:
    project.write_revision(
        "b2",
        upgrade="""
            op.execute("CREATE TABLE other (i int PRIMARY KEY)")
            op.create_foreign_key("known", "busy", "other", ["i"], ["i"], postgresql_not_valid=True)
        """,
    )
    result = migrator()
    assert result.exit_code == 0, result.last
    assert any(
        "known on public.busy was added NOT VALID" in one["message"] for one in result.named("hazard.found")
    )


def test_one_that_the_same_run_validates_is_not_worth_a_word(
    migrator: Migrator, project: Project, target: Target
) -> None:
    project.write_revision("b2", upgrade=f"op.execute('{ADD}')")
    project.write_revision("c3", upgrade=f"op.execute('{VALIDATE}')")
    result = migrator()
    assert result.exit_code == 0, result.last
    assert not any("NOT VALID" in one["message"] for one in result.named("hazard.found"))
    assert target.value(IS_VALID) is True


def test_one_that_was_there_before_is_no_concern_of_this_run(
    migrator: Migrator, project: Project, target: Target
) -> None:
    target.execute(ADD)
    project.write_revision("b2")
    result = migrator()
    assert result.exit_code == 0, result.last


@pytest.mark.parametrize(
    "upgrade",
    [
        f"""
        import os, psycopg
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as own:
            own.execute("{ADD}")
        """,
        "op.execute('SELECT hasten()')",
    ],
    ids=["by a connection of its own", "inside a function"],
)
def test_one_that_no_statement_asks_for_is_exit_15_with_what_validates_it(
    migrator: Migrator, project: Project, target: Target, upgrade: str
) -> None:
    target.execute(f"CREATE FUNCTION hasten() RETURNS void LANGUAGE sql AS $$ {ADD} $$")
    project.write_revision("b2", upgrade=upgrade)
    result = migrator()
    assert result.exit_code == 15, result.last
    assert result.last["unvalidated_constraints"] == ["positive on public.busy"]
    assert result.last["remedy"] == VALIDATE
    assert result.last["heads_after"] == ["b2"]


def test_one_on_another_table_than_the_revision_names_is_exit_15(
    migrator: Migrator, project: Project, target: Target
) -> None:
    target.execute(
        f"CREATE TABLE other (i int); CREATE FUNCTION hasten() RETURNS void LANGUAGE sql AS $$ {ADD} $$"
    )
    project.write_revision(
        "b2",
        upgrade=f"""
            op.execute("{ADD.replace("busy", "other")}")
            op.execute("SELECT hasten()")
        """,
    )
    result = migrator()
    assert result.exit_code == 15, result.last
    assert result.last["unvalidated_constraints"] == ["positive on public.busy"]
