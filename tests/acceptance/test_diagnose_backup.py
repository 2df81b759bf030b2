"""Diagnose, backup: whether one could be taken now, and what the last one is worth."""

import shutil
from pathlib import Path

import pytest

from migrator.demo.cluster import free_port
from migrator.diagnosis.checks import backup
from migrator.diagnosis.finding import Finding, Verdict
from tests.support.journal import write_journal
from tests.support.patient import asked, named, patient_of
from tests.support.project import Project
from tests.support.runner import Migrator
from tests.support.servers import Servers
from tests.support.target import Target

FAIL, PASS, WARN = Verdict.FAIL, Verdict.PASS, Verdict.WARN


def answer(migrator: Migrator, id_: str, **environ: str | None) -> Finding:
    """What one check says, in one finding."""
    (found,) = asked(named(backup.CHECKS, id_), patient_of(migrator, **environ))
    return found


def test_a_client_a_destination_and_room_and_after_a_run_a_backup(
    migrator: Migrator, project: Project, target: Target
) -> None:
    target.execute("CREATE TABLE notes AS SELECT 'words'")
    project.write_revision("a1", upgrade="op.execute('SELECT 1')")
    assert migrator().exit_code == 0
    told = {one.id: answer(migrator, one.id) for one in backup.CHECKS}
    assert {found.verdict for found in told.values()} == {PASS}, told
    assert f"for PostgreSQL {target.cluster.binaries.major}" in told["backup.client"].seen
    assert "at no revision, proven by archive" in told["backup.last"].seen
    assert told["backup.last"].facts["age_seconds"] < 60
    assert [one.name for one in migrator.backups.rglob(".probe*")] == []


def test_without_backups_there_is_nothing_to_look_at(migrator: Migrator) -> None:
    for check in backup.CHECKS:
        assert answer(migrator, check.id, MIGRATOR_BACKUP="off").verdict is PASS
        command = '["snapshot"]'
        assert answer(migrator, check.id, MIGRATOR_BACKUP_COMMAND=command).verdict is PASS


def test_a_client_that_is_older_than_the_server(
    migrator: Migrator, target: Target, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = str(servers.cluster(15).binaries.folder)
    found = answer(migrator, "backup.client", MIGRATOR_PG_BIN=older)
    assert found.verdict is FAIL
    assert "15." in found.seen
    monkeypatch.setenv("PATH", str(target.cluster.binaries.folder), prepend=":")
    found = answer(migrator, "backup.client", MIGRATOR_PG_BIN=older)
    name, _, value = found.remedy.removeprefix("export ").partition("=")
    assert answer(migrator, "backup.client", **{name: value}).verdict is PASS


def test_no_destination(migrator: Migrator) -> None:
    for id_ in ("backup.destination", "backup.space", "backup.last"):
        found = answer(migrator, id_, MIGRATOR_BACKUP_URL=None)
        assert (found.verdict, "MIGRATOR_BACKUP=off" in found.remedy) == (FAIL, True)


def test_a_destination_where_nothing_can_be_written(migrator: Migrator, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = answer(migrator, "backup.destination", MIGRATOR_BACKUP_URL=(tmp_path / "file").as_uri())
    assert found.verdict is FAIL
    assert "cannot be written" in found.seen
    assert "MIGRATOR_BACKUP_URL" in found.remedy
    assert answer(migrator, "backup.destination").verdict is PASS


def test_a_destination_without_room(
    migrator: Migrator, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.execute("CREATE TABLE book AS SELECT md5(n::text) title FROM generate_series(1, 20000) n")
    answers = {"least": (FAIL, 100_000), "most": (WARN, 1_200_000), "more": (PASS, 1 << 30)}
    for verdict, left in answers.values():
        monkeypatch.setattr(
            "migrator.backup.stores.files.os.statvfs",
            lambda _, left=left: type("Left", (), {"f_bavail": left, "f_frsize": 1}),
        )
        assert answer(migrator, "backup.space").verdict is verdict


def test_a_database_above_the_limit(migrator: Migrator) -> None:
    found = answer(migrator, "backup.space", MIGRATOR_BACKUP_MAX_SIZE="1000000")
    assert (found.verdict, "above MIGRATOR_BACKUP_MAX_SIZE" in found.seen) == (FAIL, True)
    name, _, value = found.remedy.removeprefix("export ").partition("=")
    assert answer(migrator, "backup.space", **{name: value}).verdict is PASS


def test_no_backup_yet_and_the_remedy_takes_one(migrator: Migrator, project: Project) -> None:
    write_journal(project, "a1")
    found = answer(migrator, "backup.last")
    assert found.verdict is WARN
    assert migrator(*found.remedy.split()[1:]).exit_code == 0
    assert answer(migrator, "backup.last").verdict is PASS


def test_a_backup_older_than_the_last_run_that_changed_something(
    migrator: Migrator, project: Project
) -> None:
    write_journal(project, "a1")
    assert migrator("backup").exit_code == 0
    assert migrator(MIGRATOR_BACKUP="off").exit_code == 0
    found = answer(migrator, "backup.last")
    assert found.verdict is WARN
    assert "a run that changed the database began later" in found.seen
    assert migrator(*found.remedy.split()[1:]).exit_code == 0
    assert answer(migrator, "backup.last").verdict is PASS


def test_a_manifest_that_cannot_be_read(migrator: Migrator, project: Project) -> None:
    write_journal(project, "a1")
    assert migrator("backup").exit_code == 0
    (manifest,) = migrator.backups.rglob("*.manifest.json")
    shutil.copy(manifest, manifest.with_name("other.manifest.json"))
    told = asked(named(backup.CHECKS, "backup.last"), patient_of(migrator))
    assert [one.verdict for one in told] == [WARN, PASS]
    assert migrator("backups", MIGRATOR_LOG_FORMAT="text").exit_code == 0


def test_the_backups_are_looked_at_without_the_server(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    assert migrator("backup").exit_code == 0
    away = target.at(target.host, free_port()).url
    for id_ in ("backup.destination", "backup.last"):
        assert answer(migrator, id_, DATABASE_URL=away).verdict is PASS
