"""Exit 130, 143 and 36: told to stop, the run stops within seconds and leaves nothing running or locked."""

import dataclasses
import os
import signal
import time
from pathlib import Path

import pytest

from migrator.demo.cluster import free_port
from tests.support.clients import fake_pg_dump
from tests.support.journal import journal, version, write_journal
from tests.support.processes import children, worker_of
from tests.support.project import Project
from tests.support.proxy import TcpProxy
from tests.support.runner import REPOSITORY, Migrator
from tests.support.stopping import (
    OURS,
    PATIENCE_SECONDS,
    assert_nothing_goes_on,
    assert_stopped,
    both_signals,
    in_a_long_statement,
    told_to_stop,
)
from tests.support.target import Target
from tests.support.waiting import eventually

# A name server that hears everything and never answers.
SILENT = """
import os, socket, subprocess, sys
subprocess.run(["mount", "--bind", {resolv!r}, "/etc/resolv.conf"], check=True)
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.77", 53))
server.set_inheritable(True)
os.execv(sys.executable, [sys.executable, {entrypoint!r}])
"""

# As in a container without an init: the entrypoint is PID 1 of a namespace of its own.
PID_1 = """
import os, sys
root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
os.execvp("unshare", ["unshare", *root, "--pid", "--fork", "--mount-proc", sys.executable, {entrypoint!r}])
"""


@both_signals
def test_while_waiting_for_postgres(
    migrator: Migrator, project: Project, target: Target, number: signal.Signals
) -> None:
    write_journal(project, "a1")
    running = migrator.start(DATABASE_URL=target.at(target.host, free_port()).url)
    running.wait_for_event("wait.attempted", attempt=2)
    told_to_stop(running, number)


def test_while_a_server_accepts_and_never_answers(
    migrator: Migrator, project: Project, target: Target, tcp_proxy: TcpProxy
) -> None:
    write_journal(project, "a1")
    tcp_proxy.stall()
    running = migrator.start(DATABASE_URL=target.at(tcp_proxy.host, tcp_proxy.port).url)
    assert eventually(lambda: tcp_proxy.connections)
    told_to_stop(running, signal.SIGTERM)


@both_signals
def test_while_waiting_for_the_leader(
    migrator: Migrator, project: Project, target: Target, number: signal.Signals
) -> None:
    write_journal(project, "a1")
    with target.connect() as other:
        other.execute("SELECT pg_advisory_lock(1296519764, 1)")
        running = migrator.start()
        running.wait_for_event("lock.waited")
        told_to_stop(running, number)
    assert version(target) == []


def test_a_worker_that_ignores_its_runner_is_ended_all_the_same(
    migrator: Migrator, project: Project, target: Target
) -> None:
    project.write_revision(
        "a1", upgrade="import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)"
    )
    running = migrator.start()
    running.wait_for_event("revision.started")
    worker = worker_of(running.pid)
    told_to_stop(running, signal.SIGTERM)
    assert worker is not None
    assert not Path(f"/proc/{worker}").exists()
    assert_nothing_goes_on(target)


def test_a_revision_that_swallows_the_cancellation_does_not_commit(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    project.write_revision(
        "b2",
        upgrade="""
            while True:
                try:
                    with op.get_bind().begin_nested():
                        op.execute("SELECT pg_sleep(600)")
                except Exception:
                    pass
        """,
    )
    running = migrator.start()
    in_a_long_statement(target, running)
    told_to_stop(running, signal.SIGTERM)
    assert (journal(target), version(target)) == ([], [])
    assert_nothing_goes_on(target)


@both_signals
def test_during_the_backup(
    migrator: Migrator, project: Project, target: Target, number: signal.Signals
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    write_journal(project, "b2", begins=False)
    with target.connect() as other, other.transaction():
        other.execute("LOCK TABLE journal IN ACCESS EXCLUSIVE MODE")
        running = migrator.start()
        running.wait_for_event("backup.started")
        assert eventually(lambda: "migrator" in str(target.rows(f"{OURS} AND wait_event_type = 'Lock'")))
        told_to_stop(running, number)
    assert_nothing_goes_on(target)
    assert version(target) == ["a1"]
    assert not [path for path in migrator.backups.rglob("*") if path.is_file()]


def test_during_a_backup_whose_program_hangs(
    migrator: Migrator, project: Project, target: Target, tmp_path: Path
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    write_journal(project, "b2", begins=False)
    clients = fake_pg_dump(
        tmp_path / "clients", target.cluster.binaries, "trap '' TERM; while :; do sleep 1; done"
    )
    running = migrator.start(MIGRATOR_PG_BIN=clients)
    running.wait_for_event("backup.started")
    told_to_stop(running, signal.SIGTERM)
    assert_nothing_goes_on(target)


def test_while_the_ledger_waits_for_a_lock(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    write_journal(project, "b2", seconds=600, begins=False)
    with target.connect() as other, other.transaction():
        other.execute("LOCK TABLE migrator.run IN ACCESS EXCLUSIVE MODE")
        running = migrator.start(MIGRATOR_BACKUP="off")
        assert eventually(lambda: target.rows(f"{OURS} AND wait_event_type = 'Lock'"))
        told_to_stop(running, signal.SIGTERM)
    assert_nothing_goes_on(target)
    assert version(target) == ["a1"]


def test_as_pid_1(migrator: Migrator, project: Project, target: Target, tmp_path: Path) -> None:
    write_journal(project, "a1", seconds=600)
    script = tmp_path / "pid_1.py"
    script.write_text(PID_1.format(entrypoint=str(REPOSITORY / "entrypoint.py")))
    contained = dataclasses.replace(migrator, script=script)
    running = contained.start()
    in_a_long_statement(target, running)
    (runner,) = children(running.pid)
    began = time.monotonic()
    os.kill(runner, signal.SIGTERM)
    result = running.finish(20)
    assert time.monotonic() - began < PATIENCE_SECONDS
    assert_stopped(result, signal.SIGTERM)
    assert_nothing_goes_on(target)
    assert version(target) == []


def test_a_second_signal_does_not_cut_the_cleaning_up_short(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1", seconds=600)
    running = migrator.start()
    in_a_long_statement(target, running)
    running.signal(signal.SIGTERM)
    time.sleep(0.1)
    running.signal(signal.SIGTERM)
    running.signal(signal.SIGINT)
    assert_stopped(running.finish(PATIENCE_SECONDS), signal.SIGTERM)
    assert_nothing_goes_on(target)


@pytest.mark.usefixtures("any_cluster")
def test_the_deadline_ends_a_long_statement(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1", seconds=600)
    result = migrator(MIGRATOR_DEADLINE="6s", timeout=60)
    assert result.exit_code == 36, result.last
    assert (result.last["event"], result.last["exit_name"]) == ("run.finished", "DEADLINE")
    assert "MIGRATOR_DEADLINE" in result.last["error"]
    assert (result.last["committed"], result.last["rolled_back"]) == ([], ["a1"])
    assert result.seconds < 6 + PATIENCE_SECONDS
    assert_nothing_goes_on(target)
    assert version(target) == []


def test_the_deadline_also_ends_waiting_for_postgres(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    result = migrator(DATABASE_URL=target.at(target.host, free_port()).url, MIGRATOR_DEADLINE="1s")
    assert result.exit_code == 36
    assert result.seconds < PATIENCE_SECONDS


def test_while_the_network_swallows_everything_midway(
    migrator: Migrator, project: Project, target: Target, tcp_proxy: TcpProxy
) -> None:
    write_journal(project, "a1", seconds=600)
    running = migrator.start(DATABASE_URL=target.at(tcp_proxy.host, tcp_proxy.port).url)
    in_a_long_statement(target, running)
    tcp_proxy.stall()
    told_to_stop(running, signal.SIGTERM)
    tcp_proxy.close()
    assert eventually(lambda: not target.rows(OURS))
    assert version(target) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may put another name server in place")
def test_while_a_name_server_never_answers(
    migrator: Migrator, project: Project, target: Target, tmp_path: Path
) -> None:
    write_journal(project, "a1")
    resolv, inner, script = tmp_path / "resolv.conf", tmp_path / "inner.py", tmp_path / "silent.py"
    resolv.write_text("nameserver 127.0.0.77\n")
    inner.write_text(SILENT.format(resolv=str(resolv), entrypoint=str(REPOSITORY / "entrypoint.py")))
    script.write_text(
        f"import os, sys\nos.execvp('unshare', ['unshare', '--mount', sys.executable, {str(inner)!r}])\n"
    )
    url = target.at("postgres.example.internal", 5432).url
    running = dataclasses.replace(migrator, script=script).start(DATABASE_URL=url)
    # The name is looked up by a second thread.
    assert eventually(lambda: len(list(Path(f"/proc/{running.pid}/task").iterdir())) > 1)
    told_to_stop(running, signal.SIGTERM)
