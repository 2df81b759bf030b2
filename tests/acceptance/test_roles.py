"""MIGRATOR_ROLE: the login changes with every deploy, what is made belongs to the owner."""

import dataclasses
import secrets
import signal
from collections.abc import Callable, Iterator

import pytest
from psycopg import sql

from tests.support.environment import ASYNC_ENV
from tests.support.journal import journal, version, write_journal
from tests.support.pgbouncer import PgBouncer
from tests.support.project import Project
from tests.support.replay import forget_version, let_make_databases, scratch_databases
from tests.support.runner import Migrator
from tests.support.target import Target
from tests.support.waiting import eventually

OWNERS = """
SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('public', 'migrator')
UNION SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'migrator'
"""
WORKING = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND query LIKE %s AND state = 'active'"


@pytest.fixture
def login(target: Target) -> Iterator[Target]:
    """The target as a rotating login reaches it: a member of the owner that inherits nothing."""
    name = f"login_{secrets.token_hex(6)}"
    login = dataclasses.replace(target, user=name)
    target.cluster.create_role(name, target.password)
    with target.admin() as session:
        session.execute(sql.SQL("ALTER ROLE {} NOINHERIT").format(sql.Identifier(name)))
        session.execute(sql.SQL("GRANT {} TO {}").format(*map(sql.Identifier, (target.user, name))))
    yield login
    with target.admin() as session:
        session.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
        session.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture
def as_owner(migrator: Migrator, login: Target, target: Target) -> Migrator:
    """Log in as the one role and work as the other."""
    environ = {**migrator.environ, "DATABASE_URL": login.url, "MIGRATOR_ROLE": target.user}
    return dataclasses.replace(migrator, environ=environ)


def owners(target: Target) -> list[str]:
    return sorted(name for (name,) in target.rows(OWNERS))


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_everything_a_run_makes_belongs_to_the_owner(
    as_owner: Migrator, project: Project, target: Target, login: Target, driver: str
) -> None:
    if driver == "asyncpg":
        project.write_env(ASYNC_ENV)
    write_journal(project, "a1", "b2")
    result = as_owner(DATABASE_URL=login.url.replace("postgresql:", f"postgresql+{driver}:", 1))
    assert result.exit_code == 0, result.last
    assert version(target) == ["b2"]
    assert owners(target) == [target.user]
    project.write_revision("c3", upgrade="op.execute('CREATE TABLE more AS SELECT current_user AS me')")
    again = as_owner()
    assert (again.exit_code, bool(again.last["backup"])) == (0, True), again.last
    assert target.value("SELECT me FROM more") == target.user


def test_everything_belongs_to_the_owner_through_a_session_pooler_too(
    as_owner: Migrator,
    project: Project,
    target: Target,
    login: Target,
    pgbouncer: Callable[..., PgBouncer],
) -> None:
    write_journal(project, "a1")
    pooler = pgbouncer(login, pool_mode="session")
    result = as_owner(DATABASE_URL=pooler.url, MIGRATOR_ON_POOLER="session")
    assert result.exit_code == 0, result.last
    assert owners(target) == [target.user]
    with pooler.target.connect() as app:
        assert app.execute("SELECT current_user").fetchone() == (login.user,)


@pytest.mark.parametrize("on_pooler", ["refuse", "session"])
def test_the_owners_role_does_not_stay_set_in_a_transaction_poolers_hands(
    as_owner: Migrator,
    project: Project,
    login: Target,
    pgbouncer: Callable[..., PgBouncer],
    on_pooler: str,
) -> None:
    write_journal(project, "a1")
    pooler = pgbouncer(login, pool_mode="transaction")
    result = as_owner(DATABASE_URL=pooler.url, MIGRATOR_ON_POOLER=on_pooler)
    assert result.exit_code == 13, result.last
    with pooler.target.connect(prepare_threshold=None) as app:
        assert app.execute("SELECT current_user").fetchone() == (login.user,)


@pytest.mark.usefixtures("any_cluster")
def test_every_command_works_as_the_owner(
    as_owner: Migrator, project: Project, target: Target, login: Target
) -> None:
    let_make_databases(target)
    project.write_revision(
        "a1", upgrade="op.execute('CREATE TABLE a (id int)')", downgrade="op.drop_table('a')"
    )
    assert as_owner().exit_code == 0
    for command in ("verify", "check", "gate"):
        result = as_owner(command)
        assert result.exit_code == 0, (command, result.last)
    for command in ("plan", "status"):
        result = as_owner(command, MIGRATOR_LOG_FORMAT="text")
        assert result.exit_code == 0, (command, result.stderr)
    forget_version(target)
    adopted = as_owner("adopt", "--stamp")
    assert adopted.exit_code == 0, adopted.last
    assert owners(target) == [target.user]
    assert (scratch_databases(target), scratch_databases(login)) == ([], [])


def test_the_login_may_be_the_one_that_makes_scratch_databases(
    as_owner: Migrator, project: Project, target: Target, login: Target
) -> None:
    let_make_databases(login)
    write_journal(project, "a1")
    assert as_owner().exit_code == 0
    result = as_owner("verify")
    assert result.exit_code == 0, result.last
    assert (scratch_databases(target), scratch_databases(login)) == ([], [])


def test_without_the_membership_the_grant_is_named(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    result = migrator(MIGRATOR_ROLE="pg_monitor")
    assert result.exit_code == 16, result.last
    assert "GRANT pg_monitor TO" in result.last["remedy"]
    assert version(target) == []


def test_a_role_that_is_not_there_is_refused(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    result = migrator(MIGRATOR_ROLE="nobody_here", MIGRATOR_WAIT_TIMEOUT="1s")
    assert result.exit_code == 16, result.last
    assert "nobody_here" in result.last["error"]
    assert version(target) == []


def test_without_the_setting_a_login_that_inherits_nothing_is_refused(
    as_owner: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    result = as_owner(MIGRATOR_ROLE=None)
    assert result.exit_code == 16, result.last
    assert version(target) == []


def test_a_stop_cancels_what_the_login_runs_as_the_owner(
    as_owner: Migrator, project: Project, target: Target, login: Target
) -> None:
    write_journal(project, "a1")
    project.write_revision("b2", upgrade="op.execute('SELECT pg_sleep(120)')")
    running = as_owner.start()
    running.wait_for_event("revision.started", revision="b2")
    with target.admin() as session:

        def working() -> int:
            row = session.execute(WORKING, (login.user, "SELECT pg_sleep(120)")).fetchone()
            return int(row[0]) if row else 0

        assert eventually(lambda: working() == 1)
        running.signal(signal.SIGTERM)
        result = running.finish(20)
        assert result.exit_code == 143, result.last
        assert eventually(lambda: working() == 0, 3)
    assert (journal(target), version(target)) == ([], [])


def test_a_stopped_proof_leaves_no_scratch_database(
    as_owner: Migrator, project: Project, target: Target, login: Target
) -> None:
    let_make_databases(target)
    write_journal(project, "a1")
    assert as_owner().exit_code == 0
    project.write_revision("b2", upgrade="op.execute('SELECT pg_sleep(120)')")
    running = as_owner.start("check")
    with target.admin() as session:

        def sleeping() -> int:
            row = session.execute(WORKING, (login.user, "SELECT pg_sleep(120)")).fetchone()
            return int(row[0]) if row else 0

        assert eventually(lambda: sleeping() == 1)
    assert scratch_databases(target)
    running.signal(signal.SIGTERM)
    result = running.finish(20)
    assert result.exit_code == 143, result.last
    assert (scratch_databases(target), scratch_databases(login)) == ([], [])


def test_a_restored_database_belongs_to_the_owner_with_all_that_is_in_it(
    as_owner: Migrator, project: Project, target: Target
) -> None:
    let_make_databases(target)
    write_journal(project, "a1")
    assert as_owner().exit_code == 0
    write_journal(project, "b2", begins=False)
    assert as_owner().exit_code == 0
    result = as_owner("restore", "latest")
    assert result.exit_code == 0, result.last
    assert version(target) == ["a1"]
    assert owners(target) == [target.user]
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
    assert target.value(owner) == target.user
