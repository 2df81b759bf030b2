"""Exit 0: a first deploy, one with nothing to do, one with new revisions."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from migrator.demo.cluster import Cluster
from tests.support.journal import journal, version, write_journal
from tests.support.project import Project
from tests.support.runner import Migrator
from tests.support.target import Target

pytestmark = pytest.mark.usefixtures("any_cluster")


def test_a_fresh_database_gets_every_revision_and_no_backup(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1", "b2", "c3")
    result = migrator()
    assert result.exit_code == 0
    assert result.stderr == ""
    assert (journal(target), version(target)) == (["a1", "b2", "c3"], ["c3"])
    assert [event["revision"] for event in result.named("revision.applied")] == ["a1", "b2", "c3"]
    assert result.named("backup.skipped")[0]["reason"] == "the database is empty"
    assert result.last["event"] == "run.finished"
    assert result.last["outcome"] == "migrated"
    assert (result.last["heads_before"], result.last["heads_after"]) == ([], ["c3"])
    assert result.last["revisions_applied"] == ["a1", "b2", "c3"]
    assert not any(migrator.backups.rglob("*.dump"))


def test_a_second_deploy_has_nothing_to_do_and_starts_no_worker(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1", "b2")
    assert migrator().exit_code == 0
    # Whoever imported the project's code now would notice.
    project.write("migrations/env.py", project_env_that_explodes(project))
    result = migrator(MIGRATOR_LOG_LEVEL="debug")
    assert result.exit_code == 0
    assert result.last["outcome"] == "nothing to do"
    assert (result.last["heads_before"], result.last["heads_after"]) == (["b2"], ["b2"])
    assert not {event["event"] for event in result.events} & {"lock.acquired", "attempt.started", "plan.made"}
    assert journal(target) == ["a1", "b2"]


def project_env_that_explodes(project: Project) -> str:
    return (
        project.folder / "migrations" / "env.py"
    ).read_text() + "\nraise SystemExit('user code was run')\n"


def test_new_revisions_are_applied_after_a_proven_backup(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    target.execute("INSERT INTO journal (revision) VALUES ('a precious row')")
    write_journal(project, "b2", "c3", begins=False)
    result = migrator()
    assert result.exit_code == 0
    assert version(target) == ["c3"]
    assert journal(target) == ["a1", "a precious row", "b2", "c3"]
    names = [event["event"] for event in result.events]
    assert names.index("backup.verified") < names.index("revision.started")
    assert names.count("schema.verified") == 1
    backup = Path(result.last["backup"]["location"])
    assert hashlib.sha256(backup.read_bytes()).hexdigest() == result.last["backup"]["sha256"]
    manifest = json.loads(next(backup.parent.glob("*.manifest.json")).read_text())
    assert manifest["heads"] == ["a1"]
    assert manifest["sha256"] == result.last["backup"]["sha256"]
    assert manifest["run_id"] == result.last["run_id"]


def test_the_backup_holds_what_was_there_before_the_first_change(
    migrator: Migrator, project: Project, target: Target, any_cluster: Cluster
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    project.write_revision("b2", upgrade="op.execute('DROP TABLE journal')")
    result = migrator()
    assert result.exit_code == 0
    assert journal(target) == []
    restored = f"{target.database}_restored"
    any_cluster.create_database(restored, target.user)
    program = str(any_cluster.binaries.folder / "pg_restore")
    address = target.url.rpartition("/")[0] + f"/{restored}"
    backup = result.last["backup"]["location"]
    subprocess.run([program, "--exit-on-error", "--no-owner", "--dbname", address, backup], check=True)
    with target.connect(dbname=restored) as session:
        assert session.execute("SELECT revision FROM journal").fetchall() == [("a1",)]
        assert session.execute("SELECT version_num FROM alembic_version").fetchall() == [("a1",)]


def test_the_last_event_says_how_long_each_phase_took(migrator: Migrator, project: Project) -> None:
    write_journal(project, "a1", seconds=0.2)
    last = migrator().last
    assert last["phases"]["migrate"] >= 0.2
    assert last["seconds"] >= sum(last["phases"].values()) * 0.99


def test_the_ledger_knows_the_run_and_the_revisions(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1", "b2")
    last = migrator(MIGRATOR_RELEASE="v1").last
    assert target.rows("SELECT id, release, exit_code, heads_after FROM migrator.run") == [
        (last["run_id"], "v1", 0, ["b2"])
    ]
    assert target.rows("SELECT id, parents, found FROM migrator.revision ORDER BY id") == [
        ("a1", [], False),
        ("b2", ["a1"], False),
    ]
