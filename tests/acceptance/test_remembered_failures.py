"""What failed for good is not tried again at once: a platform restarts its containers, and a dump costs."""

import dataclasses

import pytest

from tests.support.journal import journal, version, write_journal
from tests.support.project import Project
from tests.support.runner import Migrator, Result
from tests.support.target import Target

FAILS = "raise RuntimeError('it broke')"


def assert_remembered(result: Result, first: Result) -> None:
    """See the same failure again, without anything done for it."""
    last = result.last
    assert (result.exit_code, last["event"]) == (first.exit_code, "run.finished"), last
    assert last["exit_name"] == first.last["exit_name"]
    assert first.last["error"] in last["error"]
    assert first.last["remedy"] in last["remedy"]
    assert "--retry" in last["remedy"]
    assert (last["remembered_run"], last["outcome"]) == (first.last["run_id"], first.last["outcome"])
    assert last["remembered_at"] < last["retried_from"]
    assert last["state"] == first.last["state"]
    assert not result.named("backup.started")
    assert not result.named("revision.started")


def assert_tried(result: Result, exit_code: int = 14) -> None:
    """See that it was tried again."""
    assert result.exit_code == exit_code, result.last
    assert result.named("revision.started")
    assert "remembered_run" not in result.last


@pytest.fixture
def failed(migrator: Migrator, project: Project, target: Target) -> Result:
    """A run that failed after a backup."""
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    project.write_revision("b2", upgrade=FAILS)
    result = migrator()
    assert (result.exit_code, version(target)) == (14, ["a1"])
    assert result.named("backup.verified")
    return result


def test_a_failure_is_remembered_without_another_dump(
    migrator: Migrator, failed: Result, target: Target
) -> None:
    for _ in range(2):
        assert_remembered(migrator(MIGRATOR_LOG_LEVEL="debug"), failed)
    assert len(list(migrator.backups.rglob("*.dump"))) <= 1
    assert target.value("SELECT count(*) FROM migrator.run") == 2, "a run that did nothing is none"
    assert journal(target) == ["a1"]


def test_the_first_deploy_of_a_database_is_remembered_too(
    migrator: Migrator, project: Project, target: Target
) -> None:
    project.write_revision("a1", upgrade=FAILS)
    first = migrator()
    assert first.exit_code == 14
    assert_remembered(migrator(), first)
    assert version(target) == []


def test_retry_tries_again(migrator: Migrator, failed: Result) -> None:
    assert failed.exit_code == 14
    assert_tried(migrator("run", "--retry"))
    again = migrator()
    assert (again.exit_code, again.last["remembered_run"] == failed.last["run_id"]) == (14, False)


def test_nothing_is_remembered_for_no_time(migrator: Migrator, failed: Result) -> None:
    assert failed.exit_code == 14
    assert_tried(migrator(MIGRATOR_REMEMBER_FAILURE="0"))


def test_a_failure_is_forgotten_by_the_clock_of_the_database(
    migrator: Migrator, failed: Result, target: Target
) -> None:
    assert failed.exit_code == 14
    target.execute("UPDATE migrator.run SET finished_at = finished_at - interval '11 minutes'")
    assert_tried(migrator())


def test_another_release_is_tried(
    migrator: Migrator, failed: Result, project: Project, target: Target
) -> None:
    assert failed.exit_code == 14
    path = project.versions / "b2_.py"
    path.write_text(path.read_text().replace(FAILS, "pass"))
    assert_tried(migrator(), exit_code=0)
    assert version(target) == ["b2"]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("MIGRATOR_RELEASE", "mended"),
        ("MIGRATOR_TRANSACTION", "revision"),
        ("MIGRATOR_STATEMENT_TIMEOUT", "1h"),
        ("MIGRATOR_ALEMBIC_X", "b=ok"),
    ],
)
def test_who_changed_a_setting_need_not_wait(
    migrator: Migrator, failed: Result, setting: str, value: str
) -> None:
    assert failed.exit_code == 14
    environ = {**migrator.environ, setting: value}
    assert_tried(dataclasses.replace(migrator, environ=environ)())


def test_other_version_rows_are_another_matter(
    migrator: Migrator, failed: Result, project: Project, target: Target
) -> None:
    assert failed.exit_code == 14
    target.execute("DELETE FROM alembic_version; DROP TABLE journal")
    assert project.folder.exists()
    assert_tried(migrator())


def test_a_run_that_was_killed_in_between_is_tried_again(
    migrator: Migrator, failed: Result, target: Target
) -> None:
    assert failed.exit_code == 14
    target.execute(
        "INSERT INTO migrator.run (id, app, release, started_at, heads_before, circumstances) "
        "SELECT 'killed', app, release, clock_timestamp(), heads_before, circumstances "
        "FROM migrator.run WHERE exit_code = 14"
    )
    assert_tried(migrator())


def test_what_was_left_half_way_is_remembered_from_there(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1", "b2")
    project.write_revision("c3", upgrade=FAILS)
    first = migrator(MIGRATOR_TRANSACTION="revision")
    assert (first.exit_code, version(target)) == (14, ["b2"])
    second = migrator(MIGRATOR_TRANSACTION="revision")
    assert second.exit_code == 14
    assert "remembered_run" in second.last
    assert second.last["heads_before"] == ["b2"]


def test_what_time_may_cure_is_never_remembered(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    project.write_revision("b2", upgrade="op.execute('ALTER TABLE journal ADD COLUMN more text')")
    with target.connect() as other:
        other.execute("BEGIN; LOCK journal IN ACCESS SHARE MODE")
        assert migrator(MIGRATOR_LOCK_PATIENCE="0s", MIGRATOR_BACKUP="off").exit_code == 32
    assert_tried(migrator(MIGRATOR_LOCK_PATIENCE="0s", MIGRATOR_BACKUP="off"), exit_code=0)


def test_without_a_ledger_nothing_is_remembered(migrator: Migrator, project: Project) -> None:
    project.write_revision("a1", upgrade=FAILS)
    for _ in range(2):
        assert_tried(migrator(MIGRATOR_LEDGER="off"))
