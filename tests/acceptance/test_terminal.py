"""Commands on a real terminal, with a real database behind them."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.journal import write_journal
from tests.support.project import Project
from tests.support.runner import REPOSITORY, Migrator
from tests.support.target import Target
from tests.support.terminal import Shown, show_on_terminal

See = Callable[..., Shown]


@pytest.fixture
def see(migrator: Migrator, project: Project) -> See:
    """Run a command on a terminal of 60 columns."""

    def see(*words: str, **environ: str) -> Shown:
        given = {**migrator.environ, "MIGRATOR_LOG_FORMAT": "auto", **environ}
        command: list[str | Path] = [sys.executable, REPOSITORY / "entrypoint.py", *words]
        return show_on_terminal(command, 60, given, project.folder)

    return see


def unbroken(shown: Shown) -> list[str]:
    """The lines that a terminal of 60 columns has to fold: none but those of one long word."""
    return [line for line in shown.lines if len(line) > 60 and len(line.split()) > 3]


def test_a_deploy_on_a_narrow_terminal(see: See, project: Project) -> None:
    write_journal(project, "a1")
    shown = see()
    assert shown.exit_code == 0
    assert shown.has_colours
    assert unbroken(shown) == []
    assert "    next         the application may start" in shown.lines
    assert shown.lines[-1] == "─" * 60


def test_a_failed_deploy_says_why_what_stays_and_what_to_do_and_has_no_traceback(
    see: See, project: Project
) -> None:
    write_journal(project, "a1")
    project.write_revision("b2", upgrade="op.execute('ALTER TABLE nowhere ADD x int')")
    shown = see(NO_COLOR="1")
    assert shown.exit_code == 14
    assert not shown.has_styles
    text = "\n".join(shown.lines)
    for told in ("✗ MIGRATION_FAILED: revision b2 failed: ", "statement  ", "committed  ", "rolled back  "):
        assert told in text
    assert "what to do   correct the revision or the data it met" in text
    assert "Traceback" not in text


def test_status_on_a_narrow_terminal(see: See, migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    assert migrator(MIGRATOR_RELEASE="1.3").exit_code == 0
    project.write_revision("b2", upgrade="raise ValueError('no way ' * 12)")
    assert migrator(MIGRATOR_RELEASE="1.4").exit_code == 14
    shown = see("status")
    assert shown.exit_code == 0
    assert unbroken(shown) == []
    assert any(line.startswith(f"database   {target.database} on ") for line in shown.lines)
    assert "state      pending: at a1, to reach b2" in shown.lines
    assert any(line.startswith(" " * 13) and "no way" in line for line in shown.lines)


def test_backups_on_a_narrow_terminal(see: See, migrator: Migrator, project: Project) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    taken = migrator("backup").last["backup"]
    shown = see("backups")
    assert shown.exit_code == 0
    assert unbroken(shown) == []
    assert Path(taken["location"]).name in shown.lines
    assert "  proven by  archive" in shown.lines


def test_a_deploy_with_nothing_to_do_imports_no_rich(migrator: Migrator, project: Project) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    result = migrator(PYTHONPROFILEIMPORTTIME="1")
    assert (result.exit_code, result.last["outcome"]) == (0, "nothing to do")
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "migrator.run" in imported
    assert "rich" not in imported
