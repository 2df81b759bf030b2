"""The ledger, as runs keep it: what was found, how far a run is, and who may not keep it."""

import dataclasses
import time
from collections.abc import Callable, Iterator

import pytest

from migrator.ledger.schema import VERSION
from tests.support.journal import journal, version, write_journal
from tests.support.project import Project
from tests.support.runner import Event, Migrator, Result
from tests.support.target import Target


def unproven_told(result: Result) -> tuple[Event, ...]:
    return tuple(event for event in result.named("hazard.found") if "proven" in event["message"])


@pytest.fixture
def found(migrator: Migrator, project: Project, target: Target) -> Target:
    """A database at this release's version, which no recorded run applied."""
    write_journal(project, "a1", "b2")
    assert migrator(MIGRATOR_LEDGER="off").exit_code == 0
    assert target.value("SELECT to_regnamespace('migrator')") is None
    return target


@pytest.mark.usefixtures("any_cluster")
def test_a_version_that_was_found_is_told_once_and_recorded_without_a_time(
    migrator: Migrator, found: Target
) -> None:
    result = migrator()
    assert (result.exit_code, result.last["outcome"]) == (0, "nothing to do")
    (told,) = unproven_told(result)
    assert (told["level"], told["revisions"]) == ("warning", ["b2"])
    assert "migrator verify" in told["remedy"]
    assert found.rows("SELECT id, parents, applied_at, run_id, found FROM migrator.revision ORDER BY id") == [
        ("a1", [], None, None, True),
        ("b2", ["a1"], None, None, True),
    ]
    again = migrator()
    assert again.exit_code == 0
    assert not again.named("hazard.found")
    assert found.value("SELECT count(*) FROM migrator.run") == 0


def test_a_version_that_was_found_is_told_before_the_first_migration_too(
    migrator: Migrator, found: Target, project: Project
) -> None:
    write_journal(project, "c3", begins=False)
    result = migrator()
    assert result.exit_code == 0
    assert [told["revisions"] for told in unproven_told(result)] == [["b2"]]
    assert found.rows("SELECT id, found FROM migrator.revision ORDER BY id") == [
        ("a1", True),
        ("b2", True),
        ("c3", False),
    ]
    assert not migrator().named("hazard.found")


def test_a_version_that_somebody_else_applied_later_is_told_as_well(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    write_journal(project, "b2", begins=False)
    assert migrator(MIGRATOR_LEDGER="off").exit_code == 0
    assert [told["revisions"] for told in unproven_told(migrator())] == [["b2"]]
    assert not migrator().named("hazard.found")
    assert target.rows("SELECT id, found FROM migrator.revision ORDER BY id") == [("a1", False), ("b2", True)]


def test_what_was_found_lets_an_older_release_tell_that_it_is_older(
    migrator: Migrator, found: Target, projects: Callable[[str], Project]
) -> None:
    assert migrator().exit_code == 0
    older = projects("older")
    write_journal(older, "a1")
    result = dataclasses.replace(migrator, folder=older.folder)()
    assert (result.exit_code, result.last["state"]) == (0, "ahead")
    assert version(found) == ["b2"]


def test_a_version_is_told_once_though_many_look_at_the_same_time(migrator: Migrator, found: Target) -> None:
    runs = [migrator.start() for _ in range(4)]
    results = [run.finish() for run in runs]
    assert [result.exit_code for result in results] == [0] * 4
    assert sum(len(unproven_told(result)) for result in results) == 1
    assert found.value("SELECT count(*) FROM migrator.revision") == 2


def test_while_somebody_leads_a_version_that_fits_waits_for_nobody(migrator: Migrator, found: Target) -> None:
    with found.connect() as leader:
        leader.execute("SELECT pg_advisory_lock(x'4D475254'::int, 1)")
        result = migrator()
    assert (result.exit_code, result.named("hazard.found")) == (0, ())
    assert unproven_told(migrator())


def test_who_wants_no_ledger_has_none(migrator: Migrator, found: Target) -> None:
    result = migrator(MIGRATOR_LEDGER="off")
    assert (result.exit_code, result.named("hazard.found")) == (0, ())
    assert found.value("SELECT to_regnamespace('migrator')") is None


def test_a_role_that_may_not_make_a_ledger_leaves_as_cheaply_as_ever(
    migrator: Migrator, found: Target
) -> None:
    with found.admin() as admin:
        admin.execute(f"ALTER DATABASE {found.database} OWNER TO postgres")
        result = migrator(MIGRATOR_LOG_LEVEL="debug")
        admin.execute(f"ALTER DATABASE {found.database} OWNER TO {found.user}")
    assert (result.exit_code, result.named("hazard.found")) == (0, ())
    assert "ledger" not in result.last["phases"]


def test_a_ledger_of_version_1_is_taken_over_by_a_run_with_nothing_to_do(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    target.execute(
        "DROP TABLE migrator.adoption; ALTER TABLE migrator.revision DROP digest_algorithm;"
        "ALTER TABLE migrator.version_table DROP heads;"
        "ALTER TABLE migrator.run DROP circumstances, DROP remedy, DROP planned, DROP position,"
        "DROP revision, DROP revision_started_at; COMMENT ON SCHEMA migrator IS 'migrator ledger, version 1'"
    )
    result = migrator()
    assert (result.exit_code, result.named("hazard.found")) == (0, ())
    said = target.value("SELECT obj_description('migrator'::regnamespace)")
    assert said == f"migrator ledger, version {VERSION}"
    assert target.value("SELECT digest_algorithm FROM migrator.revision") == 1
    assert "ledger" not in migrator().last["phases"]


@pytest.fixture
def login(migrator: Migrator, target: Target) -> Iterator[Migrator]:
    """The same migrator with a login role that only may become the owner."""
    name = f"login_{target.user}"
    with target.admin() as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN NOINHERIT PASSWORD 'login' IN ROLE {target.user}")
        url = dataclasses.replace(target, user=name, password="login").url
        yield dataclasses.replace(
            migrator, environ={**migrator.environ, "DATABASE_URL": url, "MIGRATOR_ROLE": target.user}
        )
        admin.execute(f"DROP ROLE {name}")


def test_the_ledger_belongs_to_the_owner_and_not_to_the_login_role(
    login: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    result = login()
    assert result.exit_code == 0, result.last
    assert target.rows("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'migrator'") == [
        (target.user,)
    ]
    assert target.value("SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'migrator'") == (
        target.user
    )
    project.write_revision("b2", upgrade="raise RuntimeError('it broke')")
    assert login().exit_code == 14
    assert "remembered_run" in login().last


def progress(target: Target) -> tuple[object, ...] | None:
    """Give what the ledger says of the run under way, once it says something."""
    if target.value("SELECT to_regclass('migrator.adoption')") is None:
        return None
    rows = target.rows(
        "SELECT planned, position, revision, clock_timestamp() - revision_started_at < '30s' "
        "FROM migrator.run WHERE revision IS NOT NULL"
    )
    return rows[0] if rows else None


def eventually(look: Callable[[], object], wanted: object, seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while (seen := look()) != wanted:
        assert time.monotonic() < end, seen
        time.sleep(0.1)


def test_how_far_a_run_is_can_be_seen_while_all_is_one_transaction(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1", "b2", seconds=2)
    running = migrator.start()
    eventually(lambda: progress(target), (2, 1, "a1", True))
    assert version(target) == []
    eventually(lambda: progress(target), (2, 2, "b2", True))
    assert running.finish().exit_code == 0


def test_who_cannot_tell_how_far_it_is_migrates_all_the_same(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1", "b2", seconds=2)
    running = migrator.start()
    eventually(lambda: progress(target), (2, 1, "a1", True))
    with target.admin() as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'UPDATE migrator.run%'"
        )
        admin.execute("BEGIN; LOCK migrator.run")
        running.wait_for_event("schema.verified")
        admin.execute("COMMIT")
    result = running.finish()
    assert (result.exit_code, journal(target)) == (0, ["a1", "b2"])
    assert result.stderr == ""
