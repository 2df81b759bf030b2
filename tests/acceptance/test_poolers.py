"""Poolers: refused, or in session mode proven and allowed; pg_dump meets none, whoever only looks may."""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.acceptance.test_policies import assert_refused
from tests.acceptance.test_worker_sessions import DRIVERS, with_driver, write_env_with_own_url
from tests.support.environment import ASYNC_ENV
from tests.support.journal import journal, version, write_journal
from tests.support.pgbouncer import PgBouncer
from tests.support.project import Project
from tests.support.runner import Migrator
from tests.support.target import Target
from tests.support.waiting import eventually

PoolerOf = Callable[..., PgBouncer]
LOCKS = """
SELECT count(*) FROM pg_locks
WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@pytest.fixture
def pending(migrator: Migrator, project: Project) -> Project:
    """The project after its first deploy, with a second revision to come."""
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    write_journal(project, "b2", begins=False)
    return project


@contextmanager
def clients_of(pooler: PgBouncer, count: int) -> Iterator[None]:
    """Keep clients in a transaction each."""
    with ExitStack() as stack:
        for _ in range(count):
            session = stack.enter_context(pooler.target.connect(prepare_threshold=None))
            stack.enter_context(session.transaction())
            session.execute("SELECT 1")
        yield


@pytest.mark.parametrize("driver", DRIVERS)
def test_in_session_mode_every_driver_migrates_where_it_is_allowed(
    migrator: Migrator, project: Project, target: Target, pgbouncer: PoolerOf, driver: str
) -> None:
    if driver == "asyncpg":
        project.write_env(ASYNC_ENV)
    write_journal(project, "a1", "b2")
    pooler = pgbouncer(pool_mode="session")
    result = migrator(DATABASE_URL=with_driver(pooler.url, driver), MIGRATOR_ON_POOLER="session")
    assert result.exit_code == 0, result.last
    assert (journal(target), version(target)) == (["a1", "b2"], ["b2"])
    assert target.value("SELECT exit_code FROM migrator.run") == 0
    with pooler.target.connect() as app:
        for name in ("lock_timeout", "default_transaction_read_only", "client_connection_check_interval"):
            found = app.execute(f"SELECT setting = reset_val FROM pg_settings WHERE name = '{name}'".encode())
            assert found.fetchone() == (True,), name
    assert target.value(LOCKS) == 0


@pytest.mark.parametrize("pool_size", ["1", "20"])
@pytest.mark.parametrize("pool_mode", ["transaction", "statement"])
def test_no_other_mode_is_allowed(
    migrator: Migrator,
    project: Project,
    target: Target,
    pgbouncer: PoolerOf,
    pool_mode: str,
    pool_size: str,
) -> None:
    write_journal(project, "a1")
    pooler = pgbouncer(pool_mode=pool_mode, default_pool_size=pool_size)
    result = migrator(DATABASE_URL=pooler.url, MIGRATOR_ON_POOLER="session")
    assert_refused(result, "session mode", "MIGRATOR_DIRECT_DATABASE_URL")
    assert (version(target), target.value(LOCKS)) == ([], 0)
    cured = migrator(
        DATABASE_URL=pooler.url, MIGRATOR_DIRECT_DATABASE_URL=target.url, MIGRATOR_ON_POOLER="session"
    )
    assert cured.exit_code == 0
    assert journal(target) == ["a1"]


def test_no_other_mode_is_allowed_while_the_app_uses_the_pool(
    migrator: Migrator, project: Project, target: Target, pgbouncer: PoolerOf
) -> None:
    write_journal(project, "a1")
    pooler = pgbouncer(pool_mode="transaction", default_pool_size="5")
    with clients_of(pooler, 3):
        assert_refused(migrator(DATABASE_URL=pooler.url, MIGRATOR_ON_POOLER="session"), "session mode")
    assert (version(target), target.value(LOCKS)) == ([], 0)


def test_a_session_pooler_that_has_no_sessions_left_is_refused_within_seconds(
    migrator: Migrator, project: Project, target: Target, pgbouncer: PoolerOf
) -> None:
    write_journal(project, "a1")
    pooler = pgbouncer(pool_mode="session", default_pool_size="5")
    with clients_of(pooler, 3):
        result = migrator(DATABASE_URL=pooler.url, MIGRATOR_ON_POOLER="session")
    assert_refused(result, "2 server sessions at once", "MIGRATOR_DIRECT_DATABASE_URL")
    assert result.seconds < 30
    assert version(target) == []


def test_of_two_runs_through_a_transaction_pooler_both_are_refused(
    migrator: Migrator, project: Project, target: Target, pgbouncer: PoolerOf
) -> None:
    write_journal(project, "a1")
    pooler = pgbouncer(pool_mode="transaction")
    runs = [migrator.start(DATABASE_URL=pooler.url, MIGRATOR_ON_POOLER="session") for _ in range(2)]
    for run in runs:
        assert_refused(run.finish(), "session mode")
    assert (journal(target), version(target), target.value(LOCKS)) == ([], [], 0)


def test_of_two_runs_through_a_session_pooler_one_migrates(
    migrator: Migrator, project: Project, target: Target, pgbouncer: PoolerOf
) -> None:
    write_journal(project, "a1", "b2", seconds=1)
    pooler = pgbouncer(pool_mode="session")
    runs = [migrator.start(DATABASE_URL=pooler.url, MIGRATOR_ON_POOLER="session") for _ in range(2)]
    results = [run.finish() for run in runs]
    assert [result.exit_code for result in results] == [0, 0], [result.last for result in results]
    assert sorted(result.last["outcome"] for result in results) == ["migrated", "nothing to do"]
    assert journal(target) == ["a1", "b2"]


def test_the_lock_of_a_run_that_was_killed_behind_a_session_pooler_is_free_within_seconds(
    migrator: Migrator, project: Project, target: Target, pgbouncer: PoolerOf
) -> None:
    write_journal(project, "a1", seconds=60)
    pooler = pgbouncer(pool_mode="session")
    running = migrator.start(DATABASE_URL=pooler.url, MIGRATOR_ON_POOLER="session")
    running.wait_for_event("revision.started", revision="a1")
    assert eventually(
        lambda: target.value("SELECT count(*) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'")
    )
    running.signal(signal.SIGKILL)
    assert eventually(lambda: target.value(LOCKS) == 0, seconds=5)
    file = project.versions / "a1_.py"
    file.write_text(file.read_text().replace("pg_sleep(60)", "pg_sleep(0)"))
    assert migrator(DATABASE_URL=pooler.url, MIGRATOR_ON_POOLER="session").exit_code == 0
    assert journal(target) == ["a1"]


@pytest.mark.usefixtures("pending")
def test_a_dump_never_goes_through_a_pooler(migrator: Migrator, target: Target, pgbouncer: PoolerOf) -> None:
    pooler = pgbouncer(pool_mode="session")
    refused = migrator(DATABASE_URL=pooler.url, MIGRATOR_ON_POOLER="session")
    assert_refused(refused, "pg_dump", "MIGRATOR_DIRECT_DATABASE_URL", "MIGRATOR_BACKUP=off")
    assert not refused.named("attempt.started")
    assert journal(target) == ["a1"]
    asked = pooler.log.count("login attempt")
    cured = migrator(
        DATABASE_URL=pooler.url, MIGRATOR_DIRECT_DATABASE_URL=target.url, MIGRATOR_ON_POOLER="session"
    )
    assert cured.exit_code == 0, cured.last
    assert any(migrator.backups.rglob("*.dump"))
    assert pooler.log.count("login attempt") == asked
    assert journal(target) == ["a1", "b2"]


@pytest.mark.usefixtures("pending")
def test_without_a_backup_a_session_pooler_will_do(
    migrator: Migrator, target: Target, pgbouncer: PoolerOf
) -> None:
    pooler = pgbouncer(pool_mode="session")
    result = migrator(DATABASE_URL=pooler.url, MIGRATOR_BACKUP="off", MIGRATOR_ON_POOLER="session")
    assert result.exit_code == 0, result.last
    assert journal(target) == ["a1", "b2"]


@pytest.mark.parametrize("driver", DRIVERS)
def test_an_env_py_that_goes_through_another_pooler_than_the_runner_is_refused(
    migrator: Migrator, project: Project, target: Target, pgbouncer: PoolerOf, driver: str
) -> None:
    write_env_with_own_url(project, driver)
    write_journal(project, "a1")
    proven, other = pgbouncer(pool_mode="session"), pgbouncer(pool_mode="transaction")
    result = migrator(
        DATABASE_URL=proven.url, APP_DB=with_driver(other.url, driver), MIGRATOR_ON_POOLER="session"
    )
    assert_refused(result, "by another way", "MIGRATOR_DIRECT_DATABASE_URL")
    assert (version(target), target.value(LOCKS)) == ([], 0)


def test_an_env_py_that_goes_through_a_pooler_is_refused_where_the_runner_proved_none(
    migrator: Migrator, project: Project, target: Target, pgbouncer: PoolerOf
) -> None:
    write_env_with_own_url(project)
    write_journal(project, "a1")
    pooler = pgbouncer(pool_mode="session")
    result = migrator(APP_DB=with_driver(pooler.url, "psycopg"), MIGRATOR_ON_POOLER="session")
    assert_refused(result, "pooler", "MIGRATOR_DIRECT_DATABASE_URL")
    assert version(target) == []


@pytest.mark.parametrize("driver", DRIVERS)
def test_an_env_py_that_goes_straight_to_postgres_may_beside_a_proven_pooler(
    migrator: Migrator, project: Project, target: Target, pgbouncer: PoolerOf, driver: str
) -> None:
    write_env_with_own_url(project, driver)
    write_journal(project, "a1")
    pooler = pgbouncer(pool_mode="session")
    result = migrator(
        DATABASE_URL=pooler.url, APP_DB=with_driver(target.url, driver), MIGRATOR_ON_POOLER="session"
    )
    assert result.exit_code == 0, result.last
    assert version(target) == ["a1"]


def test_nothing_is_proven_by_replay_through_a_pooler(
    migrator: Migrator, project: Project, target: Target, pgbouncer: PoolerOf
) -> None:
    write_journal(project, "a1")
    target.execute("CREATE TABLE journal (revision text, at timestamptz DEFAULT clock_timestamp())")
    with target.admin() as session:
        session.execute(f"ALTER ROLE {target.user} CREATEDB".encode())
    pooler = pgbouncer(pool_mode="session")
    result = migrator(DATABASE_URL=pooler.url, MIGRATOR_BACKUP="off", MIGRATOR_ON_POOLER="session")
    assert_refused(result, "scratch", "MIGRATOR_DIRECT_DATABASE_URL", "MIGRATOR_SCRATCH_DATABASE_URL")
    beside = migrator(
        DATABASE_URL=pooler.url,
        MIGRATOR_BACKUP="off",
        MIGRATOR_SCRATCH_DATABASE_URL=target.url,
        MIGRATOR_ON_POOLER="session",
    )
    assert beside.exit_code == 0, beside.last
    assert version(target) == ["a1"]


@pytest.mark.usefixtures("pending")
def test_a_plan_with_sql_runs_user_code_through_a_proven_pooler_alone(
    migrator: Migrator, pgbouncer: PoolerOf
) -> None:
    def told(pool_mode: str, on_pooler: str) -> int:
        return migrator(
            "plan",
            "--sql",
            DATABASE_URL=pgbouncer(pool_mode=pool_mode).url,
            MIGRATOR_ON_POOLER=on_pooler,
            MIGRATOR_LOG_FORMAT="text",
        ).exit_code

    assert told("session", "session") == 0
    assert told("session", "refuse") == told("transaction", "session") == 13


@pytest.mark.parametrize("pool_mode", ["session", "transaction", "statement"])
def test_whoever_only_looks_may_look_through_any_pooler(
    migrator: Migrator, project: Project, pgbouncer: PoolerOf, pool_mode: str
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    pooler = pgbouncer(pool_mode=pool_mode, default_pool_size="1")
    for arguments in (["wait"], ["gate"], ["status"], ["plan"]):
        result = migrator(*arguments, DATABASE_URL=pooler.url, MIGRATOR_LOG_FORMAT="text")
        assert result.exit_code == 0, (arguments, result.stdout, result.stderr)
    write_journal(project, "b2", begins=False)
    waiting = migrator("gate", DATABASE_URL=pooler.url, MIGRATOR_GATE_TIMEOUT="1s")
    assert waiting.exit_code == 35, waiting.last
    with pooler.target.connect(prepare_threshold=None) as app:
        assert app.execute("SHOW lock_timeout").fetchone() == ("0",)
        assert app.execute(LOCKS.encode()).fetchone() == (0,)


def test_a_role_does_not_stay_set_in_a_poolers_hands(
    migrator: Migrator, project: Project, target: Target, pgbouncer: PoolerOf
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    pooler = pgbouncer(pool_mode="transaction", default_pool_size="1")
    with target.admin() as session:
        session.execute(f"GRANT pg_monitor TO {target.user}".encode())
    for arguments in ([], ["gate"]):
        migrator(*arguments, DATABASE_URL=pooler.url, MIGRATOR_ROLE="pg_monitor")
        with pooler.target.connect(prepare_threshold=None) as app:
            assert app.execute("SELECT current_user").fetchone() == (target.user,)
