"""Metrics reach a Pushgateway; a gateway that does not answer changes nothing."""

import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from migrator.demo.cluster import HOST, free_port
from tests.support.journal import journal, version, write_journal
from tests.support.project import Project
from tests.support.pushgateway import Pushgateway
from tests.support.runner import Migrator
from tests.support.target import Target


@pytest.fixture
def hanging_gateway() -> Iterator[str]:
    """A gateway that accepts and never answers."""
    with socket.create_server((HOST, 0)) as server:
        accepted: list[socket.socket] = []

        def accept() -> None:
            try:
                while True:
                    accepted.append(server.accept()[0])
            except OSError:
                return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://{HOST}:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in accepted:
            connection.close()


def test_a_deploy_is_measured(
    migrator: Migrator, project: Project, target: Target, pushgateway: Pushgateway
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    write_journal(project, "b2", "c3", begins=False)
    result = migrator(
        MIGRATOR_PUSHGATEWAY_URL=pushgateway.url,
        MIGRATOR_APP="shop",
        MIGRATOR_RELEASE="v2",
        MIGRATOR_GROUPING="environment=staging",
        MIGRATOR_LOG_LEVEL="debug",
    )
    assert result.exit_code == 0
    assert result.named("metrics.pushed")
    key = {"job": "migrator", "app": "shop", "database": target.database, "environment": "staging"}
    (group,) = pushgateway.groups()
    assert group["labels"] == key
    for name, value in {
        "migrator_success": 1,
        "migrator_exit_code": 0,
        "migrator_retryable": 0,
        "migrator_revisions_applied": 2,
        "migrator_revisions_pending": 0,
        "migrator_backup_size_bytes": result.last["backup"]["size_bytes"],
    }.items():
        assert pushgateway.value(name, **key) == value, name
    assert pushgateway.value("migrator_phase_duration_seconds", phase="migrate") > 0
    assert pushgateway.value("migrator_database_size_bytes") > 1_000_000
    assert pushgateway.value("migrator_info", release="v2", outcome="migrated") == 1
    assert pushgateway.value("migrator_last_success_timestamp_seconds") == pushgateway.value(
        "migrator_last_run_timestamp_seconds"
    )


def test_a_failure_keeps_the_time_of_the_last_success(
    migrator: Migrator, project: Project, pushgateway: Pushgateway
) -> None:
    write_journal(project, "a1")
    assert migrator(MIGRATOR_PUSHGATEWAY_URL=pushgateway.url).exit_code == 0
    succeeded = pushgateway.value("migrator_last_success_timestamp_seconds")
    project.write_revision("b2", upgrade="op.execute('SELECT 1 / 0')")
    assert migrator(MIGRATOR_PUSHGATEWAY_URL=pushgateway.url).exit_code == 14
    assert pushgateway.value("migrator_success") == 0
    assert pushgateway.value("migrator_exit_code") == 14
    assert pushgateway.value("migrator_revisions_pending") == 1
    assert pushgateway.value("migrator_last_success_timestamp_seconds") == succeeded
    assert pushgateway.value("migrator_last_run_timestamp_seconds") > succeeded


def test_a_gateway_that_is_down_is_only_a_warning(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    result = migrator(MIGRATOR_PUSHGATEWAY_URL=f"http://{HOST}:{free_port()}")
    assert result.exit_code == 0
    (warning,) = result.named("metrics.failed")
    assert warning["level"] == "warning"
    assert (result.last["event"], journal(target)) == ("run.finished", ["a1"])


def test_a_gateway_that_hangs_is_a_warning_within_five_seconds(
    migrator: Migrator, project: Project, hanging_gateway: str
) -> None:
    write_journal(project, "a1")
    result = migrator(MIGRATOR_PUSHGATEWAY_URL=hanging_gateway)
    assert result.exit_code == 0
    assert result.named("metrics.failed")
    # What the process takes beyond the run itself: its start, the push, its end.
    assert 4 < result.seconds - result.last["seconds"] < 6.5


def test_a_stop_does_not_wait_for_a_gateway_that_hangs(
    migrator: Migrator, project: Project, target: Target, hanging_gateway: str
) -> None:
    write_journal(project, "a1", seconds=600)
    running = migrator.start(MIGRATOR_PUSHGATEWAY_URL=hanging_gateway)
    running.wait_for_event("revision.started")
    began = time.monotonic()
    running.signal(signal.SIGTERM)
    result = running.finish()
    assert time.monotonic() - began < 4.9
    assert (result.exit_code, version(target)) == (143, [])
    assert result.named("metrics.failed")


def test_waiting_for_postgres_is_no_run_and_pushes_nothing(
    migrator: Migrator, project: Project, pushgateway: Pushgateway, tmp_path: Path
) -> None:
    project.write_revision("a1", upgrade="op.execute('SELECT 1 / 0')")
    assert migrator(MIGRATOR_PUSHGATEWAY_URL=pushgateway.url).exit_code == 14
    log = tmp_path / "termination"
    waited = migrator("wait", MIGRATOR_PUSHGATEWAY_URL=pushgateway.url, MIGRATOR_TERMINATION_LOG=str(log))
    assert waited.exit_code == 0
    assert log.read_text()
    assert pushgateway.value("migrator_success") == 0


def test_a_gateway_that_refuses_is_only_a_warning(
    migrator: Migrator, project: Project, pushgateway: Pushgateway
) -> None:
    write_journal(project, "a1")
    result = migrator(MIGRATOR_PUSHGATEWAY_URL=f"{pushgateway.url}/no/such/path")
    assert result.exit_code == 0
    assert result.named("metrics.failed")
