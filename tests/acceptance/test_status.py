"""Status: what it tells of each state, of who leads and of the last runs; exit 0 whenever it could look."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from migrator.demo.cluster import free_port
from tests.support.environment import env_with
from tests.support.journal import write_journal
from tests.support.project import Project
from tests.support.runner import Migrator, Result
from tests.support.target import AWKWARD, Target
from tests.support.waiting import eventually

COMPUTED = "table = ''.join(['alembic', '_', 'version'])"


@pytest.fixture
def status(migrator: Migrator) -> Callable[..., Result]:
    """Print the status as text."""

    def ask(**environ: str | None) -> Result:
        given: dict[str, str | None] = {"MIGRATOR_LOG_FORMAT": "text", "MIGRATOR_BACKUP_URL": None}
        return migrator.start("status", **{**given, **environ}).finish()

    return ask


@pytest.fixture
def facts(migrator: Migrator) -> Callable[..., dict[str, Any]]:
    """Print the status as JSON, and read it."""

    def ask(**environ: str | None) -> dict[str, Any]:
        given: dict[str, str | None] = {"MIGRATOR_LOG_FORMAT": "text"}
        result = migrator.start("status", "--json", **{**given, **environ}).finish()
        assert result.exit_code == 0, result.stderr
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    return ask


@pytest.fixture
def reader(target: Target) -> Iterator[Target]:
    """The target, as a role sees it that may connect and nothing else."""
    name, password = f"reader_of_{target.database}", f"{AWKWARD}reader"
    target.cluster.create_role(name, password)
    yield dataclasses.replace(target, user=name, password=password)
    with target.admin() as session:
        session.execute(f"DROP OWNED BY {name}".encode())
        session.execute(f"DROP ROLE {name}".encode())


@pytest.mark.usefixtures("any_cluster")
def test_a_fresh_database(facts: Callable[..., dict[str, Any]], project: Project, target: Target) -> None:
    write_journal(project, "a1", "b2")
    told = facts(MIGRATOR_RELEASE="1.4", MIGRATOR_APP="shop")
    assert (told["state"], told["opens_gate"], told["heads"], told["targets"]) == ("fresh", False, [], ["b2"])
    assert [one["revision"] for one in told["pending"]] == ["a1", "b2"]
    assert told["pending"][0]["doc"] == "Revision a1"
    assert (told["database"], told["release"], told["app"]) == (target.database, "1.4", "shop")
    assert told["server_version"].split(".")[0] == str(target.cluster.binaries.major)
    assert (told["leader"], told["ledger"], told["runs"]) == (None, "none", [])
    assert told["version_tables"] == [
        {"schema": None, "name": "alembic_version", "exists": False, "rows": []}
    ]


@pytest.mark.usefixtures("any_cluster")
def test_a_current_database_and_its_runs(
    facts: Callable[..., dict[str, Any]], migrator: Migrator, project: Project
) -> None:
    write_journal(project, "a1", "b2")
    assert migrator(MIGRATOR_RELEASE="1.3").exit_code == 0
    project.write_revision("c3", upgrade="raise ValueError('no\\x1b[31m way')")
    assert migrator(MIGRATOR_RELEASE="1.4").exit_code == 14
    told = facts()
    assert (told["state"], told["heads"], told["ledger"]) == ("pending", ["b2"], "readable")
    failed, succeeded = told["runs"]
    assert (failed["release"], failed["exit_code"], failed["revisions_applied"]) == ("1.4", 14, 0)
    assert "c3" in failed["error"]
    assert (succeeded["release"], succeeded["outcome"], succeeded["exit_code"]) == ("1.3", "ok", 0)
    assert (succeeded["revisions_applied"], succeeded["heads_after"]) == (2, ["b2"])
    assert succeeded["started"].endswith("Z")
    assert succeeded["started"] <= succeeded["finished"]


def test_a_person_reads_it(
    status: Callable[..., Result], migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    assert migrator(MIGRATOR_RELEASE="1.3").exit_code == 0
    project.write_revision("b2", upgrade="raise ValueError('no\\x1b[31m way')")
    assert migrator(MIGRATOR_RELEASE="1.4").exit_code == 14
    result = status(MIGRATOR_RELEASE="1.4")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"database   {target.database} on 127.0.0.1:{target.port}, PostgreSQL ")
    assert "state      pending: at a1, to reach b2" in lines
    assert "pending    1 revision" in lines
    assert "             b2  Revision b2" in lines
    assert "leader     nobody" in lines
    assert any(line.startswith("last runs  ") and "1.4  migration failed, exit 14" in line for line in lines)
    assert any("1.3  ok, exit 0                 1 revision" in line for line in lines)
    assert "\x1b" not in result.stdout
    assert target.password not in result.stdout


def test_who_leads_is_told_with_progress(
    facts: Callable[..., dict[str, Any]],
    status: Callable[..., Result],
    migrator: Migrator,
    project: Project,
    target: Target,
) -> None:
    write_journal(project, "a1", "b2")
    project.write_revision("c3", upgrade="op.execute('SELECT pg_sleep(600)')")
    run = migrator.start(MIGRATOR_RELEASE="1.4")
    event = run.wait_for_event("revision.started", revision="c3")
    assert eventually(lambda: target.value("SELECT position FROM migrator.run") == 3)
    leader = facts()["leader"]
    assert (leader["run_id"], leader["release"]) == (event["run_id"], "1.4")
    assert (leader["position"], leader["planned"], leader["revision"]) == (3, 3, "c3")
    assert leader["since"].endswith("Z")
    assert "release 1.4 is applying revision 3 of 3 (c3) since " in status().stdout
    assert facts()["runs"][0]["outcome"] == "running"
    run.kill()
    lost = facts()
    assert (lost["leader"], lost["runs"][0]["outcome"]) == (None, "lost")


def test_a_version_table_that_the_leader_has_locked_still_says_who_leads(
    facts: Callable[..., dict[str, Any]], migrator: Migrator, project: Project
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    project.write_revision(
        "b2",
        upgrade="op.execute('ALTER TABLE alembic_version ALTER version_num TYPE varchar(64)')\n"
        "op.execute('SELECT pg_sleep(600)')",
    )
    run = migrator.start(MIGRATOR_BACKUP="off")
    run_id = run.wait_for_event("revision.started", revision="b2")["run_id"]
    assert eventually(lambda: facts()["state"] is None)
    told = facts()
    assert "locked" in told["reason"]
    assert run_id in told["leader"]["application"]


def test_a_version_table_that_only_env_py_knows(
    facts: Callable[..., dict[str, Any]], migrator: Migrator, project: Project
) -> None:
    project.write_env(env_with(header=COMPUTED, options="version_table=table"))
    write_journal(project, "a1")
    told = facts()
    assert (told["state"], told["heads"], told["version_tables"]) == (None, None, [])
    assert "MIGRATOR_VERSION_TABLE" in told["reason"]
    assert facts(MIGRATOR_VERSION_TABLE="alembic_version")["state"] == "fresh"
    assert migrator().exit_code == 0
    assert facts()["state"] == "current"


def test_a_state_that_must_not_be_is_told_with_exit_0(
    facts: Callable[..., dict[str, Any]], project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    target.execute("CREATE TABLE alembic_version (revision text)")
    told = facts()
    assert (told["state"], told["opens_gate"]) == ("corrupt", False)
    assert "version_num" in told["reason"]


def test_who_keeps_a_migration_waiting_is_told_while_it_waits(
    facts: Callable[..., dict[str, Any]],
    status: Callable[..., Result],
    migrator: Migrator,
    project: Project,
    target: Target,
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    assert facts()["blockers"] == []
    project.write_revision("b2", upgrade="op.execute('ALTER TABLE journal ADD COLUMN extra int')")
    with target.connect(application_name="nightly report") as session, session.transaction():
        session.execute("SELECT count(*) FROM journal WHERE revision <> 'a secret'")
        run = migrator.start(MIGRATOR_LOCK_TIMEOUT="0", MIGRATOR_BACKUP="off")
        run.wait_for_event("revision.blocked")
        (blocker,) = facts()["blockers"]
        text = status().stdout
        assert (blocker["pid"], blocker["role"]) == (session.info.backend_pid, target.user)
    assert run.finish().exit_code == 0
    assert (blocker["application"], blocker["host"]) == ("nightly report", target.host)
    assert (blocker["state"], blocker["holds"]) == ("idle in transaction", "AccessShareLock on journal")
    assert blocker["age_seconds"] >= 0
    assert blocker["query"] == "SELECT count(*) FROM journal WHERE revision <> ?"
    assert f"blocked by nightly report (pid {blocker['pid']}, role {target.user}, " in text
    assert "a secret" not in text


def test_of_a_blocker_that_is_hidden_the_grant_is_told(
    facts: Callable[..., dict[str, Any]],
    status: Callable[..., Result],
    migrator: Migrator,
    project: Project,
    target: Target,
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    project.write_revision("b2", upgrade="op.execute('ALTER TABLE journal ADD COLUMN extra int')")
    with target.admin() as session, session.transaction():
        session.execute("SET LOCAL application_name = 'the DBA'")
        session.execute("SELECT count(*) FROM journal")
        run = migrator.start(MIGRATOR_LOCK_TIMEOUT="0", MIGRATOR_BACKUP="off")
        run.wait_for_event("revision.blocked")
        (blocker,) = facts()["blockers"]
        text = status().stdout
    assert run.finish().exit_code == 0
    assert (blocker["application"], blocker["age_seconds"], blocker["query"]) == ("the DBA", None, None)
    assert "GRANT pg_read_all_stats to this role" in text


def test_what_stands_unfinished_is_told_with_its_remedy(
    facts: Callable[..., dict[str, Any]], status: Callable[..., Result], project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    target.execute(
        "CREATE TABLE busy (i int); INSERT INTO busy VALUES (1), (1);"
        "ALTER TABLE busy ADD CONSTRAINT positive CHECK (i > 0) NOT VALID"
    )
    with pytest.raises(psycopg.errors.UniqueViolation):
        target.execute("CREATE UNIQUE INDEX CONCURRENTLY ix_busy ON busy (i)")
    drop = 'DROP INDEX CONCURRENTLY "public"."ix_busy"'
    rebuild = 'REINDEX INDEX CONCURRENTLY "public"."ix_busy"'
    validate = 'ALTER TABLE "public"."busy" VALIDATE CONSTRAINT "positive"'
    told = facts()
    assert told["invalid_indexes"] == [
        {"schema": "public", "name": "ix_busy", "table": "busy", "remedy": f"{rebuild}, or {drop}"}
    ]
    assert told["unvalidated_constraints"] == [
        {"schema": "public", "name": "positive", "table": "busy", "remedy": validate}
    ]
    lines = status().stdout.splitlines()
    assert f"INVALID    index public.ix_busy on busy: {rebuild}, or {drop}" in lines
    assert f"NOT VALID  positive on public.busy: {validate}" in lines
    target.execute(drop)
    target.execute(validate)
    assert (facts()["invalid_indexes"], facts()["unvalidated_constraints"]) == ([], [])


def test_who_may_not_read_the_ledger_is_told_the_grant(
    status: Callable[..., Result],
    facts: Callable[..., dict[str, Any]],
    migrator: Migrator,
    project: Project,
    target: Target,
    reader: Target,
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    denied = status(DATABASE_URL=reader.url)
    assert denied.exit_code == 16
    assert "GRANT SELECT" in denied.stderr
    target.execute(f"GRANT SELECT ON alembic_version TO {reader.user}")
    told = facts(DATABASE_URL=reader.url)
    assert (told["state"], told["ledger"], told["runs"]) == ("current", "hidden", [])
    assert "GRANT USAGE ON SCHEMA migrator" in status(DATABASE_URL=reader.url).stdout


def test_nobody_listens(status: Callable[..., Result], project: Project, target: Target) -> None:
    write_journal(project, "a1")
    url = target.at(target.host, free_port()).url
    result = status(DATABASE_URL=url, MIGRATOR_WAIT_TIMEOUT="500ms")
    assert (result.exit_code, result.stdout) == (30, "")
    assert "refused" in result.stderr


def test_a_standby_or_read_only_database_can_be_looked_at(
    facts: Callable[..., dict[str, Any]], project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    target.execute(f"ALTER DATABASE {target.database} SET default_transaction_read_only = on")
    assert facts()["state"] == "fresh"


def test_what_is_pending_is_not_known_where_there_is_no_version(
    facts: Callable[..., dict[str, Any]], status: Callable[..., Result], project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    target.execute("CREATE TABLE journal (revision text, at timestamptz)")
    told = facts()
    assert (told["state"], told["pending"]) == ("unversioned", None)
    assert "pending    not known: `migrator adopt` finds out" in status().stdout
