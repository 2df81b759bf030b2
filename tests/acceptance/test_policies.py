"""Exit 13: a preflight forbids going on, and nothing is touched."""

import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from migrator.demo.cluster import Cluster, system_binaries
from tests.support.clients import fake_pg_dump
from tests.support.environment import env_with
from tests.support.journal import journal, version, write_journal
from tests.support.pgbouncer import PgBouncer
from tests.support.project import Project
from tests.support.runner import Migrator, Result
from tests.support.servers import Servers
from tests.support.target import Target, target_on

ELSEWHERE = env_with(
    header="import os, sqlalchemy", connectable="sqlalchemy.create_engine(os.environ['ELSEWHERE'])"
)


def assert_refused(result: Result, *words: str) -> None:
    """See exit 13 with these words."""
    assert result.exit_code == 13, result.last
    assert result.last["event"] == "run.finished"
    assert result.last["exit_name"] == "POLICY_REFUSED"
    told = f"{result.last['error']}; {result.last['remedy']}"
    for word in words:
        assert word in told, told


@pytest.fixture
def pending(migrator: Migrator, project: Project) -> Project:
    """The project after its first deploy, with a second revision to come."""
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    write_journal(project, "b2", begins=False)
    return project


@pytest.fixture
def elsewhere(cluster: Cluster) -> Iterator[Target]:
    """Another database, which nobody asked to migrate."""
    with target_on(cluster) as target:
        yield target


@pytest.mark.usefixtures("pending")
@pytest.mark.postgres(18)
def test_a_pg_dump_older_than_the_server_is_refused_with_both_versions(
    migrator: Migrator, target: Target
) -> None:
    old = system_binaries(15)
    assert old is not None, "this test needs an old client: apt-get install postgresql-client-15"
    assert_refused(migrator(MIGRATOR_PG_BIN=str(old.folder)), "18", "15.")
    assert journal(target) == ["a1"]


@pytest.mark.usefixtures("pending")
def test_a_folder_without_client_programs_is_refused(
    migrator: Migrator, target: Target, tmp_path: Path
) -> None:
    assert_refused(migrator(MIGRATOR_PG_BIN=str(tmp_path)), "found: none", "MIGRATOR_PG_BIN")
    assert journal(target) == ["a1"]


@pytest.mark.usefixtures("pending")
def test_a_client_program_that_cannot_be_executed_is_refused(
    migrator: Migrator, target: Target, tmp_path: Path
) -> None:
    folder = Path(fake_pg_dump(tmp_path / "clients", target.cluster.binaries, "exit 0"))
    (folder / "pg_dump").write_text("no program\n")
    assert_refused(migrator(MIGRATOR_PG_BIN=str(folder)), "pg_dump")
    assert journal(target) == ["a1"]


@pytest.mark.usefixtures("pending")
def test_a_backup_folder_that_cannot_be_written_is_refused(
    migrator: Migrator, target: Target, tmp_path: Path
) -> None:
    (tmp_path / "a-file").write_text("")
    url = (tmp_path / "a-file" / "backups").as_uri()
    assert_refused(migrator(MIGRATOR_BACKUP_URL=url), "MIGRATOR_BACKUP_URL", "a-file")
    assert journal(target) == ["a1"]


@pytest.mark.parametrize("pool_mode", ["transaction", "session"])
def test_a_pooler_is_refused_and_the_direct_url_is_the_cure(
    migrator: Migrator,
    project: Project,
    target: Target,
    pgbouncer: Callable[..., PgBouncer],
    pool_mode: str,
) -> None:
    write_journal(project, "a1")
    pooler = pgbouncer(pool_mode=pool_mode)
    assert_refused(migrator(DATABASE_URL=pooler.url), "pooler", "MIGRATOR_DIRECT_DATABASE_URL")
    assert version(target) == []
    cured = migrator(DATABASE_URL=pooler.url, MIGRATOR_DIRECT_DATABASE_URL=target.url)
    assert cured.exit_code == 0
    assert journal(target) == ["a1"]


def test_a_deploy_with_nothing_to_do_needs_no_lock_and_so_passes_through_a_pooler(
    migrator: Migrator, project: Project, pgbouncer: Callable[..., PgBouncer]
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    result = migrator(DATABASE_URL=pgbouncer(pool_mode="transaction").url)
    assert (result.exit_code, result.last["outcome"]) == (0, "nothing to do")


def test_an_env_py_that_migrates_another_database_is_refused(
    migrator: Migrator, project: Project, target: Target, elsewhere: Target
) -> None:
    write_journal(project, "a1")
    project.write_env(ELSEWHERE)
    url = elsewhere.url.replace("postgresql:", "postgresql+psycopg:")
    assert_refused(migrator(ELSEWHERE=url), elsewhere.database)
    assert (version(target), version(elsewhere)) == ([], [])


def test_an_env_py_that_migrates_the_same_database_name_on_another_server_is_refused(
    migrator: Migrator, project: Project, target: Target, servers: Servers
) -> None:
    write_journal(project, "a1")
    other = servers.cluster(16)
    with target_on(other) as twin:
        other.create_database(target.database, twin.user)
        project.write_env(ELSEWHERE)
        url = f"{twin.url.rpartition('/')[0]}/{target.database}".replace("postgresql:", "postgresql+psycopg:")
        assert_refused(migrator(ELSEWHERE=url), "not the database this run was given")
        with twin.connect(dbname=target.database) as session:
            assert session.execute("SELECT to_regclass('alembic_version')").fetchone() == (None,)
    assert version(target) == []


def test_an_env_py_that_migrates_a_sqlite_file_is_refused(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    # As two real projects do when a variable is not set.
    engine = "sqlalchemy.create_engine(os.environ.get('SHOP_DB', 'sqlite:///shop.db'))"
    project.write_env(env_with(header="import os, sqlalchemy", connectable=engine))
    result = migrator()
    assert_refused(result, "cannot be watched")
    assert any("not to Postgres" in event["message"] for event in result.named("hazard.found"))
    assert version(target) == []
    with sqlite3.connect(project.folder / "shop.db") as file:
        assert file.execute("SELECT name FROM sqlite_master").fetchall() == []
    file.close()


@pytest.mark.parametrize("content", [None, "no program\n", "#!/no/such/interpreter\n"])
def test_an_interpreter_that_cannot_start_is_refused(
    migrator: Migrator, project: Project, target: Target, tmp_path: Path, content: str | None
) -> None:
    write_journal(project, "a1")
    python = tmp_path / "python"
    if content is not None:
        python.write_text(content)
        python.chmod(0o755)
    assert_refused(migrator(MIGRATOR_PYTHON=str(python)), "MIGRATOR_PYTHON", str(python))
    assert version(target) == []


def test_an_interpreter_that_dies_at_once_is_not_a_success(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    result = migrator(MIGRATOR_PYTHON="/bin/false")
    assert_refused(result, "/bin/false", "MIGRATOR_PYTHON")
    assert version(target) == []


def test_an_interpreter_without_alembic_is_exit_11_with_the_cure(
    migrator: Migrator, project: Project, target: Target, tmp_path: Path
) -> None:
    write_journal(project, "a1")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    python.chmod(0o755)
    result = migrator(MIGRATOR_PYTHON=str(python))
    assert result.exit_code == 11
    assert "alembic" in result.last["error"]
    assert "MIGRATOR_PYTHON" in result.last["remedy"]
    assert version(target) == []


@pytest.mark.usefixtures("any_cluster", "pending")
def test_rows_hidden_by_forced_row_level_security_are_refused_by_name(
    migrator: Migrator, target: Target
) -> None:
    target.execute(
        "CREATE TABLE secret_notes (note text); ALTER TABLE secret_notes ENABLE ROW LEVEL SECURITY; "
        "ALTER TABLE secret_notes FORCE ROW LEVEL SECURITY"
    )
    assert_refused(migrator(), "public.secret_notes", "BYPASSRLS")
    assert journal(target) == ["a1"]
    assert not any(migrator.backups.rglob("*.dump"))


@pytest.mark.usefixtures("pending")
def test_a_table_that_the_role_may_not_read_is_refused_by_name(migrator: Migrator, target: Target) -> None:
    with target.admin() as session:
        session.execute("CREATE TABLE payroll (salary int)")
    assert_refused(migrator(), "public.payroll", "GRANT")
    assert journal(target) == ["a1"]


@pytest.mark.usefixtures("pending")
def test_without_a_backup_the_same_database_is_migrated(migrator: Migrator, target: Target) -> None:
    with target.admin() as session:
        session.execute("CREATE TABLE payroll (salary int)")
    result = migrator(MIGRATOR_BACKUP="off")
    assert result.exit_code == 0
    assert result.named("backup.skipped")[0]["reason"] == "MIGRATOR_BACKUP=off"
    assert journal(target) == ["a1", "b2"]
