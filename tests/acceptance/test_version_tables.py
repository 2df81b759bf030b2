"""Where the version rows are: moved, renamed, locked, or missing from the release."""

from tests.support.environment import env_with
from tests.support.journal import journal, version, write_journal
from tests.support.project import Project
from tests.support.runner import Migrator
from tests.support.target import Target

# What static reading cannot be certain of: the table's name is computed.
COMPUTED = "table = ''.join(['alembic', '_', 'version{}'])"


def test_a_release_without_any_revision_does_not_pass_for_an_older_one(
    migrator: Migrator, project: Project
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    for file in project.versions.glob("*.py"):
        file.unlink()
    result = migrator()
    assert result.exit_code == 12
    assert "no revisions at all" in result.last["error"]


def test_an_env_py_that_names_another_version_table_is_asked_again(
    migrator: Migrator, project: Project, target: Target
) -> None:
    def name(suffix: str) -> None:
        project.write_env(env_with(header=COMPUTED.format(suffix), options="version_table=table"))

    name("")
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    assert not migrator().named("lock.acquired"), "the ledger knows"
    target.execute("DROP TABLE journal")
    name("_two")
    result = migrator()
    assert result.exit_code == 0, result.last
    assert result.last["revisions_applied"] == ["a1"]
    assert version(target, "alembic_version_two") == ["a1"]


def test_a_version_table_that_moved_to_another_schema_is_found_there(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    target.execute("CREATE SCHEMA app; ALTER TABLE alembic_version SET SCHEMA app")
    project.write_env(env_with(options="version_table_schema='app'"))
    result = migrator()
    assert (result.exit_code, result.last["outcome"]) == (0, "nothing to do")


def test_whoever_waits_for_a_leader_that_locks_the_version_table_keeps_its_patience(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    project.write_revision(
        "b2",
        upgrade="op.execute('ALTER TABLE alembic_version ALTER version_num TYPE varchar(64)')\n"
        "op.execute('SELECT pg_sleep(20)')",
    )
    leader = migrator.start("run", MIGRATOR_BACKUP="off")
    leader.wait_for_event("revision.started")
    waiting = migrator(MIGRATOR_LEADER_TIMEOUT="1s", MIGRATOR_BACKUP="off")
    assert waiting.exit_code == 31, waiting.last
    assert waiting.named("lock.waited")
    assert leader.is_alive
    assert journal(target) == ["a1"]
