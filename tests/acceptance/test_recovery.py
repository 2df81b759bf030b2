"""Every recipe of docs/recovery.md, followed as it is written there."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.support.journal import version
from tests.support.project import Project
from tests.support.replay import forget_version, let_make_databases
from tests.support.runner import REPOSITORY, Migrator, Result
from tests.support.target import Target

PAGE: Final = (REPOSITORY / "docs" / "recovery.md").read_text()
COMMANDS: Final = frozenset(re.findall(r"(?:`|\$ )migrator ([^`\n]+)", PAGE))
SHELF: Final = "op.create_table('shelf', sa.Column('id', sa.Integer, primary_key=True))"

# What to type, in the words of the page; its placeholders are given by name.
Follow = Callable[..., Result]


@pytest.fixture
def follow(migrator: Migrator) -> Follow:
    """Type a command of the page, and see it succeed."""

    def typed(command: str, **names: str) -> Result:
        assert command in COMMANDS, "nobody is told to type this"
        format_ = "text" if command in {"status", "backups"} else "json"
        words = [names.get(word, word) for word in command.split()]
        result = migrator(*words, MIGRATOR_LOG_FORMAT=format_)
        assert result.exit_code == 0, result.stdout
        return result

    return typed


@pytest.fixture(autouse=True)
def deployed(migrator: Migrator, project: Project, target: Target) -> None:
    """A database at the second of two revisions, each of which knows its way back."""
    let_make_databases(target)
    project.write_revision("a1", upgrade=SHELF, downgrade="op.drop_table('shelf')")
    project.write_revision(
        "b2",
        upgrade="op.execute('CREATE VIEW all_ AS TABLE shelf')",
        downgrade="op.execute('DROP VIEW all_')",
    )
    assert migrator().exit_code == 0


def shelf(target: Target) -> list[int]:
    return [id_ for (id_,) in target.rows("SELECT id FROM shelf ORDER BY 1")]


def test_no_command_on_the_page_is_without_a_test() -> None:
    assert set(re.findall(r"\bfollow\(\"([^\"]+)\"", Path(__file__).read_text())) == COMMANDS


def test_status_tells_where_the_database_stands(follow: Follow) -> None:
    assert "b2" in follow("status").stdout


def test_tables_without_a_version_get_the_one_that_is_proven(follow: Follow, target: Target) -> None:
    forget_version(target)
    follow("adopt --stamp")
    assert version(target) == ["b2"]


def test_a_version_that_somebody_knows_is_recorded_with_how_the_schema_differs(
    follow: Follow, target: Target
) -> None:
    forget_version(target)
    target.execute("ALTER TABLE shelf ADD COLUMN by_hand text")
    result = follow("adopt --at REV --accept-differences", REV="b2")
    assert "by_hand" in result.stdout
    assert version(target) == ["b2"]


def test_one_revision_is_taken_back(follow: Follow, target: Target) -> None:
    follow("rollback --steps 1")
    assert version(target) == ["a1"]


def test_all_above_a_revision_is_taken_back(
    follow: Follow, migrator: Migrator, project: Project, target: Target
) -> None:
    project.write_revision(
        "c3",
        upgrade="op.execute('CREATE VIEW more AS TABLE shelf')",
        downgrade="op.execute('DROP VIEW more')",
    )
    assert migrator().exit_code == 0
    follow("rollback --to REV", REV="a1")
    assert version(target) == ["a1"]


def test_all_is_taken_back_and_brought_up_again(follow: Follow, target: Target) -> None:
    follow("rollback --to base")
    assert version(target) == []
    follow("run")
    assert version(target) == ["b2"]


def test_what_was_backed_up_before_something_risky_comes_back(follow: Follow, target: Target) -> None:
    target.execute("INSERT INTO shelf VALUES (1)")
    follow("backup")
    target.execute("DROP VIEW all_; ALTER TABLE shelf DROP COLUMN id; CREATE TABLE debris (id int)")
    assert "b2" in follow("backups").stdout
    follow("restore latest")
    assert shelf(target) == [1]
    assert target.value("SELECT to_regclass('debris')") is None


def test_a_database_that_is_gone_comes_back_into_an_empty_one(follow: Follow, target: Target) -> None:
    target.execute("INSERT INTO shelf VALUES (1)")
    follow("backup")
    beside = dataclasses.replace(target, database="postgres")
    beside.execute(f"DROP DATABASE {target.database}; ")
    beside.execute(f"CREATE DATABASE {target.database}")
    follow("restore latest")
    assert (shelf(target), version(target)) == ([1], ["b2"])


def test_a_backup_is_looked_at_beside_the_database(follow: Follow, target: Target) -> None:
    target.execute("INSERT INTO shelf VALUES (1)")
    follow("backup")
    target.execute("DELETE FROM shelf")
    follow("restore latest --into NAME", NAME=f"{target.database}_look")
    assert shelf(dataclasses.replace(target, database=f"{target.database}_look")) == [1]
    assert shelf(target) == []


def test_a_failure_that_was_corrected_is_tried_again(
    follow: Follow, migrator: Migrator, project: Project, target: Target
) -> None:
    project.write_revision("c3", upgrade="op.execute('INSERT INTO shelf SELECT 1 / count(*) FROM shelf')")
    assert migrator().exit_code == 14
    target.execute("INSERT INTO shelf VALUES (7)")
    follow("run --retry")
    assert version(target) == ["c3"]


def test_an_edit_made_on_purpose_is_told_no_more(
    follow: Follow, migrator: Migrator, project: Project
) -> None:
    path = project.versions / "b2_.py"
    path.write_text(path.read_text().replace("TABLE shelf", "SELECT id FROM shelf"))
    follow("ledger accept REV", REV="b2")
    project.write_revision("c3")
    assert not [event for event in migrator().named("hazard.found") if "edited" in event["message"]]
