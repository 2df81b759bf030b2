"""A revision that committed something and died: told before anything is done, repeated where certain."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.support.environment import ASYNC_ENV
from tests.support.journal import version
from tests.support.processes import worker_of
from tests.support.project import INI, Project
from tests.support.runner import Migrator, Result, Running
from tests.support.target import Target
from tests.support.waiting import eventually

WORKERS = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'migrator%worker'"
KILLED = {"runner": -9, "worker": 34, "both": -9}
ALTER = "ALTER TABLE quiet ADD COLUMN total int"
BUILD = "CREATE INDEX CONCURRENTLY busy_id ON busy (id)"
CALM_ALTER = "ALTER TABLE quiet ADD COLUMN IF NOT EXISTS total int"
CALM_BUILD = "CREATE INDEX CONCURRENTLY IF NOT EXISTS busy_id ON busy (id)"
IS_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('busy_id')"
NOTES = "SELECT count(*) FROM migrator.half_applied WHERE settled_at IS NULL"


def committing(*statements: str) -> str:
    """A body whose statements commit themselves."""
    lines = "".join(f"    op.execute({one!r})\n" for one in statements)
    return f"with op.get_context().autocommit_block():\n{lines}"


@pytest.fixture
def busy(migrator: Migrator, project: Project) -> None:
    """A table that the app uses, and one that it leaves alone."""
    project.write_revision(
        "a1", upgrade="op.execute('CREATE TABLE busy (id int); CREATE TABLE quiet (id int)')"
    )
    assert migrator().exit_code == 0


@pytest.fixture
def writing(target: Target) -> Callable[[], AbstractContextManager[None]]:
    """The app writes, and does not commit: whatever is built CONCURRENTLY waits for it."""

    @contextmanager
    def write() -> Iterator[None]:
        with target.connect() as app, app.transaction():
            app.execute("INSERT INTO busy VALUES (1)")
            yield

    return write


@pytest.fixture
def kill_while_building(
    migrator: Migrator, target: Target, writing: Callable[[], AbstractContextManager[None]]
) -> Callable[..., Result]:
    """Run until the index is being built, and kill."""

    def run(victim: str, **environ: str) -> Result:
        with writing():
            running = migrator.start(**environ)
            assert eventually(lambda: target.value(IS_VALID) is False, 10)
            kill(running, victim)
            result = running.finish()
            assert eventually(lambda: not target.rows(WORKERS))
        assert result.exit_code == KILLED[victim]
        return result

    return run


def kill(running: Running, victim: str) -> None:
    worker = worker_of(running.pid)
    assert worker is not None
    if victim != "worker":
        os.kill(running.pid, signal.SIGSTOP)  # so that neither hears of the other's death
    if victim != "runner":
        os.kill(worker, signal.SIGKILL)
    if victim != "worker":
        os.kill(running.pid, signal.SIGKILL)


def assert_told(result: Result, *, committed: list[str], unknown: str | None) -> None:
    """See exit 14 before anything was done, with all that is known."""
    assert result.exit_code == 14, result.last
    last = result.last
    assert (last["committed_statements"], last.get("unknown_statement")) == (committed, unknown)
    assert (last["committed_count"], last["revision"], last["half_applied"]) == (len(committed), "b2", ["b2"])
    assert last["file"].endswith("b2_.py")
    assert "half applied" in last["error"]
    assert [one for one in result.named("hazard.found") if one.get("half_applied_by")]
    for name in ("backup.started", "backup.skipped", "attempt.started"):
        assert not result.named(name)


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("victim", ["runner", "worker", "both"])
def test_killed_after_a_committed_statement_the_next_run_says_what_stands_and_what_to_do(
    migrator: Migrator,
    project: Project,
    target: Target,
    kill_while_building: Callable[..., Result],
    victim: str,
) -> None:
    project.write_revision("b2", upgrade=committing(ALTER, BUILD))
    kill_while_building(victim)
    result = migrator()
    assert_told(result, committed=[ALTER], unknown=BUILD)
    assert result.last["invalid_indexes"] == ["public.busy_id on busy"]
    remedy = result.last["remedy"]
    assert "DROP INDEX CONCURRENTLY IF EXISTS busy_id" in remedy
    assert "ALTER TABLE quiet DROP COLUMN total (loses what was written" in remedy
    assert remedy.index("DROP INDEX") < remedy.index("DROP COLUMN") < remedy.index("alembic stamp b2")
    assert f"`migrator restore {result.last['backup_before']}`" in remedy
    assert "--retry" in remedy
    assert migrator().exit_code == 14
    target.execute("DROP INDEX busy_id")
    target.execute("ALTER TABLE quiet DROP COLUMN total")
    assert migrator("run", "--retry").exit_code == 0
    assert (version(target), target.value(IS_VALID), target.value(NOTES)) == (["b2"], True, 0)


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("driver", ["psycopg2", "asyncpg"])
def test_whichever_driver_the_project_has(
    migrator: Migrator,
    project: Project,
    target: Target,
    kill_while_building: Callable[..., Result],
    driver: str,
) -> None:
    if driver == "asyncpg":
        project.write_env(ASYNC_ENV)
    project.write_revision("b2", upgrade=f"op.execute({ALTER!r})\n{committing(BUILD)}")
    url = target.url.replace("postgresql:", f"postgresql+{driver}:")
    kill_while_building("both", DATABASE_URL=url)
    assert_told(migrator(DATABASE_URL=url), committed=[ALTER], unknown=BUILD)


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("victim", ["runner", "worker", "both"])
@pytest.mark.parametrize(
    "upgrade",
    [
        committing(ALTER),
        f"op.execute({ALTER!r})\nop.get_bind().commit()",
        f"op.execute({ALTER!r})\nop.execute('COMMIT')",
    ],
)
def test_a_commit_is_known_as_soon_as_it_is_one(
    migrator: Migrator, project: Project, target: Target, victim: str, upgrade: str
) -> None:
    project.write_revision("b2", upgrade=f"{upgrade}\nprint('committed')\nimport time; time.sleep(600)")
    running = migrator.start()
    running.wait_for_event("output.captured", message="committed")
    kill(running, victim)
    running.finish()
    assert eventually(lambda: not target.rows(WORKERS))
    assert_told(migrator(), committed=[ALTER], unknown=None)


@pytest.mark.usefixtures("busy")
def test_what_was_rolled_back_with_the_runner_is_not_taken_for_committed(
    migrator: Migrator, project: Project, target: Target
) -> None:
    path = project.write_revision(
        "b2", upgrade=f"op.execute({ALTER!r})\nprint('altered')\nimport time; time.sleep(600)"
    )
    running = migrator.start()
    running.wait_for_event("output.captured", message="altered")
    kill(running, "both")
    running.finish()
    assert eventually(lambda: not target.rows(WORKERS))
    path.write_text(path.read_text().replace("time.sleep(600)", ""))
    result = migrator()
    assert result.exit_code == 0, result.last
    assert target.value("SELECT count(*) FROM migrator.half_applied") == 0


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("victim", ["runner", "worker", "both"])
@pytest.mark.parametrize("statements", [[BUILD], [CALM_BUILD], [CALM_ALTER, CALM_BUILD]])
def test_what_may_certainly_be_repeated_is(
    migrator: Migrator,
    project: Project,
    target: Target,
    kill_while_building: Callable[..., Result],
    victim: str,
    statements: list[str],
) -> None:
    project.write_revision("b2", upgrade=committing(*statements))
    kill_while_building(victim)
    result = migrator()
    assert result.exit_code == 0, result.last
    told = next(one for one in result.named("hazard.found") if one.get("half_applied_by"))
    assert (told["committed_statements"], told["unknown_statement"]) == (statements[:-1], statements[-1])
    assert told["invalid_indexes"] == ["public.busy_id on busy"]
    assert result.events.index(told) < result.events.index(result.named("backup.skipped")[0])
    assert (version(target), target.value(IS_VALID), target.value(NOTES)) == (["b2"], True, 0)


@pytest.mark.usefixtures("busy")
def test_a_drop_that_was_killed_is_sent_again(migrator: Migrator, project: Project, target: Target) -> None:
    target.execute("CREATE INDEX busy_id ON busy (id)")
    project.write_revision("b2", upgrade=committing("DROP INDEX CONCURRENTLY busy_id"))
    with target.connect() as app, app.transaction():
        app.execute("SELECT count(*) FROM busy")
        running = migrator.start()
        assert eventually(lambda: target.value(IS_VALID) is False, 10)
        kill(running, "both")
        running.finish()
        assert eventually(lambda: not target.rows(WORKERS))
    result = migrator()
    assert result.exit_code == 0, result.last
    assert target.value("SELECT to_regclass('busy_id')") is None


@pytest.mark.usefixtures("busy")
def test_a_revision_that_decides_as_it_goes_is_not_repeated(
    migrator: Migrator, project: Project, kill_while_building: Callable[..., Result]
) -> None:
    upgrade = "names = [one['name'] for one in sa.inspect(op.get_bind()).get_columns('quiet')]\n"
    upgrade += f"if 'total' not in names:\n{indented(committing(CALM_ALTER, CALM_BUILD))}"
    project.write_revision("b2", upgrade=upgrade)
    kill_while_building("both")
    result = migrator()
    assert_told(result, committed=[CALM_ALTER], unknown=CALM_BUILD)
    assert "decides as it goes" in result.last["error"]


def indented(code: str) -> str:
    return textwrap.indent(code, "    ")


@pytest.mark.usefixtures("busy")
def test_a_revision_that_was_edited_meanwhile_is_not_repeated(
    migrator: Migrator, project: Project, kill_while_building: Callable[..., Result]
) -> None:
    path = project.write_revision("b2", upgrade=committing(CALM_ALTER, CALM_BUILD))
    kill_while_building("both")
    path.write_text(path.read_text().replace("total int", "total bigint"))
    result = migrator()
    assert_told(result, committed=[CALM_ALTER], unknown=CALM_BUILD)
    assert "not what it was" in result.last["error"]


@pytest.mark.usefixtures("busy")
def test_a_session_that_the_server_ends_midway_leaves_the_same(
    migrator: Migrator, project: Project, target: Target, writing: Callable[[], AbstractContextManager[None]]
) -> None:
    project.write_revision("b2", upgrade=committing(ALTER, BUILD))
    with writing():
        running = migrator.start()
        assert eventually(lambda: target.value(IS_VALID) is False, 10)
        with target.admin() as admin:
            admin.execute(WORKERS.replace("SELECT pid", "SELECT pg_terminate_backend(pid)").encode())
        first = running.finish()
    assert first.exit_code == 34, first.last
    assert_told(migrator(), committed=[ALTER], unknown=BUILD)


@pytest.mark.usefixtures("busy")
def test_what_failed_after_a_commit_is_told_rather_than_remembered(
    migrator: Migrator, project: Project
) -> None:
    project.write_revision("b2", upgrade=f"{committing(ALTER)}\nraise RuntimeError('no')")
    first = migrator()
    assert (first.exit_code, first.last["half_applied"]) == (14, ["b2"])
    assert "`migrator status` shows what is committed of b2" in first.last["remedy"]
    second = migrator()
    assert_told(second, committed=[ALTER], unknown=None)
    assert "remembered_run" not in second.last
    third = migrator("run", "--retry")
    assert third.exit_code == 14
    assert "already exists" in third.last["error"]


@pytest.mark.usefixtures("busy")
def test_a_statement_that_failed_is_neither_committed_nor_in_doubt(
    migrator: Migrator, project: Project, target: Target
) -> None:
    project.write_revision("b2", upgrade=committing("ALTER TABLE busy ADD COLUMN id int"))
    assert migrator().exit_code == 14
    result = migrator()
    assert "remembered_run" in result.last
    assert target.value("SELECT begun FROM migrator.half_applied") is None


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_a_transaction_that_a_revision_begins_by_text_is_written_down_when_it_is_committed(
    migrator: Migrator, project: Project, target: Target, driver: str
) -> None:
    if driver == "asyncpg":
        project.write_env(ASYNC_ENV)
    url = target.url.replace("postgresql:", f"postgresql+{driver}:")
    undone = "ALTER TABLE quiet ADD COLUMN undone int"
    body = committing("BEGIN", undone, "ROLLBACK", "BEGIN", ALTER, "COMMIT")
    project.write_revision("b2", upgrade=f"{body}\nraise RuntimeError('no')")
    assert migrator(DATABASE_URL=url).exit_code == 14
    assert_told(migrator(DATABASE_URL=url), committed=[ALTER], unknown=None)


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_text_that_begins_and_commits_by_itself_is_written_down(
    migrator: Migrator, project: Project, target: Target, driver: str
) -> None:
    url = target.url.replace("postgresql:", f"postgresql+{driver}:")
    text = f"BEGIN; {ALTER}; COMMIT"
    project.write_revision("b2", upgrade=f"{committing(text)}\nraise RuntimeError('no')")
    assert migrator(DATABASE_URL=url).exit_code == 14
    assert_told(migrator(DATABASE_URL=url), committed=[text], unknown=None)


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_ledger_that_may_not_be_written_spoils_no_transaction_that_was_begun_by_text(
    migrator: Migrator, project: Project, target: Target, driver: str
) -> None:
    with target.admin() as admin:
        admin.execute(f"GRANT pg_monitor TO {target.value('SELECT quote_ident(current_user)')}".encode())
    target.execute("GRANT CREATE ON SCHEMA public TO pg_monitor")
    body = committing("BEGIN", "SET LOCAL ROLE pg_monitor", "CREATE TABLE theirs ()", "COMMIT")
    project.write_revision("b2", upgrade=body)
    result = migrator(DATABASE_URL=target.url.replace("postgresql:", f"postgresql+{driver}:"))
    assert result.exit_code == 0, result.last
    (told,) = (one for one in result.named("hazard.found") if "is not kept in the ledger" in one["message"])
    assert "INSERT, UPDATE ON migrator.half_applied" in told["remedy"]


@pytest.mark.usefixtures("busy")
def test_a_procedure_that_failed_midway_may_have_committed(
    migrator: Migrator, project: Project, target: Target
) -> None:
    target.execute(
        "CREATE PROCEDURE fill() LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO busy VALUES (1); COMMIT; PERFORM 1 / 0; END $$"
    )
    project.write_revision("b2", upgrade=committing("CALL fill()"))
    assert migrator().exit_code == 14
    assert_told(migrator(), committed=[], unknown="CALL fill()")
    assert target.value("SELECT count(*) FROM busy") == 1


@pytest.mark.usefixtures("busy")
def test_nothing_is_missing_of_a_transaction_that_could_only_read(
    migrator: Migrator, project: Project, target: Target
) -> None:
    target.execute("CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    project.write_revision(
        "b2",
        upgrade="""
            op.execute("COMMIT")
            op.execute("SET TRANSACTION READ ONLY")
            op.execute("SELECT one()")
            op.execute("COMMIT")
        """,
    )
    result = migrator()
    assert not [one for one in result.named("hazard.found") if "ledger" in one["message"]]


@pytest.mark.usefixtures("busy")
def test_values_are_not_kept(migrator: Migrator, project: Project, target: Target) -> None:
    secret = "jane@secret.example"
    project.write_revision(
        "b2",
        upgrade=f"""
            with op.get_context().autocommit_block():
                op.execute("CREATE TABLE people (email text DEFAULT '{secret}')")
                op.get_bind().execute(sa.text("INSERT INTO people VALUES (:email)"), {{"email": "{secret}"}})
            raise RuntimeError("no")
        """,
    )
    assert migrator().exit_code == 14
    result = migrator()
    assert result.last["committed_statements"][0] == "CREATE TABLE people (email text DEFAULT ?)"
    assert result.last["committed_count"] == 2
    assert secret not in result.stdout
    assert not target.rows("SELECT FROM migrator.half_applied h WHERE h::text LIKE '%secret%'")


@pytest.mark.usefixtures("busy")
def test_every_statement_is_counted_and_the_first_are_kept(migrator: Migrator, project: Project) -> None:
    many = committing(*(f"ALTER TABLE busy ADD COLUMN c{number} int" for number in range(25)))
    project.write_revision("b2", upgrade=f"{many}\nraise RuntimeError('no')")
    assert migrator().exit_code == 14
    last = migrator().last
    assert (last["committed_count"], len(last["committed_statements"])) == (25, 20)
    assert "5 more that are not kept" in last["remedy"]


@pytest.mark.usefixtures("busy")
def test_what_plain_alembic_has_finished_is_no_longer_half_applied(
    migrator: Migrator, project: Project, target: Target, kill_while_building: Callable[..., Result]
) -> None:
    project.write_revision("b2", upgrade=committing(ALTER, BUILD))
    kill_while_building("both")
    target.execute("DROP INDEX busy_id")
    target.execute("ALTER TABLE quiet DROP COLUMN total")
    url = target.url.replace("postgresql:", "postgresql+psycopg:").replace("%", "%%")
    project.ini(INI.replace("driver://user:pass@localhost/dbname", url))
    subprocess.run([sys.executable, "-m", "alembic", "upgrade", "head"], cwd=project.folder, check=True)
    assert version(target) == ["b2"]
    result = migrator()
    assert result.exit_code == 0, result.last
    assert not [one for one in result.named("hazard.found") if one.get("half_applied_by")]
    assert target.value(NOTES) == 0


TENANTS = """
import sqlalchemy as sa
from alembic import context
from sqlalchemy import engine_from_config

engine = engine_from_config(context.config.get_section("alembic"), prefix="sqlalchemy.")
for schema in ("one", "two"):
    with engine.connect() as connection:
        connection.execute(sa.text("SET search_path TO " + schema))
        connection.commit()
        context.configure(connection=connection, version_table_schema=schema)
        with context.begin_transaction():
            context.run_migrations()
"""


def test_a_tenant_that_has_the_revision_is_not_half_applied_beside_one_that_has_not(
    migrator: Migrator, project: Project, target: Target
) -> None:
    target.execute("CREATE SCHEMA one; CREATE SCHEMA two")
    project.write_env(TENANTS)
    divide = "op.execute(\"SELECT 1 / CASE current_schema() WHEN 'two' THEN 0 ELSE 1 END\")"
    project.write_revision("b2", upgrade=f"{committing('CREATE TABLE half ()')}\n{divide}")
    assert migrator(MIGRATOR_BACKUP="off").exit_code == 14
    assert target.value("SELECT count(*) FROM migrator.half_applied") == 2
    result = migrator(MIGRATOR_BACKUP="off")
    assert_told(result, committed=["CREATE TABLE half ()"], unknown=None)
    assert len(result.named("hazard.found")) == 1
    target.execute("DROP TABLE two.half")
    path = next(project.versions.glob("b2*"))
    path.write_text(path.read_text().replace(divide, ""))
    assert migrator("run", "--retry", MIGRATOR_BACKUP="off").exit_code == 0
    assert target.value(NOTES) == 0


@pytest.mark.usefixtures("busy")
def test_without_a_ledger_it_is_said_that_nobody_can_tell(
    migrator: Migrator, project: Project, target: Target
) -> None:
    project.write_revision("b2", upgrade=f"{committing(ALTER)}\nraise RuntimeError('no')")
    first = migrator(MIGRATOR_LEDGER="off")
    assert any("nobody can tell how far" in one["message"] for one in first.named("hazard.found"))
    second = migrator(MIGRATOR_LEDGER="off")
    assert second.exit_code == 14
    assert "already exists" in second.last["error"]
    assert target.value("SELECT count(*) FROM migrator.half_applied") == 0


@pytest.mark.usefixtures("busy")
def test_a_ledger_that_the_migrating_session_may_not_write_changes_nothing(
    migrator: Migrator, project: Project, target: Target
) -> None:
    project.write_revision(
        "b2",
        upgrade=f"""
            op.execute("ALTER TABLE migrator.half_applied RENAME TO elsewhere")
{indented(indented(indented(committing(ALTER))))}
        """,
    )
    result = migrator()
    assert result.exit_code == 0, result.last
    assert any("is not kept in the ledger" in one["message"] for one in result.named("hazard.found"))
    assert version(target) == ["b2"]


@pytest.mark.usefixtures("busy")
def test_status_shows_it(
    migrator: Migrator, project: Project, kill_while_building: Callable[..., Result]
) -> None:
    project.write_revision("b2", upgrade=committing(ALTER, BUILD))
    kill_while_building("runner")
    text = migrator.start("status", MIGRATOR_LOG_FORMAT="text").finish().stdout
    assert "in part    b2: 1 statement committed" in text
    assert f"perhaps: {BUILD}" in text
    told = migrator.start("status", "--json", MIGRATOR_LOG_FORMAT="text").finish().stdout
    assert '"half_applied"' in told
