"""The way back: a backup takes the target's place, or nothing changes and the reason is told."""

import dataclasses
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.support.journal import journal, version, write_journal
from tests.support.project import Project
from tests.support.projects import dump
from tests.support.replay import let_make_databases
from tests.support.runner import Migrator, Result
from tests.support.target import Target
from tests.support.waiting import eventually

OURS = "SELECT datname FROM pg_database WHERE datdba = current_user::regrole ORDER BY 1"


@pytest.fixture
def deployed(migrator: Migrator, project: Project, target: Target) -> Target:
    """A target with one revision and rows, of which there is a backup; the second revision came after it."""
    let_make_databases(target)
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    target.execute("INSERT INTO journal (revision) SELECT md5(n::text) FROM generate_series(1, 1000) n")
    write_journal(project, "b2", begins=False)
    return target


@pytest.fixture
def backed_up(migrator: Migrator, deployed: Target) -> Target:
    """The target after the run that took the backup and applied the second revision."""
    assert migrator().exit_code == 0
    assert version(deployed) == ["b2"]
    return deployed


def databases(target: Target) -> list[str]:
    """Name the databases that the target's owner owns."""
    return [name for (name,) in target.rows(OURS)]


def assert_refused(result: Result, target: Target, *words: str) -> None:
    """See exit 17 with these words, the target as it was, and no database beside it."""
    assert result.exit_code == 17, result.last
    last = result.last
    assert (last["event"], last["exit_name"], last["retryable"]) == ("run.finished", "RECOVERY_FAILED", False)
    assert "nothing was swapped" in last["error"]
    for word in words:
        assert word in f"{last['error']} {last['remedy']}", last
    assert not result.named("database.swapped")
    assert databases(target) == [target.database]
    assert version(target) == ["b2"]
    assert "b2" in journal(target)


def archive(migrator: Migrator) -> Path:
    """Find the one archive there is."""
    (found,) = migrator.backups.rglob("*.dump")
    return found


def test_the_database_is_what_it_was_when_the_backup_was_taken(
    migrator: Migrator, deployed: Target
) -> None:
    before = dump(deployed)
    assert migrator().exit_code == 0
    result = migrator("restore", "latest")
    assert result.exit_code == 0, result.last
    assert dump(deployed) == before
    assert version(deployed) == ["a1"]
    aside = result.last["aside"]
    assert databases(deployed) == sorted([deployed.database, aside])
    old = dataclasses.replace(deployed, database=aside)
    assert version(old) == ["b2"]
    assert result.last["drop"] == f'DROP DATABASE "{aside}"'
    deployed.execute(result.last["drop"])
    assert [event["event"] for event in result.events if event["event"] in STORY] == STORY


STORY = ["lock.acquired", "restore.started", "restore.verified", "database.swapped", "run.finished"]
