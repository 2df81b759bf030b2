"""Any Alembic project works unchanged: drivers, async engines, version tables, arguments, transactions."""

import dataclasses
import json
import sys
from pathlib import Path

import pytest

from tests.support.environment import ASYNC_ENV, env_with
from tests.support.journal import journal, version, write_journal
from tests.support.project import Project
from tests.support.runner import Migrator
from tests.support.target import Target


@pytest.mark.usefixtures("any_cluster")
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_the_template_with_each_driver(
    migrator: Migrator, project: Project, target: Target, driver: str
) -> None:
    write_journal(project, "a1", "b2")
    result = migrator(DATABASE_URL=target.url.replace("postgresql:", f"postgresql+{driver}:"))
    assert result.exit_code == 0, result.last
    assert (journal(target), version(target)) == (["a1", "b2"], ["b2"])


@pytest.mark.usefixtures("any_cluster")
@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_the_async_template_with_each_driver(
    migrator: Migrator, project: Project, target: Target, driver: str
) -> None:
    project.write_env(ASYNC_ENV)
    write_journal(project, "a1", "b2")
    result = migrator(DATABASE_URL=target.url.replace("postgresql:", f"postgresql+{driver}:"))
    assert result.exit_code == 0, result.last
    assert [event["revision"] for event in result.named("revision.applied")] == ["a1", "b2"]
    assert (journal(target), version(target)) == (["a1", "b2"], ["b2"])


def test_the_async_template_without_a_driver_in_the_url(
    migrator: Migrator, project: Project, target: Target
) -> None:
    project.write_env(ASYNC_ENV)
    write_journal(project, "a1")
    assert migrator(DATABASE_URL=target.url.replace("postgresql:", "postgres:")).exit_code == 0
    assert version(target) == ["a1"]


@pytest.mark.parametrize("spelling", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_an_env_py_that_reads_the_url_from_the_environment(
    migrator: Migrator, project: Project, target: Target, spelling: str
) -> None:
    engine = "sqlalchemy.create_engine('postgresql+psycopg:' + os.environ['DATABASE_URL'].partition(':')[2])"
    project.write_env(env_with(header="import os, sqlalchemy", connectable=engine))
    write_journal(project, "a1")
    result = migrator(DATABASE_URL=target.url.replace("postgresql", spelling, 1))
    assert result.exit_code == 0, result.last
    assert version(target) == ["a1"]


def test_arguments_for_env_py(migrator: Migrator, project: Project, target: Target) -> None:
    project.write_env(env_with(before="config.attributes['x'] = context.get_x_argument(as_dictionary=True)"))
    body = "op.execute('CREATE TABLE {shelf}_{tenant} ()'.format(**context.config.attributes['x']))"
    project.write_revision("a1", header="from alembic import context", upgrade=body)
    assert migrator(MIGRATOR_ALEMBIC_X="shelf=books,tenant=oslo").exit_code == 0
    assert target.value("SELECT to_regclass('books_oslo') IS NOT NULL")
    project.write_revision("b2", header="from alembic import context", upgrade=body)
    x = json.dumps(["shelf=a,b", "tenant=c=d"])
    project.write_revision("c3", upgrade="pass")
    result = migrator(MIGRATOR_ALEMBIC_X=x)
    assert result.exit_code == 14
    assert "a,b_c=d" in result.last["statement"]


def test_a_version_table_named_in_env_py_is_read_without_running_it(
    migrator: Migrator, project: Project, target: Target
) -> None:
    target.execute("CREATE SCHEMA meta")
    project.write_env(env_with(options="version_table='shop_version', version_table_schema='meta'"))
    write_journal(project, "a1")
    first = migrator()
    assert first.exit_code == 0, first.last
    assert "discover" not in first.last["phases"]
    assert version(target, "meta.shop_version") == ["a1"]
    assert version(target) == []
    assert migrator().last["outcome"] == "nothing to do"
    assert migrator(MIGRATOR_LEDGER="off").last["outcome"] == "nothing to do"


@pytest.mark.usefixtures("any_cluster")
def test_a_version_table_that_only_env_py_knows_is_discovered_once_then_remembered(
    migrator: Migrator, project: Project, target: Target
) -> None:
    project.write_env(
        env_with(header="import os", options="version_table=os.environ['SHOP'].lower() + '_version'")
    )
    write_journal(project, "a1")
    target.execute("CREATE TABLE somebody_elses ()")
    first = migrator(SHOP="BOOKS")
    assert first.exit_code == 0, first.last
    assert "discover" in first.last["phases"]
    assert version(target, "books_version") == ["a1"]
    # The second run would fail in env.py if it ran it: the variable is not set.
    second = migrator()
    assert (second.exit_code, second.last["outcome"]) == (0, "nothing to do")
    assert "discover" not in second.last["phases"]
    write_journal(project, "b2", begins=False)
    third = migrator(SHOP="BOOKS")
    assert third.exit_code == 0
    assert "discover" not in third.last["phases"]
    assert (journal(target), version(target, "books_version")) == (["a1", "b2"], ["b2"])


def test_in_an_empty_database_nothing_has_to_be_discovered(
    migrator: Migrator, project: Project, target: Target
) -> None:
    project.write_env(env_with(header="name = ''.join(['my', '_version'])", options="version_table=name"))
    write_journal(project, "a1")
    result = migrator()
    assert result.exit_code == 0, result.last
    assert "discover" not in result.last["phases"]
    assert version(target, "my_version") == ["a1"]


def test_discovery_cannot_change_anything(migrator: Migrator, project: Project, target: Target) -> None:
    env = env_with(
        header="import os, sqlalchemy",
        before="""
            connection.execute(sqlalchemy.text("CREATE SCHEMA IF NOT EXISTS made_by_env_py"))
            connection.commit()
        """,
        options="version_table=os.environ['SHOP']",
    )
    project.write_env(env)
    target.execute("CREATE TABLE precious (row int)")
    write_journal(project, "a1")
    refused = migrator(SHOP="shop_version", MIGRATOR_PG_BIN="/nonexistent")
    assert refused.exit_code == 13
    assert target.value("SELECT to_regnamespace('made_by_env_py')") is None
    result = migrator(SHOP="shop_version")
    assert result.exit_code == 0, result.last
    names = [event["event"] for event in result.events]
    assert names.count("backup.verified") == 1
    assert names.index("backup.verified") < names.index("revision.started")
    assert version(target, "shop_version") == ["a1"]


def test_the_setting_names_the_version_table_where_nothing_else_can(
    migrator: Migrator, project: Project, target: Target
) -> None:
    project.write_env(env_with(header="import os", options="version_table=os.environ['SHOP']"))
    write_journal(project, "a1")
    result = migrator(SHOP="shop_version", MIGRATOR_VERSION_TABLE="shop_version", MIGRATOR_LEDGER="off")
    assert result.exit_code == 0, result.last
    assert "discover" not in result.last["phases"]
    assert version(target, "shop_version") == ["a1"]


def test_a_wrongly_named_version_table_never_applies_anything_twice(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    # What counts after the first run is the table that was really used.
    assert migrator(MIGRATOR_VERSION_TABLE="another_version").exit_code == 0
    assert (journal(target), version(target)) == (["a1"], ["a1"])
    again = migrator(MIGRATOR_VERSION_TABLE="another_version")
    assert (again.exit_code, again.last["state"]) == (12, "unversioned")
    assert journal(target) == ["a1"]


def test_a_transaction_per_revision_as_env_py_wants_it(
    migrator: Migrator, project: Project, target: Target
) -> None:
    project.write_env(env_with(options="transaction_per_migration=True"))
    write_journal(project, "a1")
    project.write_revision("b2", upgrade="op.execute('SELECT 1 / 0')")
    result = migrator()
    assert result.exit_code == 14
    assert result.last["committed"] == ["a1"]
    assert version(target) == ["a1"]


def test_branches_and_their_merge(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    append = "op.execute(\"INSERT INTO journal (revision) VALUES ('{}')\")"
    project.write_revision("b2", down="a1", upgrade=append.format("b2"))
    project.write_revision("c3", down="a1", upgrade=append.format("c3"))
    project.write_revision("d4", down=("b2", "c3"), upgrade=append.format("d4"))
    result = migrator()
    assert result.exit_code == 0
    assert version(target) == ["d4"]
    assert sorted(journal(target)) == ["a1", "b2", "c3", "d4"]
    assert [event["revision"] for event in result.named("revision.applied")] == journal(target)


def test_concurrent_index_builds_do_not_wait_for_ourselves(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    for number in range(3):
        project.write_revision(
            f"b{number}",
            upgrade=f"""
                with op.get_context().autocommit_block():
                    op.execute("CREATE INDEX CONCURRENTLY journal_{number} ON journal (at)")
            """,
        )
    result = migrator(timeout=30)
    assert result.exit_code == 0, result.last
    assert (
        target.value("SELECT count(*) FROM pg_index WHERE indrelid = 'journal'::regclass AND indisvalid") == 3
    )


def test_a_release_without_revisions_has_nothing_to_do(migrator: Migrator, target: Target) -> None:
    result = migrator()
    assert (result.exit_code, result.last["outcome"]) == (0, "nothing to do")
    assert version(target) == []


def test_revisions_that_only_alembic_can_read(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    file = project.write_revision("b2")
    file.write_text(file.read_text().replace("= 'b2'", "= 'b' + str(1 + 1)"))
    assert migrator().exit_code == 0
    assert version(target) == ["b2"]
    assert migrator().last["outcome"] == "nothing to do"


def test_the_console_script_and_the_module_do_the_same(
    migrator: Migrator, project: Project, target: Target, tmp_path: Path
) -> None:
    write_journal(project, "a1")
    script = tmp_path / "module.py"
    script.write_text("import runpy; runpy.run_module('migrator', run_name='__main__', alter_sys=True)\n")
    module = dataclasses.replace(migrator, script=script)
    assert module().exit_code == 0
    console = dataclasses.replace(migrator, script=Path(sys.executable).with_name("migrator"))
    assert console("run").last["outcome"] == "nothing to do"
    assert version(target) == ["a1"]
