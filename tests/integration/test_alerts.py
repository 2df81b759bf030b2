"""The alerts that the documentation ships: `promtool` lets each fire, and keeps it quiet."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.docs import ALERTS, alerts

DAY = 24 * 60
Series = dict[str, str]

# By alert: after how many minutes it is looked at, what lets it fire, and what does not. Time begins at 0.
CASES: dict[str, tuple[int, Series, Series]] = {
    "MigratorFailed": (5, {"migrator_exit_code": "14x10"}, {"migrator_exit_code": "31x10"}),
    "MigratorKeepsFailing": (
        120,
        {"migrator_retryable": "1x120", "migrator_last_success_timestamp_seconds": "0x120"},
        {"migrator_retryable": "1x120", "migrator_last_success_timestamp_seconds": "5400x120"},
    ),
    "MigratorNeverSucceeded": (
        90,
        {"migrator_success": "0x90"},
        {"migrator_success": "0x90", "migrator_last_success_timestamp_seconds": "1x90"},
    ),
    "MigratorRevisionsLeftPending": (
        60,
        {"migrator_revisions_pending": "2x60", "migrator_last_run_timestamp_seconds": "1x60"},
        {"migrator_revisions_pending": "2x60", "migrator_last_run_timestamp_seconds": "3000x60"},
    ),
    "MigratorBlockedByTableLocks": (
        5,
        {"migrator_blocked_attempts": "9x10"},
        {"migrator_blocked_attempts": "2x10"},
    ),
    "MigratorWaitedForAnotherRun": (
        5,
        {"migrator_lock_wait_seconds": "600x10"},
        {"migrator_lock_wait_seconds": "10x10"},
    ),
    "MigratorSlow": (5, {"migrator_duration_seconds": "1000x10"}, {"migrator_duration_seconds": "30x10"}),
    "MigratorPhaseSlow": (
        5,
        {'migrator_phase_duration_seconds{phase="migrate"}': "700x10"},
        {'migrator_phase_duration_seconds{phase="migrate"}': "7x10"},
    ),
    "MigratorChangedWithoutBackup": (
        120,
        {
            "migrator_revisions_applied": "1x120",
            "migrator_duration_seconds": "20x120",
            "migrator_last_run_timestamp_seconds": "6000x120",
            "migrator_last_backup_timestamp_seconds": "60x120",
        },
        {
            "migrator_revisions_applied": "1x120",
            "migrator_duration_seconds": "20x120",
            "migrator_last_run_timestamp_seconds": "6000x120",
            "migrator_last_backup_timestamp_seconds": "5990x120",
        },
    ),
    "MigratorBackupShrank": (
        60,
        {"migrator_backup_size_bytes": "900x30 100x30"},
        {"migrator_backup_size_bytes": "900x30 800x30"},
    ),
    "MigratorBackupSlow": (
        5,
        {"migrator_backup_duration_seconds": "3600x10"},
        {"migrator_backup_duration_seconds": "60x10"},
    ),
    "MigratorDatabaseGrewFast": (
        60,
        {"migrator_database_size_bytes": "100x30 900x30"},
        {"migrator_database_size_bytes": "800x30 900x30"},
    ),
    "MigratorSeveralVersions": (
        8 * DAY,
        {f'migrator_info{{version="{version}"}}': f"1x{8 * DAY}" for version in (1, 2, 3)},
        {f'migrator_info{{version="{version}"}}': f"1x{8 * DAY}" for version in (1, 2)},
    ),
}


def test_every_alert_is_tried() -> None:
    assert set(CASES) == set(alerts())


@pytest.mark.parametrize("alert", CASES)
def test_an_alert_fires_when_it_should_and_not_otherwise(alert: str, tmp_path: Path) -> None:
    minutes, firing, quiet = CASES[alert]
    write_tests(tmp_path / "alerts.json", alert, minutes, {1: firing, 0: quiet})
    done = subprocess.run(
        ["promtool", "test", "rules", "alerts.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def write_tests(path: Path, alert: str, minutes: int, cases: dict[int, Series]) -> None:
    """Write what `promtool` reads (JSON is YAML): so many alerts fire at that time with these series."""
    query = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})'
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [
                {
                    "expr": query,
                    "eval_time": f"{minutes}m",
                    "exp_samples": [{"labels": "{}", "value": count}] if count else [],
                }
            ],
        }
        for count, series in cases.items()
    ]
    path.write_text(json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests}))
