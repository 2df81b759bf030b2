"""`migrator backup`, `migrator backups`, and another program that takes the backup."""

import dataclasses
import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.journal import version, write_journal
from tests.support.project import Project
from tests.support.runner import Migrator, Result
from tests.support.target import Target
from tests.support.waiting import eventually

Ask = Callable[..., Result]
SNAPSHOT = '{"location": "snap-0123", "size_bytes": 12}'


@pytest.fixture(autouse=True)
def deployed(migrator: Migrator, project: Project, target: Target) -> None:
    """A deployed database with some rows, and a second revision to come."""
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    target.execute("INSERT INTO journal (revision) SELECT md5(random()::text) FROM generate_series(1, 2000)")
    write_journal(project, "b2", begins=False)


@pytest.fixture
def ask(migrator: Migrator) -> Ask:
    """Ask what backups there are: facts are printed, and events are not."""

    def run(*arguments: str, **environ: str | None) -> Result:
        given: dict[str, str | None] = {"MIGRATOR_LOG_FORMAT": "text", **environ}
        return migrator("backups", *arguments, timeout=60, **given)

    return run


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], str]:
    """Make `MIGRATOR_BACKUP_COMMAND` of a shell script."""

    def write(body: str) -> str:
        path = tmp_path / "snap.sh"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return json.dumps([str(path), "one argument"])

    return write


@pytest.mark.usefixtures("any_cluster")
def test_a_backup_is_taken_whatever_is_pending_and_changes_nothing(
    migrator: Migrator, target: Target
) -> None:
    result = migrator("backup", MIGRATOR_BACKUP="off")
    assert result.exit_code == 0, result.last
    backup = result.last["backup"]
    assert Path(backup["location"]).stat().st_size == backup["size_bytes"]
    assert (backup["partial"], backup["missing"]) == (False, [])
    assert [event["event"] for event in result.events if event["event"].startswith("backup.")] == [
        "backup.started",
        "backup.taken",
        "backup.verified",
    ]
    assert version(target) == ["a1"]


def test_a_backup_waits_for_the_run_that_leads(migrator: Migrator, target: Target) -> None:
    with target.connect() as holder, holder.transaction():
        holder.execute("LOCK TABLE journal IN ACCESS EXCLUSIVE MODE")
        leader = migrator.start("run", MIGRATOR_BACKUP="off")
        leader.wait_for_event("revision.started")
        result = migrator("backup", MIGRATOR_LEADER_TIMEOUT="1s")
    assert result.exit_code == 31, result.last
    assert leader.finish().exit_code == 0


@pytest.mark.parametrize("command", ["backup", "backups"])
def test_both_ask_where_backups_are_whatever_the_policy_says(migrator: Migrator, command: str) -> None:
    result = migrator(command, MIGRATOR_BACKUP_URL=None, MIGRATOR_BACKUP="off", MIGRATOR_LOG_FORMAT="text")
    assert result.exit_code == 10
    assert "MIGRATOR_BACKUP_URL is missing" in result.stdout + result.stderr


def test_backups_are_listed_newest_first(migrator: Migrator, ask: Ask) -> None:
    first = migrator("backup").last["backup"]
    second = migrator("backup", MIGRATOR_RELEASE="2.0", MIGRATOR_BACKUP_EXCLUDE_DATA="journal").last["backup"]
    lines = ask().stdout.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == [Path(one["location"]).name for one in (second, first)]
    assert "partial, without public.journal" in lines[1]
    assert "a1" in lines[1]
    assert lines[1].endswith("2.0")
    assert "archive" in lines[2]


def test_backups_are_listed_for_programs_without_a_database(
    migrator: Migrator, ask: Ask, target: Target
) -> None:
    taken = migrator("backup").last["backup"]
    lost = f"postgresql://nobody@127.0.0.1:1/{target.database}"
    listed = json.loads(ask("--json", DATABASE_URL=lost).stdout)
    (one,) = listed["backups"]
    assert one["location"] == taken["location"]
    assert (one["heads"], one["verified"], one["partial"]) == (["a1"], "archive", False)
    assert (one["size_bytes"], one["rows"] > 2000) == (taken["size_bytes"], True)
    assert listed["unreadable"] == []


def test_a_manifest_that_cannot_be_read_is_named(migrator: Migrator, ask: Ask) -> None:
    taken = Path(migrator("backup").last["backup"]["location"])
    (taken.parent / "bad.manifest.json").write_text("{")
    result = ask()
    assert result.exit_code == 0
    assert "unreadable: " in result.stdout
    assert "bad.manifest.json" in result.stdout
    assert taken.name in result.stdout


def test_without_any_that_is_said(ask: Ask, migrator: Migrator) -> None:
    shutil.rmtree(migrator.backups)
    assert ask().stdout.startswith("no backups in ")


def test_a_run_with_a_partial_backup_says_so(migrator: Migrator, target: Target) -> None:
    result = migrator(MIGRATOR_BACKUP_EXCLUDE_DATA="public.jour*")
    assert result.exit_code == 0
    assert result.last["backup"]["missing"] == ["public.journal"]
    for event in (*result.named("backup.started"), *result.named("backup.verified")):
        assert "without the rows of public.journal" in event["message"]
    assert version(target) == ["b2"]


def test_a_failure_after_a_partial_backup_says_so(migrator: Migrator, project: Project) -> None:
    project.write_revision("c3", upgrade="raise RuntimeError('no')")
    result = migrator(MIGRATOR_BACKUP_EXCLUDE_DATA="journal", MIGRATOR_LOG_FORMAT="text")
    assert result.exit_code == 14
    assert "(partial: without the rows of public.journal)" in result.stdout.rpartition("backup  ")[2]


def test_a_database_above_the_limit_is_exit_13(migrator: Migrator, target: Target) -> None:
    result = migrator(MIGRATOR_BACKUP_MAX_SIZE="1MB")
    assert result.exit_code == 13
    assert "MIGRATOR_BACKUP_MAX_SIZE" in result.last["error"]
    assert version(target) == ["a1"]


class TestCommand:
    """`MIGRATOR_BACKUP_COMMAND` in place of pg_dump."""

    @pytest.fixture
    def commanding(self, migrator: Migrator) -> Migrator:
        """Neither a place for dumps nor pg_dump is needed."""
        environ = {name: value for name, value in migrator.environ.items() if name != "MIGRATOR_BACKUP_URL"}
        return dataclasses.replace(migrator, environ=environ | {"MIGRATOR_PG_BIN": "/nonexistent"})

    def test_its_location_is_the_backup_of_the_run(
        self, commanding: Migrator, target: Target, script: Callable[[str], str], tmp_path: Path
    ) -> None:
        body = f"cat > {tmp_path}/facts; env > {tmp_path}/environ; echo taking it >&2; echo '{SNAPSHOT}'"
        result = commanding(MIGRATOR_BACKUP_COMMAND=script(body), AWS_SECRET_ACCESS_KEY="its own business")
        assert result.exit_code == 0, result.last
        assert result.last["backup"]["location"] == "snap-0123"
        assert result.last["backup"]["size_bytes"] == 12
        assert (
            target.value("SELECT backup_location FROM migrator.run ORDER BY started_at DESC LIMIT 1")
            == "snap-0123"
        )
        assert [event["message"] for event in result.named("output.captured") if event.get("by")] == [
            "taking it"
        ]
        facts = json.loads((tmp_path / "facts").read_text())
        assert (facts["database"], facts["host"], facts["port"]) == (
            target.database,
            target.host,
            target.port,
        )
        assert (facts["heads"], facts["run_id"]) == (["a1"], result.last["run_id"])
        assert facts["database_size_bytes"] > 1_000_000
        assert facts["lsn"]
        environ = (tmp_path / "environ").read_text()
        assert target.password not in environ + json.dumps(facts)
        assert "AWS_SECRET_ACCESS_KEY=its own business" in environ
        assert version(target) == ["b2"]

    @pytest.mark.parametrize("body", ["exit 1", "echo done", "kill -9 $$"])
    def test_one_that_fails_is_exit_33(
        self, commanding: Migrator, target: Target, script: Callable[[str], str], body: str
    ) -> None:
        result = commanding(MIGRATOR_BACKUP_COMMAND=script(body))
        assert (result.exit_code, result.last["exit_name"]) == (33, "BACKUP_FAILED")
        assert result.last["backup"] is None
        assert version(target) == ["a1"]

    def test_one_that_takes_too_long_is_exit_33(
        self, commanding: Migrator, target: Target, script: Callable[[str], str]
    ) -> None:
        result = commanding(
            MIGRATOR_BACKUP_COMMAND=script("exec sleep 60"), MIGRATOR_BACKUP_COMMAND_TIMEOUT="1s"
        )
        assert result.exit_code == 33
        assert "did not take the backup within 1 s" in result.last["error"]
        assert version(target) == ["a1"]

    def test_one_that_is_not_there_is_exit_13(self, commanding: Migrator, target: Target) -> None:
        result = commanding(MIGRATOR_BACKUP_COMMAND='["/no/such/program"]')
        assert result.exit_code == 13
        assert version(target) == ["a1"]

    def test_sigterm_ends_it_and_what_it_started(
        self, commanding: Migrator, target: Target, script: Callable[[str], str], tmp_path: Path
    ) -> None:
        body = f'sleep 60 & echo $! > {tmp_path}/child; trap "" TERM; wait; sleep 60'
        running = commanding.start(MIGRATOR_BACKUP_COMMAND=script(body))
        child = tmp_path / "child"
        assert eventually(lambda: child.exists() and child.read_text().strip())
        began = time.monotonic()
        running.signal(signal.SIGTERM)
        assert running.finish().exit_code == 143
        assert time.monotonic() - began < 10
        assert eventually(lambda: not Path(f"/proc/{child.read_text().strip()}").exists())
        assert version(target) == ["a1"]

    def test_backup_uses_it_too(self, commanding: Migrator, script: Callable[[str], str]) -> None:
        result = commanding("backup", MIGRATOR_BACKUP_COMMAND=script(f"echo '{SNAPSHOT}'"))
        assert result.exit_code == 0
        assert result.last["message"] == "backup taken: snap-0123"
