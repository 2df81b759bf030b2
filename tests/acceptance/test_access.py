"""Exit 16: Postgres refuses the role, the password, the database or a privilege."""

import dataclasses

import pytest

from tests.support.journal import version, write_journal
from tests.support.project import Project
from tests.support.runner import Migrator, Result
from tests.support.target import Target


def assert_denied(result: Result, *words: str) -> None:
    """See exit 16 with these words."""
    assert result.exit_code == 16, result.last
    assert (result.last["event"], result.last["exit_name"]) == ("run.finished", "ACCESS_DENIED")
    for word in words:
        assert word in result.last["error"], result.last["error"]


@pytest.mark.usefixtures("any_cluster")
def test_a_wrong_password_is_refused(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    wrong = dataclasses.replace(target, password="guessed").url
    result = migrator(DATABASE_URL=wrong, MIGRATOR_WAIT_TIMEOUT="1s")
    assert_denied(result, "password authentication failed")
    assert result.named("wait.attempted")


@pytest.mark.usefixtures("any_cluster")
def test_an_unknown_database_is_refused(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    nowhere = dataclasses.replace(target, database="nowhere").url
    assert_denied(migrator(DATABASE_URL=nowhere, MIGRATOR_WAIT_TIMEOUT="1s"), "nowhere", "does not exist")


def test_a_database_created_late_is_waited_for(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    late = dataclasses.replace(target, database=f"{target.database}_late")
    running = migrator.start(DATABASE_URL=late.url)
    running.wait_for_event("wait.attempted", verdict="refused")
    target.cluster.create_database(late.database, late.user)
    assert running.finish().exit_code == 0
    assert version(late) == ["a1"]


def test_a_role_that_may_not_create_tables_is_refused(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    with target.admin() as session:
        session.execute("ALTER SCHEMA public OWNER TO postgres")
        session.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        session.execute(f"GRANT USAGE ON SCHEMA public TO {target.user}")
    assert_denied(migrator(), "permission denied for schema public")
    assert version(target) == []


def test_a_role_that_may_not_read_the_version_table_is_refused_with_the_grant(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    with target.admin() as session:
        session.execute("CREATE TABLE alembic_version (version_num text)")
    result = migrator()
    assert_denied(result, "alembic_version")
    assert "GRANT SELECT" in result.last["remedy"]


def test_a_revision_without_its_privilege_is_refused(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    project.write_revision("b2", upgrade="op.execute('CREATE ROLE someone SUPERUSER')")
    result = migrator()
    assert_denied(result, "b2")
    assert result.last["rolled_back"] == ["a1", "b2"]
    assert version(target) == []


def test_without_the_privilege_for_its_ledger_migrator_still_migrates(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    with target.admin() as session:
        session.execute(f"ALTER DATABASE {target.database} OWNER TO postgres")
        session.execute(f"GRANT CREATE ON SCHEMA public TO {target.user}")
        result = migrator()
        session.execute(f"ALTER DATABASE {target.database} OWNER TO {target.user}")
    assert result.exit_code == 0, result.last
    assert any("ledger" in event["message"] for event in result.named("hazard.found"))
    assert version(target) == ["a1"]
