"""A network that goes silent on one session: each of ours notices by itself, and the next run finishes.

tempoxyz/tidx#14, pgjdbc/pgjdbc#1508: no reset comes, so the client waits for an answer, and the server keeps
the locks of one it will never hear of again, for as long as the kernel's own keepalives: two hours.
"""

from pathlib import Path

import pytest

from tests.support.environment import ASYNC_ENV
from tests.support.journal import journal, version, write_journal
from tests.support.project import Project
from tests.support.proxy import TcpProxy
from tests.support.runner import Migrator
from tests.support.sessions import admin_rows, leader
from tests.support.target import Target
from tests.support.waiting import eventually

# Ours notice within 10 s of silence and three probes of 5 s; the rest is for a machine that is busy.
NOTICED_SECONDS = 45.0
pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def away(target: Target, tcp_proxy: TcpProxy) -> str:
    """The target's URL, through the network that will fail."""
    return target.at(tcp_proxy.host, tcp_proxy.port).url


@pytest.fixture
def gate(tmp_path: Path, project: Project) -> Path:
    """A file for which the second revision waits, inside a statement that would take ten minutes."""
    gate = tmp_path / "gate"
    write_journal(project, "a1")
    project.write_revision(
        "b2",
        upgrade=f"""
            import pathlib
            op.execute("INSERT INTO journal (revision) VALUES ('b2')")
            if not pathlib.Path({str(gate)!r}).exists():
                op.execute("SELECT pg_sleep(600)")
        """,
    )
    return gate


def silence(target: Target, network: TcpProxy, condition: str) -> None:
    """Lose every packet of the one session of migrator's of which this is true, as soon as it is there."""
    query = (
        "SELECT client_port FROM pg_stat_activity WHERE datname = current_database() "
        f"AND application_name LIKE 'migrator%' AND {condition}"
    )
    assert eventually(lambda: admin_rows(target, query)), condition
    ((port,),) = admin_rows(target, query)
    network.silence_one(port)


def sees_the_end_of_it(migrator: Migrator, target: Target) -> None:
    """See that the next run finishes: what the server still keeps of the lost session is soon gone."""
    result = migrator(MIGRATOR_BACKUP="off", MIGRATOR_LEADER_TIMEOUT="60s")
    assert result.exit_code == 0, result.last
    assert (journal(target), version(target)) == (["a1", "b2"], ["b2"])


ASLEEP = "query LIKE '%pg_sleep(600%' AND state = 'active'"


def test_on_the_lock_session(
    migrator: Migrator, target: Target, tcp_proxy: TcpProxy, away: str, gate: Path
) -> None:
    running = migrator.start(DATABASE_URL=away)
    running.wait_for_event("revision.started", revision="b2")
    silence(target, tcp_proxy, f"pid = {leader(target)}")
    result = running.finish(NOTICED_SECONDS)
    assert result.exit_code == 34, result.last
    assert "leader lock was lost" in result.last["error"]
    assert (result.last["committed"], journal(target)) == ([], [])
    gate.touch()
    sees_the_end_of_it(migrator, target)


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_on_the_migration_session(
    migrator: Migrator,
    project: Project,
    target: Target,
    tcp_proxy: TcpProxy,
    away: str,
    gate: Path,
    driver: str,
) -> None:
    if driver == "asyncpg":
        project.write_env(ASYNC_ENV)
    running = migrator.start(DATABASE_URL=away.replace("postgresql:", f"postgresql+{driver}:"))
    running.wait_for_event("revision.started", revision="b2")
    silence(target, tcp_proxy, f"application_name LIKE '%worker' AND {ASLEEP}")
    result = running.finish(NOTICED_SECONDS)
    assert result.exit_code == 34, result.last
    assert "the session was lost" in result.last["error"]
    assert (result.last["committed"], result.last["rolled_back"]) == ([], ["a1", "b2"])
    gate.touch()
    sees_the_end_of_it(migrator, target)


def test_on_the_session_of_the_dump(
    migrator: Migrator, project: Project, target: Target, tcp_proxy: TcpProxy, away: str
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    write_journal(project, "b2", begins=False)
    with target.connect() as other, other.transaction():
        other.execute("LOCK TABLE journal IN ACCESS EXCLUSIVE MODE")
        running = migrator.start(DATABASE_URL=away)
        silence(target, tcp_proxy, "application_name LIKE '%backup' AND wait_event_type = 'Lock'")
    result = running.finish(NOTICED_SECONDS)
    assert result.exit_code == 33, result.last
    assert not result.named("revision.started")
    assert not [path for path in migrator.backups.rglob("*") if path.is_file()]
    sees_the_end_of_it(migrator, target)


@pytest.mark.parametrize(
    "condition",
    ["query LIKE '%pg_blocking_pids%'", "query LIKE '%migrator.run%'"],
    ids=["observer", "ledger"],
)
def test_on_a_session_that_only_looks_on_or_keeps_account_the_run_goes_on(
    migrator: Migrator,
    project: Project,
    target: Target,
    tcp_proxy: TcpProxy,
    away: str,
    tmp_path: Path,
    condition: str,
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    gate = tmp_path / "gate"
    wait = f"import pathlib, time\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.1)\n"
    project.write_revision("b2", upgrade=f"{wait}op.execute(\"INSERT INTO journal VALUES ('b2')\")")
    running = migrator.start(DATABASE_URL=away, MIGRATOR_BACKUP="off")
    running.wait_for_event("revision.started", revision="b2")
    silence(target, tcp_proxy, condition)
    gate.touch()
    result = running.finish(NOTICED_SECONDS)
    assert result.exit_code == 0, result.last
    assert (journal(target), version(target)) == (["a1", "b2"], ["b2"])
