"""What others' users have reported of locks and migrations, and what happens here instead."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.environment import ASYNC_ENV
from tests.support.journal import journal, version, write_journal
from tests.support.pgbouncer import PgBouncer
from tests.support.project import Project
from tests.support.runner import Migrator
from tests.support.sessions import WORKERS, admin_rows, worker
from tests.support.target import Target
from tests.support.waiting import eventually

IS_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'journal_at'::regclass"
BUILD = """
with op.get_context().autocommit_block():
    op.execute("CREATE INDEX CONCURRENTLY {}journal_at ON journal (at)")
"""


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A file for which a revision may wait; see `wait_for`."""
    return tmp_path / "gate"


def wait_for(gate: Path) -> str:
    """Give the code of a revision that waits until this file is there, without asking the server anything."""
    return f"import pathlib, time\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.02)\n"


@pytest.fixture
def deployed(migrator: Migrator, project: Project) -> None:
    """A database at the first revision."""
    write_journal(project, "a1")
    assert migrator().exit_code == 0


@pytest.mark.usefixtures("deployed", "any_cluster")
def test_runners_that_wait_do_not_hold_up_an_index_that_is_built_concurrently(
    migrator: Migrator, project: Project, target: Target, gate: Path
) -> None:
    """flyway/flyway#1654, golang-migrate/migrate#960, hexpm/hexpm#1835: it hung, or Postgres killed it.

    Whoever waits inside `pg_advisory_lock()` has a snapshot, for which the build waits, while the one who
    builds holds the lock.
    """
    project.write_revision("b2", upgrade=wait_for(gate) + BUILD.format(""))
    first = migrator.start()
    first.wait_for_event("revision.started", revision="b2")
    others = [migrator.start() for _ in range(2)]
    for other in others:
        other.wait_for_event("lock.waited")
    gate.touch()
    results = [run.finish() for run in (first, *others)]
    assert [result.exit_code for result in results] == [0, 0, 0], results[0].last
    assert target.value(IS_VALID) is True
    assert results[0].named("hazard.found") == results[0].named("revision.failed") == ()
    assert [result.last["outcome"] for result in results] == ["migrated", "nothing to do", "nothing to do"]


@pytest.mark.usefixtures("deployed", "any_cluster")
@pytest.mark.parametrize("condition", ["", "IF NOT EXISTS "])
def test_an_index_that_a_killed_build_left_invalid_is_built_again_by_the_next_run(
    migrator: Migrator, project: Project, target: Target, condition: str
) -> None:
    """golang-migrate/migrate#960, chatwoot/chatwoot#15885: the next run failed, or took it for finished."""
    project.write_revision("b2", upgrade=BUILD.format(condition))
    with target.connect() as app, app.transaction():
        # The build must wait for whoever has written to the table.
        app.execute("INSERT INTO journal (revision) VALUES ('meanwhile')")
        running = migrator.start()
        running.wait_for_event("revision.started", revision="b2")
        assert eventually(lambda: target.value("SELECT to_regclass('journal_at') IS NOT NULL"))
        for process in (worker(running), running.pid):
            os.kill(process, signal.SIGKILL)
        assert eventually(lambda: not target.rows(WORKERS))
    assert target.value(IS_VALID) is False
    result = migrator()
    assert result.exit_code == 0, result.last
    assert any(
        "public.journal_at on journal is INVALID" in event["message"]
        for event in result.named("hazard.found")
    )
    assert target.value(IS_VALID) is True
    assert version(target) == ["b2"]


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_an_index_build_that_meets_a_lock_is_tried_again_without_its_revision(
    migrator: Migrator, project: Project, target: Target, driver: str
) -> None:
    """superdesigndev/treg#497: what stood before the build is committed, and would fail again."""
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    if driver == "asyncpg":
        project.write_env(ASYNC_ENV)
    project.write_revision(
        "b2",
        upgrade="""
            op.execute("CREATE TABLE notes (note text)")
            with op.get_context().autocommit_block():
                op.create_index("journal_at", "journal", ["at"], postgresql_concurrently=True)
        """,
    )
    with target.connect() as session, session.transaction():
        session.execute("INSERT INTO journal (revision) VALUES ('meanwhile')")
        running = migrator.start(
            MIGRATOR_BACKUP="off",
            MIGRATOR_CONCURRENTLY_LOCK_TIMEOUT="400ms",
            DATABASE_URL=target.url.replace("postgresql:", f"postgresql+{driver}:"),
        )
        assert eventually(lambda: any("trying again in place" in one["message"] for one in running.events)), (
            running.events
        )
    result = running.finish()
    assert result.exit_code == 0, result.last
    assert target.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'journal_at'::regclass") is True
    assert result.named("revision.failed") == ()


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_what_meets_a_lock_after_a_part_was_committed_is_not_tried_again_as_a_whole(
    migrator: Migrator, project: Project, target: Target, driver: str
) -> None:
    """lemma-work/lemma-platform#759: the second try dies of what the first one left."""
    if driver == "asyncpg":
        project.write_env(ASYNC_ENV)
    project.write_revision(
        "b2",
        upgrade="""
            op.execute("CREATE TABLE notes (note text)")
            with op.get_context().autocommit_block():
                op.execute("ALTER TABLE journal ADD COLUMN note text")
        """,
    )
    url = target.url.replace("postgresql:", f"postgresql+{driver}:")
    with target.connect(application_name="nightly report") as app, app.transaction():
        app.execute("SELECT count(*) FROM journal")
        result = migrator(DATABASE_URL=url, MIGRATOR_LOCK_PATIENCE="60s", MIGRATOR_BACKUP="off")
    assert result.exit_code == 32, result.last
    last = result.last
    assert (last["revision"], last["sqlstate"], last["attempts"]) == ("b2", "55P03", 1)
    assert (last["committed"], last["rolled_back"], last["half_applied"]) == ([], ["b2"], ["b2"])
    assert "of b2 a part was committed outside the transaction and stays" in last["error"]
    assert "nightly report" in last["error"]
    assert target.value("SELECT to_regclass('notes') IS NOT NULL")
    assert version(target) == ["a1"]


class App(threading.Thread):
    """A transaction of the app's, which goes on to read a second table."""

    def __init__(self, target: Target) -> None:
        super().__init__(daemon=True)
        self._session = target.connect(application_name="the app")
        self._session.execute("BEGIN")
        self._session.execute("INSERT INTO orders VALUES (7)")
        self.pid = self._session.info.backend_pid
        self.failure: BaseException | None = None

    def run(self) -> None:
        with contextlib.closing(self._session) as session:
            try:
                session.execute("SELECT count(*) FROM items")
                session.execute("COMMIT")
            except Exception as error:  # noqa: BLE001  for the test to judge
                self.failure = error


@pytest.mark.usefixtures("any_cluster")
def test_in_a_deadlock_with_the_app_it_is_the_migration_that_gives_way(
    migrator: Migrator, project: Project, target: Target, gate: Path
) -> None:
    """cloudfoundry/capi-release#127, mindset-ai/memex-ai#353: both lock two tables, the other way round."""
    project.write_revision(
        "a1", upgrade="op.execute('CREATE TABLE orders (id int)')\nop.execute('CREATE TABLE items (id int)')"
    )
    assert migrator().exit_code == 0
    alter = "op.execute('ALTER TABLE {} ADD COLUMN total int')\n"
    project.write_revision("b2", upgrade=alter.format("items") + wait_for(gate) + alter.format("orders"))
    app = App(target)
    running = migrator.start(MIGRATOR_BACKUP="off")
    items = "SELECT FROM pg_locks WHERE relation = 'items'::regclass AND mode = 'AccessExclusiveLock'"
    assert eventually(lambda: target.rows(items)), running.events
    app.start()
    waits = f"SELECT FROM pg_locks WHERE pid = {app.pid} AND NOT granted"
    assert eventually(lambda: target.rows(waits))
    gate.touch()
    app.join(30)
    result = running.finish()
    assert app.failure is None
    assert result.exit_code == 0, result.last
    assert [event["sqlstate"] for event in result.named("revision.failed")] == ["55P03"]
    assert target.rows("SELECT id, total FROM orders") == [(7, None)]
    assert version(target) == ["b2"]


def test_two_runners_through_a_transaction_pooler_are_both_refused_and_leave_no_lock_in_it(
    migrator: Migrator, project: Project, target: Target, pgbouncer: Callable[..., PgBouncer]
) -> None:
    """vectorize-io/hindsight#726, goauthentik/authentik#23876: both had the lock, or nobody ever again.

    A session lock stays with the pooler's connection, which is somebody else's after the next commit.
    """
    pooler = pgbouncer(pool_mode="transaction", default_pool_size="2")
    write_journal(project, "a1", "b2", seconds=1)
    runs = [migrator.start(DATABASE_URL=pooler.url) for _ in range(2)]
    results = [run.finish() for run in runs]
    assert [result.exit_code for result in results] == [13, 13], results[0].last
    for result in results:
        assert "pooler" in result.last["error"]
        assert "MIGRATOR_DIRECT_DATABASE_URL" in result.last["remedy"]
        assert result.named("lock.acquired") == result.named("revision.started") == ()
    assert (journal(target), version(target)) == ([], [])
    assert locks_in(target) == []
    assert migrator().exit_code == 0
    assert journal(target) == ["a1", "b2"]


def locks_in(target: Target) -> list[tuple[Any, ...]]:
    """Give the advisory locks of the target's database that anybody holds."""
    return admin_rows(
        target,
        "SELECT pid, objid FROM pg_locks WHERE locktype = 'advisory' "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )


@pytest.mark.usefixtures("deployed")
def test_a_statement_that_took_too_long_is_not_tried_again(
    migrator: Migrator, project: Project, target: Target
) -> None:
    """It would take as long again, and hold up the app as long again."""
    write_journal(project, "b2", seconds=600, begins=False)
    result = migrator(MIGRATOR_STATEMENT_TIMEOUT="1s")
    assert result.exit_code == 14, result.last
    assert (result.last["sqlstate"], result.last["revision"]) == ("57014", "b2")
    assert (result.last["committed"], result.last["rolled_back"]) == ([], ["b2"])
    assert len(result.named("revision.started")) == len(result.named("revision.failed")) == 1
    assert (journal(target), version(target)) == (["a1"], ["a1"])


@pytest.mark.usefixtures("deployed")
def test_a_statement_that_somebody_cancelled_is_not_tried_again(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "b2", seconds=600, begins=False)
    running = migrator.start()
    running.wait_for_event("revision.started")
    asleep = f"{WORKERS} AND query LIKE '%pg_sleep%' AND state = 'active'"
    assert eventually(lambda: target.rows(asleep))
    admin_rows(target, asleep.replace("SELECT pid", "SELECT pg_cancel_backend(pid)"))
    result = running.finish()
    assert (result.exit_code, result.last["sqlstate"]) == (14, "57014"), result.last
    assert len(result.named("revision.started")) == len(result.named("revision.failed")) == 1
    assert (journal(target), version(target)) == (["a1"], ["a1"])
