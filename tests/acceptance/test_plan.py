"""What a run would do, told without doing any of it."""

import json
from typing import Any

import pytest

from tests.support.environment import ASYNC_ENV, env_with
from tests.support.journal import journal, version, write_journal
from tests.support.project import Project
from tests.support.replay import plain_upgrade, untouched
from tests.support.runner import Migrator, Result
from tests.support.target import Target

COMPUTED = "table = ''.join(['alembic', '_', 'version_two'])"


@pytest.fixture
def facts(migrator: Migrator) -> Migrator:
    """Run a command that prints facts."""
    return Migrator(
        migrator.folder,
        {**migrator.environ, "MIGRATOR_LOG_FORMAT": "text", "MIGRATOR_BACKUP_URL": ""},
        migrator.backups,
    )


def document(result: Result) -> dict[str, Any]:
    """See exit 0, and give what was printed as JSON."""
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.mark.usefixtures("any_cluster")
def test_the_pending_revisions_are_told_oldest_first(
    facts: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1", "b2", "c3")
    plain_upgrade(project.folder, target, "a1")
    with untouched(target):
        told = document(facts("plan", "--json"))
        text = facts("plan")
    assert [one["revision"] for one in told["pending"]] == ["b2", "c3"]
    assert (told["state"], told["heads"], told["targets"]) == ("pending", ["a1"], ["c3"])
    assert told["pending"][0]["down_revision"] == ["a1"]
    assert told["pending"][0]["message"] == "Revision b2"
    assert told["pending"][0]["file"].endswith("b2_.py")
    assert "sql" not in told["pending"][0]
    assert text.exit_code == 0
    assert text.stdout.startswith("2 revisions to apply")
    assert text.stdout.splitlines()[1:] == ["  b2  Revision b2", "  c3  Revision c3"]


def test_nothing_pending_is_said(facts: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    plain_upgrade(project.folder, target, "a1")
    result = facts("plan", "--sql")
    assert result.exit_code == 0, result.stderr
    assert "Nothing to apply" in result.stdout
    assert document(facts("plan", "--json"))["pending"] == []


@pytest.mark.usefixtures("target")
def test_an_empty_database_gets_everything(facts: Migrator, project: Project) -> None:
    write_journal(project, "a1", "b2")
    told = document(facts("plan", "--json"))
    assert (told["state"], [one["revision"] for one in told["pending"]]) == ("fresh", ["a1", "b2"])


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_the_sql_is_what_would_be_run_and_nothing_is(
    facts: Migrator, project: Project, target: Target, driver: str
) -> None:
    if driver == "asyncpg":
        project.write_env(ASYNC_ENV)
    write_journal(project, "a1")
    project.write_revision(
        "b2",
        upgrade="""
            op.create_table('rate', sa.Column('share', sa.Text, server_default='5%'))
            op.execute("COMMENT ON TABLE rate IS '100%% of 5%'")
            op.bulk_insert(sa.table('rate', sa.column('share', sa.Text)), [{'share': '7%'}])
            """,
    )
    plain_upgrade(project.folder, target, "a1")
    url = target.url.replace("postgresql:", f"postgresql+{driver}:", 1)
    with untouched(target):
        told = document(facts("plan", "--sql", "--json", DATABASE_URL=url))
        text = facts("plan", "--sql", DATABASE_URL=url)
    (entry,) = told["pending"]
    assert "CREATE TABLE rate" in entry["sql"]
    assert "DEFAULT '5%'" in entry["sql"]
    assert "'100%% of 5%'" in entry["sql"]
    assert "'7%'" in entry["sql"]
    assert "UPDATE alembic_version SET version_num='b2'" in entry["sql"]
    assert "sql_ends_at" not in told
    assert entry["sql"] in text.stdout


def test_a_revision_that_needs_data_ends_the_sql_and_says_so(
    facts: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    project.write_revision(
        "b2", upgrade="assert op.get_bind().execute(sa.text('SELECT revision FROM journal')).fetchall()"
    )
    project.write_revision("c3", upgrade="op.execute('CREATE TABLE c (id int)')")
    with untouched(target):
        told = document(facts("plan", "--sql", "--json"))
        text = facts("plan", "--sql")
    assert told["sql_ends_at"]["revision"] == "b2"
    first, second, third = told["pending"]
    assert "CREATE TABLE journal" in first["sql"]
    assert (second["sql"], third["sql"]) == (None, None)
    assert text.exit_code == 0, text.stderr
    assert "cannot be told without running it" in text.stdout
    assert "it comes after one that cannot be told" in text.stdout


def test_a_revision_that_opens_a_session_of_its_own_cannot_write(
    facts: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    plain_upgrade(project.folder, target, "a1")
    project.write_revision(
        "b2",
        header="import os",
        upgrade="""
            engine = sa.create_engine(os.environ['DATABASE_URL'].replace('sql:', 'sql+psycopg:'))
            with engine.begin() as own:
                own.execute(sa.text("INSERT INTO journal (revision) VALUES ('mine')"))
            """,
    )
    with untouched(target):
        told = document(facts("plan", "--sql", "--json"))
    assert told["sql_ends_at"]["revision"] == "b2"
    assert journal(target) == ["a1"]


def test_an_env_py_that_writes_is_kept_from_it(facts: Migrator, project: Project, target: Target) -> None:
    project.write_env(
        env_with(
            header=f"import sqlalchemy as sa\n{COMPUTED}",
            before="connection.execute(sa.text('CREATE TABLE mine (id int)'))\nconnection.commit()",
            options="version_table=table",
        )
    )
    write_journal(project, "a1")
    with untouched(target):
        result = facts("plan")
    assert result.exit_code == 11, result.stderr
    assert "MIGRATOR_VERSION_TABLE" in result.stderr
    named = facts("plan", MIGRATOR_VERSION_TABLE="alembic_version_two")
    assert named.exit_code == 0, named.stderr


def test_a_state_that_is_refused_is_refused_here_too(
    facts: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    plain_upgrade(project.folder, target, "a1")
    target.execute("UPDATE alembic_version SET version_num = 'f00d'")
    result = facts("plan")
    assert result.exit_code == 12, result.stderr
    assert "f00d" in result.stderr
    assert facts("plan", MIGRATOR_ON_AHEAD="allow-unproven").exit_code == 0


def test_an_unversioned_database_is_left_to_adopt(facts: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    target.execute("CREATE TABLE journal (revision text)")
    result = facts("plan", "--sql")
    assert result.exit_code == 0, result.stderr
    assert "migrator adopt" in result.stdout
    assert document(facts("plan", "--json"))["state"] == "unversioned"


def test_a_version_table_that_only_env_py_knows_is_found_while_a_leader_works(
    migrator: Migrator, facts: Migrator, project: Project, target: Target
) -> None:
    project.write_env(env_with(header=COMPUTED, options="version_table=table"))
    write_journal(project, "a1")
    assert migrator(MIGRATOR_LEDGER="off").exit_code == 0
    project.write_revision("b2", upgrade="op.execute('SELECT pg_sleep(8)')")
    leader = migrator.start("run", MIGRATOR_BACKUP="off", MIGRATOR_LEDGER="off")
    leader.wait_for_event("revision.started", revision="b2")
    told = document(facts("plan", "--json"))
    assert leader.is_alive
    assert [one["revision"] for one in told["pending"]] == ["b2"]
    assert leader.finish().exit_code == 0
    assert version(target, "alembic_version_two") == ["b2"]


def test_no_password_is_shown_with_the_sql(facts: Migrator, project: Project, target: Target) -> None:
    project.write_revision(
        "a1",
        header="import os",
        upgrade="op.execute(f\"COMMENT ON SCHEMA public IS '{os.environ['SECRET']}'\")",
    )
    result = facts("plan", "--sql", SECRET=target.password)
    assert result.exit_code == 0, result.stderr
    assert target.password not in result.stdout + result.stderr
