"""Exit 12: a database that must not be migrated blindly; and one that is ahead, which may be left alone."""

import dataclasses
from collections.abc import Callable

import pytest

from tests.support.journal import journal, version, write_journal
from tests.support.project import Project
from tests.support.runner import Migrator, Result
from tests.support.target import Target


def assert_refused(result: Result, state: str, *words: str) -> None:
    """See exit 12 for this state, with these words."""
    assert result.exit_code == 12, result.last
    assert result.last["event"] == "run.finished"
    assert result.last["state"] == state
    for word in words:
        assert word in result.last["error"], result.last["error"]


def migrator_of(migrator: Migrator, project: Project) -> Migrator:
    """Run the same in another project's folder."""
    return dataclasses.replace(migrator, folder=project.folder)


@pytest.fixture
def older(migrator: Migrator, project: Project, projects: Callable[[str], Project]) -> Migrator:
    """The release before: the database has meanwhile got the newer release's revision."""
    write_journal(project, "a1", "b2")
    assert migrator(MIGRATOR_RELEASE="2.0").exit_code == 0
    before = projects("older")
    write_journal(before, "a1")
    return migrator_of(migrator, before)


@pytest.mark.usefixtures("any_cluster")
def test_tables_without_a_version_are_refused(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    target.execute("CREATE TABLE journal (revision text, at timestamptz)")
    assert_refused(migrator(), "unversioned", "public.journal")
    assert (journal(target), version(target)) == ([], [])


def test_tables_of_another_application_do_not_matter(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    target.execute("CREATE TABLE invoices (id int)")
    result = migrator()
    assert result.exit_code == 0
    assert result.last["backup"] is not None


def test_an_unknown_row_is_refused_because_nobody_recorded_it(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    assert migrator(MIGRATOR_LEDGER="off").exit_code == 0
    target.execute("UPDATE alembic_version SET version_num = 'f00d'")
    assert_refused(migrator(), "ahead, unproven", "f00d")
    assert version(target) == ["f00d"]


def test_an_unknown_row_can_be_allowed(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    assert migrator(MIGRATOR_LEDGER="off").exit_code == 0
    target.execute("UPDATE alembic_version SET version_num = 'f00d'")
    result = migrator(MIGRATOR_ON_AHEAD="allow-unproven")
    assert result.exit_code == 0
    assert any("f00d" in event["message"] for event in result.named("hazard.found"))


@pytest.mark.usefixtures("any_cluster")
def test_an_older_release_leaves_a_newer_database_alone_with_a_warning(
    older: Migrator, target: Target
) -> None:
    result = older()
    assert result.exit_code == 0
    assert (result.last["outcome"], result.last["state"]) == ("ahead", "ahead")
    (warning,) = result.named("hazard.found")
    assert warning["level"] == "warning"
    assert "at b2, which the newer release 2.0 applied after a1" in warning["message"]
    assert version(target) == ["b2"]


def test_an_older_release_refuses_a_newer_database_when_told_to(older: Migrator, target: Target) -> None:
    assert_refused(older(MIGRATOR_ON_AHEAD="refuse"), "ahead", "b2")
    assert version(target) == ["b2"]


def test_two_releases_that_went_separate_ways_have_diverged(
    migrator: Migrator, older: Migrator, projects: Callable[[str], Project], target: Target
) -> None:
    rival = projects("rival")
    write_journal(rival, "a1", "c3")
    assert_refused(migrator_of(migrator, rival)(), "diverged", "b2", "c3")
    assert journal(target) == ["a1", "b2"]
    assert older().exit_code == 0


def test_a_known_row_beside_an_unknown_one_has_diverged(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    assert migrator(MIGRATOR_LEDGER="off").exit_code == 0
    target.execute("INSERT INTO alembic_version VALUES ('f00d')")
    assert_refused(migrator(), "diverged", "f00d")


def test_two_rows_of_one_lineage_are_corrupt_and_the_cure_is_told(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1", "b2", "c3")
    assert migrator().exit_code == 0
    target.execute("INSERT INTO alembic_version VALUES ('a1')")
    assert_refused(migrator(), "corrupt", "a1", "c3", "DELETE FROM")
    assert version(target) == ["a1", "c3"]


def test_a_version_table_of_another_shape_is_corrupt(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    target.execute("CREATE TABLE alembic_version (revision text)")
    assert_refused(migrator(), "corrupt", "version_num")


def test_a_missing_version_table_after_a_first_deploy_is_not_taken_for_a_fresh_database(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    target.execute("DROP TABLE alembic_version")
    assert_refused(migrator(), "unversioned", "journal")
    assert journal(target) == ["a1"]


def test_a_row_that_is_no_revision_is_refused_with_its_repair(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    target.execute("INSERT INTO alembic_version VALUES ('')")
    assert_refused(migrator(), "corrupt", "DELETE FROM public.alembic_version WHERE version_num IN ('')")
    target.execute("DELETE FROM public.alembic_version WHERE version_num IN ('')")
    assert migrator().last["outcome"] == "nothing to do"


def test_a_version_table_of_another_shape_is_refused_with_its_repair(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    target.execute("CREATE TABLE alembic_version (id int)")
    assert_refused(migrator(), "corrupt", "ALTER TABLE public.alembic_version RENAME TO alembic_version_old")
