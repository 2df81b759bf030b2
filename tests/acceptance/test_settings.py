"""Exit 2 and 10: a wrong command line, missing or nonsensical settings; exit 1: a damaged installation."""

import json
from pathlib import Path

import pytest

from tests.support.journal import journal, write_journal
from tests.support.project import Project
from tests.support.runner import Migrator
from tests.support.target import Target


@pytest.mark.parametrize(
    "arguments", [("rnu",), ("run", "--no-such-flag"), ("run", "extra"), ("run", "--target")]
)
def test_a_wrong_command_line_is_exit_2(migrator: Migrator, arguments: tuple[str, ...]) -> None:
    result = migrator(*arguments)
    assert result.exit_code == 2
    assert "migrator --help" in result.stderr


def test_all_problems_are_listed_at_once_and_the_last_event_is_run_finished(
    migrator: Migrator, tmp_path: Path
) -> None:
    log = tmp_path / "termination"
    result = migrator(
        DATABASE_URL="mysql://root@localhost/shop",
        MIGRATOR_WAIT_TIMEOUT="soon",
        MIGRATOR_LOCK_TIMEUOT="3s",
        MIGRATOR_BACKUP_URL=None,
        MIGRATOR_TERMINATION_LOG=str(log),
    )
    assert result.exit_code == 10
    assert result.last["event"] == "run.finished"
    assert result.last["exit_name"] == "SETTINGS_INVALID"
    told = "\n".join(result.last["problems"])
    for name in ("DATABASE_URL", "MIGRATOR_WAIT_TIMEOUT", "MIGRATOR_LOCK_TIMEUOT", "MIGRATOR_BACKUP=off"):
        assert name in told
    assert len(result.last["problems"]) == 4
    message = json.loads(log.read_text())
    assert message["exit_code"] == 10
    assert "MIGRATOR_WAIT_TIMEOUT" in message["error"]


def test_no_settings_at_all_are_exit_10(migrator: Migrator) -> None:
    result = migrator(DATABASE_URL=None, MIGRATOR_BACKUP_URL=None)
    assert result.exit_code == 10
    assert len(result.last["problems"]) == 2


def test_a_project_without_alembic_is_exit_10(migrator: Migrator, project: Project) -> None:
    (project.folder / "alembic.ini").unlink()
    result = migrator()
    assert result.exit_code == 10
    assert result.last["event"] == "run.finished"


def test_a_flag_wins_over_a_variable(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1", "b2")
    result = migrator("run", "--target", "a1", MIGRATOR_TARGET="nonsense")
    assert result.exit_code == 0
    assert journal(target) == ["a1"]


def test_an_unknown_setting_of_another_release_is_only_a_warning(
    migrator: Migrator, project: Project
) -> None:
    write_journal(project, "a1")
    result = migrator(MIGRATOR_FLUX_CAPACITOR="on", MIGRATOR_SERVICE_HOST="10.0.0.1")
    assert result.exit_code == 0
    (warning,) = result.named("hazard.found")
    assert "MIGRATOR_FLUX_CAPACITOR" in warning["message"]


def test_the_url_may_come_from_a_file(migrator: Migrator, project: Project, tmp_path: Path) -> None:
    write_journal(project, "a1")
    secret = tmp_path / "url"
    secret.write_text(f"{migrator.environ['DATABASE_URL']}\n")
    result = migrator(DATABASE_URL=None, DATABASE_URL_FILE=str(secret))
    assert result.exit_code == 0
    assert result.last["heads_after"] == ["a1"]


def test_the_address_may_come_from_libpqs_variables(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    result = migrator(
        DATABASE_URL=None,
        PGHOST=target.host,
        PGPORT=str(target.port),
        PGUSER=target.user,
        PGPASSWORD=target.password,
        PGDATABASE=target.database,
    )
    assert result.exit_code == 0
    assert journal(target) == ["a1"]


def test_success_also_writes_the_termination_message(
    migrator: Migrator, project: Project, tmp_path: Path
) -> None:
    write_journal(project, "a1")
    log = tmp_path / "termination"
    assert migrator(MIGRATOR_TERMINATION_LOG=str(log)).exit_code == 0
    (line,) = log.read_text().splitlines()
    assert json.loads(line)["heads_after"] == ["a1"]
    assert len(log.read_bytes()) <= 4096


def test_a_damaged_installation_is_exit_1_and_still_ends_with_run_finished(
    migrator: Migrator, project: Project, tmp_path: Path
) -> None:
    write_journal(project, "a1")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "psycopg.py").write_text("raise ImportError('no pq wrapper available')\n")
    result = migrator(PYTHONPATH=str(broken))
    assert result.exit_code == 1
    assert result.last["event"] == "run.finished"
    assert result.last["exit_name"] == "INTERNAL_ERROR"
    assert "no pq wrapper available" in result.last["traceback"]


def test_a_timeout_that_is_no_number_is_exit_10(migrator: Migrator, target: Target) -> None:
    result = migrator("wait", DATABASE_URL=f"{target.url}?connect_timeout=abc")
    assert result.exit_code == 10
    assert "connect_timeout" in result.last["error"]
