"""Exit 32: a table lock cannot be had in time; and getting it when the other session is done."""

import time

import pytest

from tests.support.journal import journal, version, write_journal
from tests.support.project import Project
from tests.support.runner import Migrator
from tests.support.target import Target

ALTER = "op.execute('ALTER TABLE orders ADD COLUMN total int')"


@pytest.fixture
def orders(migrator: Migrator, project: Project) -> None:
    """A table that the app uses and the last of two new revisions changes."""
    project.write_revision("a0", upgrade="op.execute('CREATE TABLE orders (id int)')")
    assert migrator().exit_code == 0
    write_journal(project, "a1")
    project.write_revision("b2", upgrade=ALTER)


@pytest.mark.usefixtures("orders", "any_cluster")
def test_a_session_that_keeps_the_lock_is_named(migrator: Migrator, target: Target) -> None:
    with target.connect(application_name="nightly report") as session, session.transaction():
        session.execute("SELECT count(*) FROM orders")
        result = migrator(MIGRATOR_LOCK_PATIENCE="4s", MIGRATOR_BACKUP="off")
    assert result.exit_code == 32, result.last
    last = result.last
    assert (last["event"], last["exit_name"], last["retryable"]) == ("run.finished", "BLOCKED", True)
    assert "nightly report" in last["error"]
    assert "orders" in last["error"]
    assert (last["revision"], last["sqlstate"]) == ("b2", "55P03")
    assert (last["committed"], last["rolled_back"]) == ([], ["a1", "b2"])
    assert any("nightly report" in event["message"] for event in result.named("revision.blocked"))
    assert last["attempts"] > 1
    assert (journal(target), version(target)) == ([], ["a0"])


@pytest.mark.usefixtures("orders")
def test_a_superusers_session_is_named_as_far_as_the_role_may_see_it(
    migrator: Migrator, target: Target
) -> None:
    with target.admin() as session, session.transaction():
        session.execute("SET application_name = 'the DBA'")
        session.execute("SELECT count(*) FROM orders")
        result = migrator(MIGRATOR_LOCK_PATIENCE="1s", MIGRATOR_BACKUP="off")
    assert result.exit_code == 32
    assert "the DBA" in result.last["error"]
    assert "GRANT pg_read_all_stats" in result.last["remedy"]


@pytest.mark.usefixtures("orders")
def test_the_migration_goes_on_as_soon_as_the_other_session_is_done(
    migrator: Migrator, target: Target
) -> None:
    with target.connect(application_name="nightly report") as session, session.transaction():
        session.execute("SELECT count(*) FROM orders")
        running = migrator.start(MIGRATOR_BACKUP="off")
        running.wait_for_event("revision.failed", revision="b2")
    result = running.finish()
    assert result.exit_code == 0
    assert (journal(target), version(target)) == (["a1"], ["b2"])
    assert result.named("revision.failed")[0]["level"] == "warning"


@pytest.mark.usefixtures("orders")
def test_a_blocked_attempt_holds_up_the_app_only_briefly(migrator: Migrator, target: Target) -> None:
    with target.connect() as reader, reader.transaction():
        reader.execute("SELECT count(*) FROM orders")
        running = migrator.start(MIGRATOR_BACKUP="off")
        running.wait_for_event("revision.failed", revision="b2")
        with target.connect(options="-c statement_timeout=2s") as app:
            for _ in range(20):
                app.execute("SELECT count(*) FROM orders")
    assert running.finish().exit_code == 0


def test_the_backup_does_not_wait_for_ever_for_a_locked_table(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    write_journal(project, "b2", begins=False)
    with target.connect(application_name="vacuum full") as session, session.transaction():
        session.execute("LOCK TABLE journal IN ACCESS EXCLUSIVE MODE")
        running = migrator.start()
        running.wait_for_event("backup.started")
    assert running.finish().exit_code == 0
    assert journal(target) == ["a1", "b2"]


@pytest.mark.usefixtures("orders")
def test_nobody_queues_behind_a_session_that_has_held_the_lock_for_long(
    migrator: Migrator, target: Target
) -> None:
    with target.connect(application_name="nightly report") as session, session.transaction():
        session.execute("SELECT count(*) FROM orders")
        session.execute("SELECT pg_sleep(5.5)")
        running = migrator.start(MIGRATOR_BACKUP="off")
        told = running.wait_for_event("revision.blocked", timeout=60)
        while "not queueing behind" not in told["message"]:
            told = next(
                (
                    one
                    for one in running.events
                    if one["event"] == "revision.blocked" and "not queueing" in one["message"]
                ),
                told,
            )
            time.sleep(0.1)
        assert "nightly report" in told["message"]
        with target.connect(options="-c lock_timeout=100ms") as app:
            for _ in range(20):  # two seconds in which nobody stands in the queue
                app.execute("SELECT count(*) FROM orders")
                time.sleep(0.1)
    result = running.finish()
    assert result.exit_code == 0, result.last
    assert version(target) == ["b2"]


def test_rows_that_somebody_else_changes_are_waited_for_with_the_longest_limit(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    project.write_revision("b2", upgrade="op.execute(\"UPDATE journal SET revision = 'a2'\")")
    with target.connect() as session, session.transaction():
        session.execute("UPDATE journal SET revision = 'mine'")
        running = migrator.start(MIGRATOR_BACKUP="off")
        running.wait_for_event("revision.started", revision="b2")
        time.sleep(1.5)  # five times the first rung
    result = running.finish()
    assert result.exit_code == 0, result.last
    assert result.named("revision.failed") == ()


SAYS_LIMITS = """
bind = op.get_bind()

def rows(connection):
    print("limit for rows", connection.exec_driver_sql(
        "INSERT INTO orders VALUES (1) RETURNING current_setting('lock_timeout')").scalar())

def tables(connection):
    print("limit for tables", connection.exec_driver_sql("SHOW lock_timeout").scalar())
"""
UNDONE = {
    "savepoint": """
with bind.begin_nested() as nested:
    rows(bind)
    tables(bind)
    nested.rollback()
tables(bind)
with bind.begin_nested() as nested:
    tables(bind)
    rows(bind)
    nested.rollback()
tables(bind)
rows(bind)
""",
    "savepoint in which a statement failed": """
for _ in range(2):
    try:
        with bind.begin_nested():
            rows(bind)
            bind.exec_driver_sql("INSERT INTO orders SELECT 1 / 0")
    except sa.exc.DBAPIError:
        tables(bind)
rows(bind)
""",
    "transaction": """
with bind.engine.connect() as other:
    with other.begin():
        rows(other)
    with other.begin() as transaction:
        tables(other)
        transaction.rollback()
    tables(other)
    other.rollback()
    with other.begin() as transaction:
        rows(other)
        transaction.rollback()
    rows(other)
""",
}


@pytest.mark.parametrize("undone", UNDONE)
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_each_statement_has_its_own_limit_also_after_something_was_undone(
    migrator: Migrator, project: Project, target: Target, driver: str, undone: str
) -> None:
    project.write_revision("a0", upgrade="op.execute('CREATE TABLE orders (id int)')")
    assert migrator().exit_code == 0
    project.write_revision("b1", upgrade=SAYS_LIMITS + UNDONE[undone])
    url = target.url.replace("postgresql:", f"postgresql+{driver}:")
    result = migrator(MIGRATOR_BACKUP="off", DATABASE_URL=url)
    assert result.exit_code == 0, result.last
    said = [one["message"] for one in result.named("output.captured") if "limit for" in one["message"]]
    assert len(said) >= 4
    assert set(said) == {"limit for rows 5s", "limit for tables 300ms"}
