"""How many backups are kept, and when a failed run's is used again."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.journal import version, write_journal
from tests.support.project import Project
from tests.support.runner import Migrator
from tests.support.target import Target


@pytest.fixture(autouse=True)
def deployed(migrator: Migrator, project: Project) -> None:
    """A deployed database; the next revision is pending."""
    write_journal(project, "a1")
    assert migrator(MIGRATOR_RELEASE="1").exit_code == 0
    project.write_revision("b2", upgrade="op.execute('SELECT 1')")


def archives(migrator: Migrator) -> list[Path]:
    return sorted(migrator.backups.rglob("*.dump"))


def manifests(migrator: Migrator) -> list[dict[str, Any]]:
    """What they say, oldest first: two names of one second are in no order."""
    found = [json.loads(path.read_text()) for path in migrator.backups.rglob("*.manifest.json")]
    return sorted(found, key=lambda one: str(one["finished"]))


def make_older(migrator: Migrator, by: timedelta) -> None:
    """Let every backup there is be older."""
    for path in migrator.backups.rglob("*.manifest.json"):
        facts = json.loads(path.read_text())
        for name in ("started", "finished"):
            facts[name] = (datetime.fromisoformat(facts[name]) - by).isoformat()
        path.write_text(json.dumps(facts))


def break_b2(project: Project) -> None:
    project.write_revision("b2", down="a1", upgrade="op.execute('SELECT 1/0')")


class TestReuse:
    """A crash loop does not fill a bucket."""

    def test_the_backup_of_a_failed_run_is_used_again_and_its_age_is_said(
        self, migrator: Migrator, project: Project, target: Target
    ) -> None:
        break_b2(project)
        first = migrator("run", MIGRATOR_RELEASE="2")
        second = migrator("run", "--retry", MIGRATOR_RELEASE="2")
        assert (first.exit_code, second.exit_code) == (14, 14)
        assert len(archives(migrator)) == 1
        (skipped,) = second.named("backup.skipped")
        assert skipped["location"] == first.last["backup"]["location"] == second.last["backup"]["location"]
        assert 0 < skipped["age_seconds"] < 900
        assert "ago is used again" in skipped["message"]
        project.write_revision("b2", down="a1", upgrade="op.execute('SELECT 1')")
        third = migrator("run", "--retry", MIGRATOR_RELEASE="2")
        assert (third.exit_code, version(target)) == (0, ["b2"])
        assert len(archives(migrator)) == 1

    @pytest.mark.parametrize(
        "settings",
        [{"MIGRATOR_RELEASE": "3"}, {"MIGRATOR_BACKUP_REUSE_WITHIN": "0"}, {"MIGRATOR_LEDGER": "off"}],
        ids=["another release", "never", "no ledger"],
    )
    def test_otherwise_a_new_one_is_taken(
        self, migrator: Migrator, project: Project, settings: dict[str, Any]
    ) -> None:
        break_b2(project)
        assert migrator("run", MIGRATOR_RELEASE="2").exit_code == 14
        assert migrator("run", "--retry", **({"MIGRATOR_RELEASE": "2"} | settings)).exit_code == 14
        assert len(archives(migrator)) == 2

    def test_one_that_is_too_old_is_not_used(self, migrator: Migrator, project: Project) -> None:
        break_b2(project)
        assert migrator("run", MIGRATOR_RELEASE="2").exit_code == 14
        make_older(migrator, timedelta(minutes=16))
        assert migrator("run", "--retry", MIGRATOR_RELEASE="2").exit_code == 14
        assert len(archives(migrator)) == 2

    def test_one_whose_archive_was_cut_short_is_not_used(self, migrator: Migrator, project: Project) -> None:
        break_b2(project)
        assert migrator("run", MIGRATOR_RELEASE="2").exit_code == 14
        with archives(migrator)[0].open("r+b") as archive:
            archive.truncate(100)
        assert migrator("run", "--retry", MIGRATOR_RELEASE="2").exit_code == 14
        assert len(archives(migrator)) == 2

    def test_one_that_lacks_rows_which_are_wanted_now_is_not_used(
        self, migrator: Migrator, project: Project, target: Target
    ) -> None:
        target.execute("CREATE TABLE big (id int); CREATE TABLE vital (id int); INSERT INTO vital VALUES (1)")
        break_b2(project)
        settings: dict[str, Any] = {"MIGRATOR_RELEASE": "2", "MIGRATOR_BACKUP_EXCLUDE_DATA": "big,vital"}
        assert migrator("run", **settings).exit_code == 14
        assert migrator("run", "--retry", **settings).exit_code == 14
        assert len(archives(migrator)) == 1
        result = migrator("run", "--retry", **(settings | {"MIGRATOR_BACKUP_EXCLUDE_DATA": "big"}))
        assert (result.exit_code, result.last["backup"]["missing"]) == (14, ["public.big"])
        assert len(archives(migrator)) == 2

    def test_after_a_success_a_new_one_is_taken(self, migrator: Migrator, project: Project) -> None:
        assert migrator("run", MIGRATOR_RELEASE="2").exit_code == 0
        project.write_revision("c3", upgrade="op.execute('SELECT 1')")
        assert migrator("run", MIGRATOR_RELEASE="2").exit_code == 0
        assert len(archives(migrator)) == 2


class TestRetention:
    """Only what nobody needs goes, and only after a success."""

    def test_the_newest_are_kept_after_a_run(self, migrator: Migrator, target: Target) -> None:
        for _ in range(3):
            assert migrator("backup", MIGRATOR_BACKUP_KEEP="3").exit_code == 0
        oldest = manifests(migrator)[0]["file"]
        result = migrator("run", MIGRATOR_BACKUP_KEEP="3")
        assert (result.exit_code, version(target)) == (0, ["b2"])
        (pruned,) = result.named("backup.pruned")
        assert pruned["location"].endswith(oldest)
        assert len(archives(migrator)) == len(manifests(migrator)) == 3
        assert oldest not in [path.name for path in archives(migrator)]

    def test_the_last_backup_of_an_older_revision_outlives_many_of_the_newest(
        self, migrator: Migrator
    ) -> None:
        assert migrator("run").exit_code == 0
        (before,) = archives(migrator)
        for _ in range(3):
            assert migrator("backup", MIGRATOR_BACKUP_KEEP="1").exit_code == 0
        assert before in archives(migrator)
        assert len(archives(migrator)) == 2

    def test_what_a_run_just_took_stays_although_another_clock_was_ahead(self, migrator: Migrator) -> None:
        for _ in range(2):
            assert migrator("backup").exit_code == 0
        make_older(migrator, -timedelta(days=1))
        result = migrator("backup", MIGRATOR_BACKUP_KEEP="1")
        assert result.exit_code == 0, result.last
        assert Path(result.last["backup"]["location"]) in archives(migrator)

    def test_nothing_goes_when_a_run_fails(self, migrator: Migrator, project: Project) -> None:
        for _ in range(3):
            assert migrator("backup").exit_code == 0
        break_b2(project)
        result = migrator("run", MIGRATOR_BACKUP_KEEP="1")
        assert result.exit_code == 14
        assert not result.named("backup.pruned")
        assert len(archives(migrator)) == 4

    def test_what_has_no_manifest_or_is_of_another_database_is_left_alone(self, migrator: Migrator) -> None:
        assert migrator("backup").exit_code == 0
        folder = archives(migrator)[0].parent
        (folder / "precious.dump").write_text("mine")
        foreign = manifests(migrator)[0] | {"file": "foreign.dump", "database_id": "elsewhere/orders"}
        (folder / "foreign.manifest.json").write_text(json.dumps(foreign))
        (folder / "foreign.dump").write_text("theirs")
        (folder / "broken.manifest.json").write_text("{")
        for _ in range(2):
            assert migrator("backup", MIGRATOR_BACKUP_KEEP="1").exit_code == 0
        assert {"precious.dump", "foreign.dump", "foreign.manifest.json", "broken.manifest.json"} < {
            path.name for path in folder.iterdir()
        }
        assert len(archives(migrator)) == 3

    def test_a_store_that_does_not_let_us_delete_is_a_warning(self, migrator: Migrator) -> None:
        assert migrator("backup").exit_code == 0
        (archive,) = archives(migrator)
        archive.unlink()
        archive.mkdir()  # nobody unlinks a folder
        result = migrator("backup", MIGRATOR_BACKUP_KEEP="1")
        assert result.exit_code == 0
        assert not result.named("backup.pruned")
        assert "could not be removed" in result.named("hazard.found")[-1]["message"]

    def test_zero_is_no_number_of_backups(self, migrator: Migrator) -> None:
        assert migrator("run", MIGRATOR_BACKUP_KEEP="0").exit_code == 10

    def test_after_a_restore_the_older_backups_are_still_those_of_this_database(
        self, migrator: Migrator, target: Target
    ) -> None:
        with target.admin() as admin:
            admin.execute(f'ALTER ROLE "{target.user}" CREATEDB')
        for _ in range(3):
            assert migrator("backup").exit_code == 0
        assert migrator("restore", "latest").exit_code == 0
        assert migrator("backup", MIGRATOR_BACKUP_KEEP="2").exit_code == 0
        assert len(archives(migrator)) == 2


def test_times_are_those_of_the_manifests(migrator: Migrator) -> None:
    assert migrator("backup").exit_code == 0
    (one,) = manifests(migrator)
    assert datetime.now(UTC) - datetime.fromisoformat(one["finished"]) < timedelta(minutes=5)
