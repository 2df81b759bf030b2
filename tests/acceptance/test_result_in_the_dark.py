"""The result cannot be seen, since somebody has locked the version table: waited for, else exit 32."""

from tests.support.journal import journal, version, write_journal
from tests.support.project import Project
from tests.support.runner import Migrator
from tests.support.target import Target


def test_it_is_waited_for(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    write_journal(project, "b2", begins=False, seconds=2)
    running = migrator.start(MIGRATOR_BACKUP="off")
    running.wait_for_event("revision.started", revision="b2")
    with target.connect(application_name="vacuum full") as session, session.transaction():
        # It gets the table the moment the migration commits.
        session.execute("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE")
        told = running.wait_for_event("hazard.found", level="warning")
        assert "vacuum full" in told["message"]
        assert "AccessExclusiveLock on alembic_version" in told["blockers"][0]
    result = running.finish()
    assert result.exit_code == 0, result.last
    assert result.last["heads_after"] == ["b2"]


def test_when_patience_ends_it_is_exit_32_with_what_is_committed(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    write_journal(project, "b2", begins=False, seconds=2)
    running = migrator.start(MIGRATOR_BACKUP="off", MIGRATOR_LOCK_PATIENCE="1s")
    running.wait_for_event("revision.started", revision="b2")
    with target.connect(application_name="vacuum full") as session, session.transaction():
        session.execute("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE")
        result = running.finish()
    assert result.exit_code == 32, result.last
    assert (result.last["committed"], result.last["revisions_applied"]) == (["b2"], ["b2"])
    assert "every revision ran" in result.last["error"]
    assert "vacuum full" in result.last["error"]
    later = migrator()
    assert (later.exit_code, later.last["revisions_applied"]) == (0, [])
    assert (journal(target), version(target)) == (["a1", "b2"], ["b2"])
