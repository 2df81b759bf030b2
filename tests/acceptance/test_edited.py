"""Revisions that were edited after they were applied: told or refused, and accepted one by one."""

from pathlib import Path

import pytest

from tests.support.journal import journal, write_journal
from tests.support.project import Project
from tests.support.runner import Event, Migrator, Result
from tests.support.target import Target


def edits_told(result: Result) -> tuple[Event, ...]:
    return tuple(event for event in result.named("hazard.found") if "edited" in event["message"])


@pytest.fixture
def edited(migrator: Migrator, project: Project) -> Path:
    """A revision that was applied and then edited, in a release that has one more."""
    write_journal(project, "a1beef", "b2beef")
    assert migrator().exit_code == 0
    path = project.versions / "b2beef_.py"
    path.write_text(path.read_text().replace("'b2beef')\")", "'b2beef (edited)')\")"))
    write_journal(project, "c3beef", begins=False)
    return path


def test_an_edited_revision_is_told_with_its_file(migrator: Migrator, edited: Path, target: Target) -> None:
    result = migrator()
    assert result.exit_code == 0
    (told,) = edits_told(result)
    assert told["level"] == "warning"
    assert f"migrations/versions/{edited.name} (b2beef)" in told["message"]
    assert "a1beef" not in told["message"]
    assert "ledger accept b2beef" in told["remedy"]
    assert journal(target) == ["a1beef", "b2beef", "c3beef"]


def test_an_edited_revision_is_refused_when_told_to_before_anything_is_backed_up(
    migrator: Migrator, edited: Path, target: Target
) -> None:
    result = migrator(MIGRATOR_ON_EDITED="refuse")
    assert result.exit_code == 11, result.last
    assert edited.name in result.last["error"]
    assert "ledger accept b2beef" in result.last["remedy"]
    assert not result.named("backup.started")
    assert journal(target) == ["a1beef", "b2beef"]


@pytest.mark.usefixtures("edited")
def test_an_edit_made_on_purpose_is_accepted_by_the_beginning_of_its_id(
    migrator: Migrator, target: Target
) -> None:
    before = target.value("SELECT digest FROM migrator.revision WHERE id = 'b2beef'")
    accepted = migrator("ledger", "accept", "b2be")
    assert accepted.exit_code == 0, accepted.last
    assert "b2beef" in accepted.last["message"]
    assert target.value("SELECT digest FROM migrator.revision WHERE id = 'b2beef'") != before
    result = migrator(MIGRATOR_ON_EDITED="refuse")
    assert result.exit_code == 0, result.last
    assert not edits_told(result)


def test_a_revision_that_was_only_laid_out_anew_is_not_edited(migrator: Migrator, project: Project) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    path = project.versions / "a1_.py"
    text = path.read_text().replace('"""Upgrade schema."""', "# Make the journal.\n")
    path.write_text(text.replace("op.execute(", "op.execute(  # SQL\n        "))
    write_journal(project, "b2", begins=False)
    result = migrator(MIGRATOR_ON_EDITED="refuse")
    assert result.exit_code == 0, result.last


@pytest.mark.usefixtures("edited")
def test_digests_of_another_algorithm_are_not_compared(migrator: Migrator, target: Target) -> None:
    target.execute("UPDATE migrator.revision SET digest_algorithm = 7")
    result = migrator(MIGRATOR_ON_EDITED="refuse")
    assert result.exit_code == 0, result.last
    assert target.rows("SELECT digest_algorithm FROM migrator.revision ORDER BY id") == [(7,), (7,), (1,)]


@pytest.mark.usefixtures("edited")
def test_without_its_ledger_nothing_is_known_of_edits(migrator: Migrator) -> None:
    result = migrator(MIGRATOR_ON_EDITED="refuse", MIGRATOR_LEDGER="off")
    assert result.exit_code == 0
    assert not edits_told(result)


def test_with_nothing_pending_nobody_looks_for_edits(
    migrator: Migrator, edited: Path, project: Project
) -> None:
    assert edited.exists()
    (project.versions / "c3beef_.py").unlink()
    result = migrator(MIGRATOR_ON_EDITED="refuse")
    assert result.exit_code == 0
    assert not result.named("lock.acquired")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("f00d", "no revision of this release"),
        ("a", "a1beef, a2beef"),
        ("c3beef", "never applied"),
    ],
)
def test_only_a_revision_that_is_recorded_can_be_accepted(
    migrator: Migrator, project: Project, name: str, words: str
) -> None:
    write_journal(project, "a1beef", "a2beef")
    assert migrator().exit_code == 0
    write_journal(project, "c3beef", begins=False)
    result = migrator("ledger", "accept", name)
    assert result.exit_code == 2, result.last
    assert words in result.last["error"]


def test_where_there_is_no_ledger_nothing_is_accepted(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    result = migrator("ledger", "accept", "a1")
    assert result.exit_code == 2
    assert "no ledger" in result.last["error"]
    assert target.value("SELECT to_regnamespace('migrator')") is None
