"""What others' users have reported of runs that were stopped, killed or robbed of their lock."""

import contextlib
import os
import signal
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.environment import ASYNC_ENV
from tests.support.journal import journal, version, write_journal
from tests.support.overlap import one_leader_at_a_time
from tests.support.processes import worker_of
from tests.support.project import Project
from tests.support.runner import Migrator, Running
from tests.support.sessions import WORKERS, leader
from tests.support.stopping import assert_nothing_goes_on, both_signals, in_a_long_statement, told_to_stop
from tests.support.target import Target
from tests.support.waiting import eventually


@pytest.mark.usefixtures("any_cluster")
@both_signals
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_a_run_told_to_stop_inside_a_statement_of_ten_minutes_ends_within_seconds(
    migrator: Migrator, project: Project, target: Target, driver: str, number: signal.Signals
) -> None:
    """psycopg/psycopg2#333: a client inside libpq hears no signal, so the platform's grace runs out."""
    write_journal(project, "a1")
    write_journal(project, "b2", seconds=600, begins=False)
    if driver == "asyncpg":
        project.write_env(ASYNC_ENV)
    url = target.url.replace("postgresql:", f"postgresql+{driver}:")
    running = migrator.start(DATABASE_URL=url, MIGRATOR_TRANSACTION="revision")
    running.wait_for_event("revision.started", revision="b2")
    in_a_long_statement(target, running)
    worker = worker_of(running.pid)
    result = told_to_stop(running, number)
    assert result.last["revisions_applied"] == ["a1"]
    assert (result.last["committed"], result.last["rolled_back"]) == (["a1"], ["b2"])
    assert (journal(target), version(target)) == (["a1"], ["a1"])
    assert_nothing_goes_on(target)
    assert worker is not None
    assert not Path(f"/proc/{worker}").exists()


def kill_the_runner(running: Running) -> None:
    """End the runner alone, as the kernel does when memory runs out."""
    running.signal(signal.SIGKILL)


def kill_both(running: Running) -> None:
    """End everything at once, as a platform does when its grace has run out."""
    found = worker_of(running.pid)
    running.kill()
    with contextlib.suppress(ProcessLookupError):
        os.kill(found or running.pid, signal.SIGKILL)


@pytest.mark.usefixtures("any_cluster")
@pytest.mark.parametrize("kill", [kill_the_runner, kill_both])
def test_while_the_server_goes_on_with_a_killed_runs_statement_nobody_else_begins(
    migrator: Migrator, project: Project, target: Target, tmp_path: Path, kill: Callable[[Running], None]
) -> None:
    """prisma/orm#12999, METR/hawk#1144: Postgres does not notice a dead client while it executes.

    Its lock session ends at once, since it is idle: only the fence tells that a session of its still lives.
    """
    write_journal(project, "a1")
    again = tmp_path / "again"
    project.write_revision(
        "b2",
        upgrade=f"""
            import pathlib
            op.execute("INSERT INTO journal (revision) VALUES ('b2')")
            if not pathlib.Path({str(again)!r}).exists():
                op.execute("SET client_connection_check_interval = 0")
                op.execute("SELECT pg_sleep(6)")
        """,
    )
    running = migrator.start(MIGRATOR_TRANSACTION="revision")
    running.wait_for_event("revision.started", revision="b2")
    asleep = f"{WORKERS} AND query LIKE '%pg_sleep%' AND state = 'active'"
    assert eventually(lambda: target.rows(asleep))
    again.touch()
    kill(running)
    second = migrator.start(MIGRATOR_BACKUP="off")
    second.wait_for_event("state.read")
    assert target.rows(asleep), "the server has noticed: there is nothing to see"
    while True:
        has_begun = any(event["event"] == "lock.acquired" for event in second.events)
        if not target.rows(asleep):
            break
        assert not has_begun, second.events
    result = second.finish()
    assert result.exit_code == 0, result.last
    assert result.last["revisions_applied"] == ["b2"]
    assert (journal(target), version(target)) == (["a1", "b2"], ["b2"])


RECORD = """
op.execute("CREATE TABLE record (revision text, run text, "
           "began timestamptz DEFAULT clock_timestamp(), ended timestamptz)")
"""
RECORDED = """
import pathlib, time
name = "current_setting('application_name')"
op.execute(f"INSERT INTO record (revision, run) VALUES ('{id}', {{name}})")
op.execute("SELECT pg_sleep(0.5)")
while '{id}' == 'b2' and not pathlib.Path({gate!r}).exists(): time.sleep(0.02)
op.execute("UPDATE record SET ended = clock_timestamp() WHERE revision = '{id}'")
"""


@pytest.mark.usefixtures("any_cluster")
@pytest.mark.parametrize("transaction", ["project", "revision"])
def test_whoever_waits_for_a_leader_that_lost_its_lock_does_not_migrate_beside_it(
    migrator: Migrator, project: Project, target: Target, tmp_path: Path, transaction: str
) -> None:
    """flyway/flyway#3080: the connection that held the lock was ended; the migration went on."""
    ids, gate = ["a1", "b2", "c3"], tmp_path / "gate"
    project.write_revision("a0", upgrade=RECORD)
    assert migrator().exit_code == 0
    for id_ in ids:
        project.write_revision(id_, upgrade=RECORDED.format(id=id_, gate=str(gate)))
    with one_leader_at_a_time(target):
        first = migrator.start(MIGRATOR_TRANSACTION=transaction)
        first.wait_for_event("revision.started", revision="b2")
        second = migrator.start(MIGRATOR_TRANSACTION=transaction)
        second.wait_for_event("lock.waited")
        lost = leader(target)
        with target.admin() as session:
            session.execute("SELECT pg_terminate_backend(%s)", (lost,))
        assert eventually(lambda: not target.rows("SELECT FROM pg_stat_activity WHERE pid = %s", lost))
        gate.touch()
        results = [first.finish(), second.finish()]
    assert [result.exit_code for result in results] == [34, 0], results[0].last
    assert "leader lock was lost" in results[0].last["error"]
    rows = target.rows("SELECT revision, run, began, ended FROM record ORDER BY began")
    assert [row[0] for row in rows] == ids
    for (_, run, _, ended), (_, next_run, began, _) in pairwise(rows):
        assert run == next_run or ended < began, rows
    assert [results[n].last["revisions_applied"] for n in (0, 1)] == (
        [["a1"], ["b2", "c3"]] if transaction == "revision" else [[], ids]
    )
    assert version(target) == ["c3"]
    assert migrator().last["outcome"] == "nothing to do"
