"""Exit 34 and kill -9: whatever is lost midway, the next run finishes the job and nothing happens twice."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.journal import journal, version, write_journal
from tests.support.processes import worker_of
from tests.support.project import Project
from tests.support.proxy import TcpProxy
from tests.support.runner import Migrator, Running
from tests.support.sessions import WORKERS, worker
from tests.support.target import Target
from tests.support.waiting import eventually

KILLS = int(os.environ.get("MIGRATOR_TEST_KILLS", "6"))


@pytest.mark.usefixtures("any_cluster")
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_session_that_is_terminated_is_exit_34_and_the_next_run_finishes(
    migrator: Migrator, project: Project, target: Target, driver: str
) -> None:
    write_journal(project, "a1", "b2", seconds=1)
    url = target.url.replace("postgresql:", f"postgresql+{driver}:")
    running = migrator.start(DATABASE_URL=url, MIGRATOR_TRANSACTION="revision")
    running.wait_for_event("revision.started", revision="b2")
    with target.admin() as session:
        session.execute(WORKERS.replace("SELECT pid", "SELECT pg_terminate_backend(pid)").encode())
    result = running.finish()
    assert result.exit_code == 34, result.last
    last = result.last
    assert (last["event"], last["exit_name"], last["retryable"]) == (
        "run.finished",
        "INTERRUPTED_MIDWAY",
        True,
    )
    assert (last["committed"], last["rolled_back"]) == (["a1"], ["b2"])
    assert (journal(target), version(target)) == (["a1"], ["a1"])
    assert migrator().exit_code == 0
    assert (journal(target), version(target)) == (["a1", "b2"], ["b2"])


def test_a_worker_that_is_killed_is_exit_34_and_the_next_run_finishes(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1", "b2", seconds=1)
    running = migrator.start(MIGRATOR_TRANSACTION="revision")
    running.wait_for_event("revision.started", revision="b2")
    os.kill(worker(running), signal.SIGKILL)
    result = running.finish()
    assert result.exit_code == 34, result.last
    assert "killed by signal 9" in result.last["error"]
    assert (result.last["committed"], result.last["rolled_back"]) == (["a1"], ["b2"])
    assert migrator().exit_code == 0
    assert (journal(target), version(target)) == (["a1", "b2"], ["b2"])


def test_a_killed_runner_takes_its_worker_and_its_statement_along(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1", seconds=600)
    running = migrator.start()
    running.wait_for_event("revision.started")
    orphan = worker(running)
    os.kill(running.pid, signal.SIGKILL)
    assert eventually(lambda: has_ended(orphan), seconds=2)
    assert eventually(lambda: not target.rows(WORKERS), seconds=5)
    assert version(target) == []


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or waits to be buried by an init that does not care."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_killed_at_random_moments_the_next_run_finishes_and_nothing_happens_twice(
    migrator: Migrator, project: Project, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [f"r{number}" for number in range(5)]
    write_journal(project, *ids, seconds=0.3)
    inside, chance = 0, random.SystemRandom()
    for number in range(KILLS):
        target.execute(
            "DROP TABLE IF EXISTS journal, alembic_version; DROP SCHEMA IF EXISTS migrator CASCADE"
        )
        running = migrator.start(MIGRATOR_TRANSACTION=chance.choice(["project", "revision"]))
        time.sleep(chance.uniform(0.05, 2.2))  # the moment is the point
        victim = worker_of(running.pid) if number % 2 else running.pid
        inside += is_inside(running)
        if victim is not None and running.is_alive:
            os.kill(victim, signal.SIGKILL)
        killed = running.finish()
        assert killed.exit_code in {-9, 34, 0}, killed.last
        before = journal(target)
        assert before == ids[: len(before)]
        result = migrator(MIGRATOR_BACKUP="off")
        assert result.exit_code == 0, result.last
        assert (journal(target), version(target)) == (ids, ids[-1:])
        assert result.last["revisions_applied"] == ids[len(before) :]
    with capsys.disabled():
        print(f"\n{KILLS} kills, {inside} of them inside a revision")  # noqa: T201
    if KILLS >= 50:
        assert inside >= 20


def is_inside(running: Running) -> bool:
    """Whether a revision has been started and its commit was not seen yet."""
    names = [event["event"] for event in running.events]
    return "revision.started" in names and "schema.verified" not in names


def test_a_run_that_loses_all_its_sessions_is_exit_34(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1", seconds=600)
    running = migrator.start()
    running.wait_for_event("revision.started")
    with target.admin() as session:
        ours = WORKERS.replace("%worker", "%").replace("SELECT pid", "SELECT pg_terminate_backend(pid)")
        session.execute(ours.encode())
    result = running.finish()
    assert result.exit_code == 34, result.last
    assert version(target) == []


def test_a_network_that_falls_silent_midway_is_exit_34_in_less_than_a_minute(
    migrator: Migrator, project: Project, target: Target, tcp_proxy: TcpProxy
) -> None:
    write_journal(project, "a1", seconds=600)
    away = target.at(tcp_proxy.host, tcp_proxy.port).url
    running = migrator.start(DATABASE_URL=f"{away}?connect_timeout=60", MIGRATOR_BACKUP="off")
    running.wait_for_event("revision.started", revision="a1")
    tcp_proxy.silence()
    # It is known after 15 s; then a look and the ledger's last entry are each tried for 10 s.
    result = running.finish(110)
    assert result.exit_code == 34, result.last
    tcp_proxy.resume()


@pytest.mark.parametrize("break_off", [TcpProxy.cut, TcpProxy.reset])
def test_a_network_that_breaks_midway_is_exit_34_and_the_next_run_finishes(
    migrator: Migrator,
    project: Project,
    target: Target,
    tcp_proxy: TcpProxy,
    break_off: Callable[[TcpProxy], None],
) -> None:
    write_journal(project, "a1", "b2", seconds=1)
    away = target.at(tcp_proxy.host, tcp_proxy.port).url
    running = migrator.start(DATABASE_URL=away, MIGRATOR_TRANSACTION="revision")
    running.wait_for_event("revision.started", revision="b2")
    break_off(tcp_proxy)
    result = running.finish(30)
    assert result.exit_code == 34, result.last
    assert result.last["revisions_applied"] == ["a1"]
    assert eventually(lambda: not target.rows(WORKERS))
    assert migrator().exit_code == 0
    assert (journal(target), version(target)) == (["a1", "b2"], ["b2"])
