"""What is committed and rolled back is told as it is, whichever way user code ends its transactions."""

import threading

import pytest

from tests.support.environment import ASYNC_ENV, env_with
from tests.support.journal import journal, version, write_journal
from tests.support.project import ENV, Project
from tests.support.runner import Migrator
from tests.support.target import Target

# asyncpg prepares every statement: there can be only one.
COMMITS = [
    *((driver, text) for driver in ("psycopg", "psycopg2") for text in ("COMMIT", "SELECT 1; COMMIT")),
    ("psycopg2", "  commit; "),
    *(("asyncpg", text) for text in ("COMMIT", "-- enough\nEND TRANSACTION")),
]
AUTOCOMMIT = ENV.replace("pool.NullPool", "pool.NullPool, isolation_level='AUTOCOMMIT'")
ALTER = 'op.execute("ALTER TABLE busy ADD COLUMN total int")'
HALF = 'op.execute("CREATE TABLE half ()")'


@pytest.fixture
def busy(migrator: Migrator, project: Project) -> None:
    """A table that the app uses."""
    project.write_revision("a0", upgrade="op.execute('CREATE TABLE busy (id int)')")
    assert migrator().exit_code == 0


def with_driver(target: Target, driver: str) -> str:
    return target.url.replace("postgresql:", f"postgresql+{driver}:")


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize(("driver", "commit"), COMMITS)
def test_a_commit_executed_as_text_leaves_half_a_revision_that_is_not_tried_again(
    migrator: Migrator, project: Project, target: Target, driver: str, commit: str
) -> None:
    if driver == "asyncpg":
        project.write_env(ASYNC_ENV)
    write_journal(project, "a1")
    project.write_revision("b2", upgrade=f"{HALF}\nop.execute({commit!r})\n{ALTER}")
    with target.connect() as app, app.transaction():
        app.execute("SELECT count(*) FROM busy")
        result = migrator(
            DATABASE_URL=with_driver(target, driver), MIGRATOR_LOCK_PATIENCE="3s", MIGRATOR_BACKUP="off"
        )
    assert result.exit_code == 32, result.last
    assert result.last["half_applied"] == ["b2"]
    assert result.last["committed"] == ["a1"]
    assert result.last["attempts"] == 1
    assert [event["revision"] for event in result.named("revision.applied")] == ["a1"]
    assert (journal(target), version(target)) == (["a1"], ["a1"])


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("driver", ["psycopg2", "asyncpg"])
def test_after_a_commit_executed_as_text_later_revisions_commit_themselves_too(
    migrator: Migrator, project: Project, target: Target, driver: str
) -> None:
    if driver == "asyncpg":
        project.write_env(ASYNC_ENV)
    project.write_revision("a1", upgrade="op.execute('COMMIT')")
    project.write_revision("b2", upgrade=f"{HALF}\n{ALTER}")
    with target.connect() as app, app.transaction():
        app.execute("SELECT count(*) FROM busy")
        result = migrator(
            DATABASE_URL=with_driver(target, driver), MIGRATOR_LOCK_PATIENCE="3s", MIGRATOR_BACKUP="off"
        )
    assert result.exit_code == 32, result.last
    assert (result.last["committed"], result.last["half_applied"]) == (["a1"], ["b2"])
    assert [event["revision"] for event in result.named("revision.applied")] == ["a1"]
    assert target.value("SELECT to_regclass('half') IS NOT NULL")


@pytest.mark.usefixtures("busy")
def test_an_engine_in_autocommit_leaves_half_a_revision_that_is_not_tried_again(
    migrator: Migrator, project: Project, target: Target
) -> None:
    project.write_env(AUTOCOMMIT)
    write_journal(project, "a1")
    project.write_revision("b2", upgrade=f"{HALF}\n{ALTER}")
    with target.connect() as app, app.transaction():
        app.execute("SELECT count(*) FROM busy")
        result = migrator(MIGRATOR_LOCK_PATIENCE="3s", MIGRATOR_BACKUP="off")
    assert result.exit_code == 32, result.last
    assert (result.last["committed"], result.last["half_applied"]) == (["a1"], ["b2"])
    assert [event["revision"] for event in result.named("revision.applied")] == ["a1"]


@pytest.mark.usefixtures("busy")
def test_a_function_whose_body_commits_or_ends_is_no_commit(
    migrator: Migrator, project: Project, target: Target
) -> None:
    body = "CREATE PROCEDURE tidy() LANGUAGE plpgsql AS $$BEGIN PERFORM 1; COMMIT; END; $$"
    project.write_revision("b2", upgrade=f'op.execute("{body}")\n{ALTER}')
    with target.connect() as app, app.transaction():
        app.execute("SELECT count(*) FROM busy")
        result = migrator(MIGRATOR_LOCK_PATIENCE="4s", MIGRATOR_BACKUP="off")
    assert (result.exit_code, result.last["half_applied"]) == (32, [])
    assert result.last["attempts"] > 1


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("driver", ["psycopg2", "asyncpg"])
def test_an_index_built_concurrently_after_a_commit_as_text_waits_for_the_app(
    migrator: Migrator, project: Project, target: Target, driver: str
) -> None:
    if driver == "asyncpg":
        project.write_env(ASYNC_ENV)
    project.write_revision(
        "b2", upgrade="op.execute('COMMIT')\nop.execute('CREATE INDEX CONCURRENTLY busy_id ON busy (id)')"
    )
    with target.connect() as app:
        app.execute("BEGIN; INSERT INTO busy VALUES (1)")
        done = threading.Timer(3, app.execute, ["COMMIT"])
        running = migrator.start(DATABASE_URL=with_driver(target, driver), MIGRATOR_BACKUP="off")
        running.wait_for_event("revision.started")
        done.start()
        result = running.finish()
        done.join()
    assert result.exit_code == 0, result.last
    assert target.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'busy_id'::regclass")


TENANTS = """
import sqlalchemy as sa
from alembic import context
from sqlalchemy import engine_from_config

engine = engine_from_config(context.config.get_section("alembic"), prefix="sqlalchemy.")
with engine.connect() as connection:
    for schema in ("one", "two"):
        try:
            context.configure(connection=connection, version_table_schema=schema)
            with context.begin_transaction():
                connection.execute(sa.text("SET LOCAL search_path TO " + schema))
                context.run_migrations()
        except sa.exc.DBAPIError:
            print("skipped", schema)
"""


def test_a_revision_that_was_rolled_back_for_a_tenant_is_not_told_as_applied_to_it(
    migrator: Migrator, project: Project, target: Target
) -> None:
    target.execute("CREATE SCHEMA one; CREATE SCHEMA two")
    project.write_env(TENANTS)
    project.write_revision("a1", upgrade="op.execute('CREATE TABLE shelf ()')")
    divide = "SELECT 1 / CASE current_schema() WHEN 'one' THEN 0 ELSE 1 END"
    project.write_revision("b2", upgrade=f'op.execute("{divide}")')
    result = migrator(MIGRATOR_BACKUP="off")
    assert version(target, "two.alembic_version") == ["b2"]
    assert [event["revision"] for event in result.named("revision.applied")] == ["a1", "b2"]
    assert target.value("SELECT to_regclass('one.shelf')") is None
    assert result.exit_code != 0


def test_a_commit_that_failed_has_committed_nothing(
    migrator: Migrator, project: Project, target: Target
) -> None:
    text = env_with().replace(
        "        with context.begin_transaction():\n            context.run_migrations()\n\n\nif",
        "        try:\n            with context.begin_transaction():\n"
        "                context.run_migrations()\n"
        "        except Exception:\n            connection.rollback()\n\n\nif",
    )
    assert "connection.rollback()" in text
    project.write_env(text)
    project.write_revision(
        "a1",
        upgrade="""
            op.execute("CREATE TABLE one (id int PRIMARY KEY)")
            op.execute("CREATE TABLE many (id int REFERENCES one DEFERRABLE INITIALLY DEFERRED)")
            op.execute("INSERT INTO many VALUES (1)")
        """,
    )
    result = migrator()
    assert result.exit_code == 15, result.last
    assert not result.named("revision.applied")
    assert version(target) == []


def test_a_savepoint_that_was_rolled_back_takes_its_revisions_along(
    migrator: Migrator, project: Project, target: Target
) -> None:
    text = env_with().replace(
        "            context.run_migrations()\n\n\nif",
        "            savepoint = connection.begin_nested()\n            context.run_migrations()\n"
        "            savepoint.rollback()\n\n\nif",
    )
    assert "savepoint.rollback()" in text
    project.write_env(text)
    write_journal(project, "a1")
    result = migrator()
    assert result.exit_code == 15, result.last
    assert not result.named("revision.applied")
    assert version(target) == []
