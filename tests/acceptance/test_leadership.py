"""One leader at a time: exit 31, many runners at once, and a leadership that is lost (34)."""

import dataclasses
from pathlib import Path

import pytest

from tests.support.journal import journal, version, write_journal
from tests.support.project import Project
from tests.support.runner import REPOSITORY, Migrator, Running
from tests.support.sampler import connection_count
from tests.support.sessions import leader
from tests.support.target import Target
from tests.support.waiting import eventually

MOST_CONNECTIONS = 30

# Looks at who leads come before the commit, and what is deferred runs inside it.
SLOW_COMMIT = """
op.execute("CREATE FUNCTION doze() RETURNS trigger LANGUAGE plpgsql AS "
           "'BEGIN PERFORM pg_sleep(1.5); RETURN NULL; END'")
op.execute("CREATE CONSTRAINT TRIGGER late AFTER INSERT ON journal DEFERRABLE INITIALLY DEFERRED "
           "FOR EACH ROW EXECUTE FUNCTION doze()")
op.execute("INSERT INTO journal (revision) VALUES ('b2')")
"""

# As long as the test holds a lock of its own; waiting for it would meet the lock_timeout.
WHILE_HELD = (
    "DO $$ BEGIN WHILE EXISTS (SELECT FROM pg_locks WHERE locktype = $l$advisory$l$ AND objid = 7) "
    "LOOP PERFORM pg_sleep(0.05); END LOOP; END $$"
)

# A crowd shall not starve the other tests on this machine.
NICE = """
import os, sys
os.nice(10)
os.execv(sys.executable, [sys.executable, {entrypoint!r}, *sys.argv[1:]])
"""


@pytest.fixture
def crowd(migrator: Migrator, tmp_path: Path) -> Migrator:
    """The entrypoint, giving way to others."""
    script = tmp_path / "nice.py"
    script.write_text(NICE.format(entrypoint=str(REPOSITORY / "entrypoint.py")))
    return dataclasses.replace(migrator, script=script)


def slow_run(migrator: Migrator, project: Project) -> Running:
    """Start a run that is inside its revision for a long time."""
    write_journal(project, "a1", seconds=600)
    running = migrator.start()
    running.wait_for_event("revision.started")
    return running


@pytest.mark.usefixtures("any_cluster")
def test_a_second_runner_gives_up_and_says_who_leads(
    migrator: Migrator, project: Project, target: Target
) -> None:
    first = slow_run(migrator, project)
    run_id = first.wait_for_event("lock.acquired")["run_id"]
    result = migrator(MIGRATOR_LEADER_TIMEOUT="1s")
    assert result.exit_code == 31, result.last
    assert (result.last["event"], result.last["exit_name"]) == ("run.finished", "LEADER_BUSY")
    assert f"run {run_id}" in result.last["error"]
    assert f"pid {leader(target)}" in result.last["error"]
    assert "since" in result.last["error"]
    assert result.named("lock.waited")
    assert result.last["lock_wait_seconds"] >= 1
    assert first.is_alive


def test_a_session_of_nobodys_that_holds_the_lock_is_named(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    with target.connect(application_name="somebody's psql") as session:
        session.execute("SELECT pg_advisory_lock(1296519764, 1)")
        result = migrator(MIGRATOR_LEADER_TIMEOUT="500ms")
    assert result.exit_code == 31
    assert "somebody's psql" in result.last["error"]
    assert version(target) == []


def test_a_migration_session_of_an_earlier_run_keeps_a_new_leader_out(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    with target.connect(application_name="an earlier worker") as session:
        session.execute("SELECT pg_advisory_lock_shared(1296519764, 2)")
        result = migrator(MIGRATOR_LEADER_TIMEOUT="500ms")
    assert result.exit_code == 31
    assert "an earlier worker" in result.last["error"]
    assert version(target) == []


def test_whoever_waited_while_another_did_it_all_has_nothing_to_do(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    project.write_revision("b2", upgrade=f"op.execute('{WHILE_HELD}')")
    with target.connect() as other:
        other.execute("SELECT pg_advisory_lock(7)")
        first = migrator.start()
        first.wait_for_event("revision.started", revision="b2")
        waiting = migrator.start()
        waiting.wait_for_event("lock.waited")
    second = waiting.finish()
    assert (first.finish().exit_code, second.exit_code) == (0, 0)
    assert second.last["outcome"] == "nothing to do"
    assert second.named("lock.waited")
    assert not second.named("lock.acquired")
    assert (journal(target), version(target)) == (["a1"], ["b2"])


@pytest.mark.usefixtures("any_cluster")
def test_twenty_runners_at_once_apply_each_revision_exactly_once(
    crowd: Migrator, project: Project, target: Target
) -> None:
    ids = [f"r{number}" for number in range(5)]
    write_journal(project, *ids, seconds=0.05)
    runs = [crowd.start() for _ in range(20)]
    results = [run.finish(120) for run in runs]
    assert [result.exit_code for result in results] == [0] * 20
    assert (journal(target), version(target)) == (ids, ids[-1:])
    assert sum(result.last["outcome"] == "migrated" for result in results) == 1


@pytest.mark.postgres(18)
def test_a_hundred_runners_at_once_all_succeed_with_few_connections(
    crowd: Migrator, project: Project, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    write_journal(project, "a1", "b2", seconds=1)
    with connection_count(target) as sampler:
        runs = [crowd.start() for _ in range(100)]
        results = [run.finish(240) for run in runs]
    with capsys.disabled():
        print(f"\n100 runners: a peak of {sampler.peak} connections in {sampler.samples} samples")  # noqa: T201
    assert [result.last for result in results if result.exit_code != 0] == []
    assert journal(target) == ["a1", "b2"]
    assert sampler.samples > 100
    assert sampler.peak <= MOST_CONNECTIONS


@pytest.mark.usefixtures("any_cluster")
def test_a_leader_whose_lock_session_is_terminated_stops_and_commits_nothing(
    migrator: Migrator, project: Project, target: Target
) -> None:
    running = slow_run(migrator, project)
    with target.admin() as session:
        session.execute("SELECT pg_terminate_backend(%s)", (leader(target),))
    result = running.finish(15)
    assert result.exit_code == 34, result.last
    assert (result.last["event"], result.last["exit_name"]) == ("run.finished", "INTERRUPTED_MIDWAY")
    assert "leader lock was lost" in result.last["error"]
    assert (result.last["committed"], result.last["rolled_back"]) == ([], ["a1"])
    assert (journal(target), version(target)) == ([], [])
    assert eventually(
        lambda: (
            not target.rows(
                "SELECT FROM pg_stat_activity WHERE query ~ 'pg_sleep.600' AND pid <> pg_backend_pid()"
            )
        )
    )


def test_a_leader_that_lost_its_lock_between_two_revisions_does_not_go_on(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1", "b2", seconds=1)
    running = migrator.start(MIGRATOR_TRANSACTION="revision")
    running.wait_for_event("revision.started", revision="a1")
    with target.admin() as session:
        session.execute("SELECT pg_terminate_backend(%s)", (leader(target),))
    result = running.finish(15)
    assert result.exit_code == 34, result.last
    assert (journal(target), version(target)) == ([], [])


def test_a_leader_that_lost_its_lock_in_its_last_commit_does_not_open_the_gate(
    migrator: Migrator, project: Project, target: Target
) -> None:
    """The result is only looked at by a leader; one who loses the lock while looking has seen it already."""
    write_journal(project, "a1")
    project.write_revision("b2", upgrade=SLOW_COMMIT)
    running = migrator.start()
    asleep = "SELECT FROM pg_stat_activity WHERE query ILIKE 'COMMIT%' AND wait_event = 'PgSleep'"
    assert eventually(lambda: target.rows(asleep)), running.events
    with target.admin() as session:
        session.execute("SELECT pg_terminate_backend(%s)", (leader(target),))
    result = running.finish(15)
    assert result.exit_code == 34, result.last
    assert "leader lock was lost" in result.last["error"]
    assert (journal(target), version(target)) == (["a1", "b2"], ["b2"])
    assert result.last["committed"] == ["a1", "b2"]
    assert migrator().exit_code == 0
