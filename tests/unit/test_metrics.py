"""Metrics: a pure function of the outcome, with the names of the contract."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from migrator import __version__
from migrator.clock import Stop
from migrator.errors import ExitCode
from migrator.telemetry.metrics import Measured, push, samples

ALWAYS = {
    "migrator_success",
    "migrator_exit_code",
    "migrator_retryable",
    "migrator_duration_seconds",
    "migrator_phase_duration_seconds",
    "migrator_revisions_applied",
    "migrator_revisions_pending",
    "migrator_lock_wait_seconds",
    "migrator_blocked_attempts",
    "migrator_last_run_timestamp_seconds",
    "migrator_info",
}
WITH_A_BACKUP = {
    "migrator_backup_size_bytes",
    "migrator_backup_duration_seconds",
    "migrator_last_backup_timestamp_seconds",
}
CONTRACT = (
    ALWAYS | WITH_A_BACKUP | {"migrator_database_size_bytes", "migrator_last_success_timestamp_seconds"}
)
FINISHED = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


@pytest.fixture
def measured() -> Measured:
    return Measured(
        app="shop",
        database="orders",
        release="1.2",
        outcome="migrated",
        exit_code=ExitCode.OK,
        finished=FINISHED,
        duration_seconds=3.5,
        phases={"wait": 0.5, "migrate": 3.0},
        revisions_applied=2,
        revisions_pending=0,
        lock_wait_seconds=0.25,
        blocked_attempts=1,
        backup_size_bytes=1000,
        backup_duration_seconds=2.0,
        backup_finished=FINISHED - timedelta(seconds=2),
        database_size_bytes=5000,
    )


def names(measured: Measured) -> set[str]:
    return {sample.name for sample in samples(measured)}


def values(measured: Measured) -> dict[str, float]:
    return {sample.name: sample.value for sample in samples(measured) if not sample.labels}


def test_the_names_are_those_of_the_contract(measured: Measured) -> None:
    assert names(measured) == CONTRACT


def test_every_number_is_the_outcomes(measured: Measured) -> None:
    assert values(measured) == {
        "migrator_success": 1,
        "migrator_exit_code": 0,
        "migrator_retryable": 0,
        "migrator_duration_seconds": 3.5,
        "migrator_revisions_applied": 2,
        "migrator_revisions_pending": 0,
        "migrator_lock_wait_seconds": 0.25,
        "migrator_blocked_attempts": 1,
        "migrator_backup_size_bytes": 1000,
        "migrator_backup_duration_seconds": 2,
        "migrator_database_size_bytes": 5000,
        "migrator_last_run_timestamp_seconds": FINISHED.timestamp(),
        "migrator_last_success_timestamp_seconds": FINISHED.timestamp(),
        "migrator_last_backup_timestamp_seconds": FINISHED.timestamp() - 2,
    }


def test_phases_and_what_ran_are_told_apart_by_labels(measured: Measured) -> None:
    labelled = [(sample.name, sample.labels, sample.value) for sample in samples(measured) if sample.labels]
    about = (("release", "1.2"), ("version", __version__), ("outcome", "migrated"))
    assert labelled == [
        ("migrator_phase_duration_seconds", (("phase", "wait"),), 0.5),
        ("migrator_phase_duration_seconds", (("phase", "migrate"),), 3.0),
        ("migrator_info", about, 1.0),
    ]


def test_a_failure_leaves_the_last_success_alone(measured: Measured) -> None:
    failed = replace(measured, exit_code=ExitCode.LEADER_BUSY, outcome="not now")
    assert "migrator_last_success_timestamp_seconds" not in names(failed)
    assert values(failed)["migrator_success"] == 0
    assert values(failed)["migrator_exit_code"] == 31
    assert values(failed)["migrator_retryable"] == 1


def test_what_was_not_measured_is_absent_and_not_zero(measured: Measured) -> None:
    bare = replace(
        measured,
        backup_size_bytes=None,
        backup_duration_seconds=None,
        backup_finished=None,
        database_size_bytes=None,
        exit_code=ExitCode.MIGRATION_FAILED,
    )
    assert names(bare) == ALWAYS


def test_the_same_outcome_gives_the_same_metrics(measured: Measured) -> None:
    assert samples(measured) == samples(replace(measured))


def test_a_gateway_that_cannot_be_reached_is_an_os_error(measured: Measured) -> None:
    with pytest.raises(OSError, match="refused"):
        push("http://127.0.0.1:9", measured, (), Stop())
