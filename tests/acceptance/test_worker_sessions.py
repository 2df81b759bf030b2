"""The worker's sessions: to the right database, past every pooler; what is wrong is told apart."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from migrator.clock import Stop
from migrator.demo.cluster import free_port
from migrator.postgres.activity import Backend, end_sessions
from migrator.postgres.session import Connector
from migrator.settings import Dsn
from tests.support.environment import ASYNC_ENV, env_with
from tests.support.journal import journal, version, write_journal
from tests.support.pgbouncer import PgBouncer
from tests.support.project import INI, Project
from tests.support.runner import Migrator
from tests.support.target import Target, target_on

OWN_URL = "config.set_main_option('sqlalchemy.url', os.environ['APP_DB'].replace('%', '%%'))"
DRIVERS = ["psycopg", "psycopg2", "asyncpg"]


def write_env_with_own_url(project: Project, driver: str = "psycopg") -> None:
    """Let env.py take its address from a variable of its own."""
    text = ASYNC_ENV if driver == "asyncpg" else env_with()
    project.write_env(
        text.replace("config = context.config\n", f"config = context.config\nimport os\n{OWN_URL}\n")
    )


def with_driver(url: str, driver: str) -> str:
    return url.replace("postgresql:", f"postgresql+{driver}:")


@pytest.mark.parametrize("driver", DRIVERS)
def test_an_env_py_that_goes_through_a_pooler_is_refused(
    migrator: Migrator,
    project: Project,
    target: Target,
    pgbouncer: Callable[..., PgBouncer],
    driver: str,
) -> None:
    pooler = pgbouncer(default_pool_size="1")
    write_env_with_own_url(project, driver)
    write_journal(project, "a1")
    result = migrator(APP_DB=with_driver(pooler.url, driver))
    assert result.exit_code == 13, result.last
    assert "pooler" in result.last["error"]
    assert "MIGRATOR_DIRECT_DATABASE_URL" in result.last["remedy"]
    with pooler.target.connect(prepare_threshold=None) as app:
        assert app.execute("SHOW lock_timeout").fetchone() == ("0",)
        assert app.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)
    assert (journal(target), version(target)) == ([], [])


@pytest.mark.parametrize("driver", DRIVERS)
def test_an_env_py_with_a_dead_address_of_its_own_is_refused(
    migrator: Migrator, project: Project, target: Target, driver: str
) -> None:
    write_env_with_own_url(project, driver)
    write_journal(project, "a1")
    dead = target.at(target.host, free_port()).url
    result = migrator(APP_DB=with_driver(dead, driver), MIGRATOR_VERSION_TABLE="alembic_version")
    assert result.exit_code == 13, result.last
    assert "refused" in result.last["error"].lower()
    assert "let env.py use the URL it is given" in result.last["remedy"]


def test_a_full_server_is_no_reason_to_blame_env_py(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    target.execute("SELECT 1")
    with target.admin() as admin:
        admin.execute(f"ALTER DATABASE {target.database} CONNECTION LIMIT 100".encode())
        admin.execute(f"ALTER ROLE {target.user} CONNECTION LIMIT 1".encode())
    result = migrator(timeout=60)
    assert result.exit_code in {30, 34}, result.last


def test_a_broken_connection_to_somebody_else_is_the_revisions_failure(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    url = f"http://127.0.0.1:{free_port()}/"
    project.write_revision(
        "b2", upgrade=f"import http.client\nhttp.client.HTTPConnection({url[7:-1]!r}).connect()"
    )
    result = migrator()
    assert result.exit_code == 14, result.last
    assert version(target) == []


def test_another_libraries_operational_error_is_the_revisions_failure(
    migrator: Migrator, project: Project
) -> None:
    project.write_revision("a1", upgrade="import sqlite3\nsqlite3.connect(':memory:').execute('nonsense')")
    assert migrator().exit_code == 14


@pytest.mark.parametrize("how", ["MIGRATOR_DATABASE_URL", "MIGRATOR_DATABASE_URL_FILE"])
def test_what_was_chosen_reaches_an_env_py_that_reads_database_url(
    migrator: Migrator, project: Project, target: Target, other: Target, tmp_path: Path, how: str
) -> None:
    engine = "sqlalchemy.create_engine('postgresql+psycopg:' + os.environ['DATABASE_URL'].partition(':')[2])"
    project.write_env(env_with(header="import os, sqlalchemy", connectable=engine))
    write_journal(project, "a1")
    file = tmp_path / "url"
    file.write_text(target.url)
    chosen: dict[str, Any] = {how: str(file) if how.endswith("FILE") else target.url}
    result = migrator(DATABASE_URL=other.url, **chosen)
    assert result.exit_code == 0, result.last
    assert (version(target), version(other)) == (["a1"], [])


@pytest.fixture
def other(target: Target) -> Iterator[Target]:
    """A database the run was not given."""
    with target_on(target.cluster) as other:
        yield other


def test_an_env_py_that_migrates_another_database_is_told_its_name(
    migrator: Migrator, project: Project, target: Target, other: Target
) -> None:
    write_env_with_own_url(project)
    write_journal(project, "a1")
    result = migrator(APP_DB=with_driver(other.url, "psycopg"))
    assert result.exit_code == 13, result.last
    assert result.last["error"].startswith(f"env.py migrates {other.database}, which is not")
    assert version(target) == version(other) == []


def test_an_ini_url_that_env_py_fills_in_is_not_read_by_us(
    migrator: Migrator, project: Project, target: Target
) -> None:
    (project.folder / "alembic.ini").write_text(
        INI.replace(
            "driver://user:pass@localhost/dbname", "postgresql+psycopg2://%(DB_USER)s:%(DB_PW)s@db/app"
        )
    )
    fill = "section = config.config_ini_section\nconfig.set_section_option(section, 'DB_USER', 'app')"
    project.write_env(env_with().replace("config = context.config\n", f"config = context.config\n{fill}\n"))
    code = 'op.execute(f"CREATE TABLE {op.get_bind().dialect.driver} ()")'
    project.write_revision("a1", upgrade=code)
    result = migrator()
    assert result.exit_code == 0, result.last
    assert target.value("SELECT to_regclass('psycopg2') IS NOT NULL")


def test_a_value_of_the_wrong_type_is_not_quoted_and_not_a_lost_session(
    migrator: Migrator, project: Project
) -> None:
    project.write_env(ASYNC_ENV)
    project.write_revision(
        "a1",
        upgrade="""
            op.execute("CREATE TABLE customer (born date)")
            op.get_bind().exec_driver_sql("INSERT INTO customer VALUES ($1)", ("jane@secret.example",))
        """,
    )
    result = migrator(DATABASE_URL=with_driver(migrator.environ["DATABASE_URL"], "asyncpg"))
    assert result.exit_code == 14, result.last
    assert "query argument $1" in result.last["error"]
    assert "jane@secret.example" not in result.stdout


def test_a_session_that_got_the_pid_of_one_of_ours_is_left_alone(target: Target) -> None:
    connector = Connector(Dsn.parse(target.url), "migrator", Stop())
    about = "SELECT pid, extract(epoch FROM backend_start)::text FROM pg_stat_activity"
    with target.connect() as app:
        pid, start = app.execute(f"{about} WHERE pid = pg_backend_pid()".encode()).fetchall()[0]
        end_sessions(connector, "migrator worker", [Backend(pid, "1.000000"), Backend(pid, None)])
        assert app.execute("SELECT 1").fetchone() == (1,)
        end_sessions(connector, "migrator worker", [Backend(pid, start)])
        with pytest.raises(psycopg.OperationalError):
            app.execute("SELECT 1")
