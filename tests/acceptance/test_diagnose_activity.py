"""Diagnose, activity: what stands in the way right now, and the statement that ends it."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from functools import partial

import pytest

from migrator.demo.cluster import Cluster
from migrator.diagnosis.checks import activity
from migrator.diagnosis.finding import Verdict
from tests.support.journal import write_journal
from tests.support.patient import asked, named, patient_of
from tests.support.project import Project
from tests.support.runner import Migrator
from tests.support.target import Target, target_on
from tests.support.waiting import eventually

# The same with limits that nobody need wait for.
LONG = partial(activity.long_transactions, longest=timedelta(0))
IDLE = partial(activity.idle_transactions, longest=timedelta(0))
SLOTS = partial(activity.slots, most_bytes=0)


def verdicts(migrator: Migrator, id_: str) -> list[Verdict]:
    """How one check answers now."""
    return [one.verdict for one in asked(named(activity.CHECKS, id_), patient_of(migrator))]


def test_an_idle_database_is_in_nobodys_way(migrator: Migrator, project: Project) -> None:
    write_journal(project, "a1")
    for check in activity.CHECKS:
        assert [one.verdict for one in asked(check, patient_of(migrator))] == [Verdict.PASS], check.id


def test_a_long_transaction_is_named_and_the_remedy_ends_it(migrator: Migrator, target: Target) -> None:
    patient = patient_of(migrator)
    target.execute("CREATE TABLE notes (words text)")
    with closing(target.connect(application_name="nightly report")) as session:
        session.pgconn.send_query(b"BEGIN; LOCK notes IN SHARE MODE; SELECT pg_sleep(600), 'a secret'")
        session.pgconn.flush()
        assert eventually(lambda: [one.verdict for one in asked(LONG, patient)] == [Verdict.WARN])
        (found,) = asked(LONG, patient)
        assert f"nightly report (pid {session.info.backend_pid}, role {target.user}" in found.seen
        assert "ShareLock on notes" in found.seen
        assert "a secret" not in str(found)
        assert verdicts(migrator, "activity.idle") == [Verdict.PASS]
        assert verdicts(migrator, "activity.transactions") == [Verdict.PASS]  # it is not a minute old
        target.execute(found.remedy)
        assert eventually(lambda: [one.verdict for one in asked(LONG, patient)] == [Verdict.PASS])


def test_a_session_that_is_idle_in_a_transaction_is_named_and_the_remedy_ends_it(
    migrator: Migrator, target: Target
) -> None:
    patient = patient_of(migrator)
    target.execute("CREATE TABLE notes (words text)")
    with closing(target.connect()) as session:
        session.execute("BEGIN")
        session.execute("SELECT * FROM notes")
        (found,) = asked(IDLE, patient)
        assert found.verdict is Verdict.WARN
        assert "AccessShareLock on notes" in found.seen
        target.execute(found.remedy)
        assert eventually(lambda: [one.verdict for one in asked(IDLE, patient)] == [Verdict.PASS])


def test_what_is_hidden_from_the_role_is_said(migrator: Migrator, target: Target) -> None:
    with target.admin() as session:
        session.execute("BEGIN")
        (found,) = asked(IDLE, patient_of(migrator))
    assert found.verdict is Verdict.PASS
    assert "1 session hidden from this role" in found.seen


@pytest.fixture
def preparing(target: Target) -> Iterator[Target]:
    """A target on a server of its own that lets transactions be prepared."""
    with (
        Cluster.start(target.cluster.binaries, settings={"max_prepared_transactions": "2"}) as cluster,
        target_on(cluster) as there,
    ):
        yield there


def test_a_prepared_transaction_is_named_and_the_remedy_ends_it(
    migrator: Migrator, preparing: Target
) -> None:
    patient = patient_of(migrator, DATABASE_URL=preparing.url)
    check = named(activity.CHECKS, "activity.prepared")
    with preparing.connect() as session:
        session.execute("BEGIN")
        session.execute("CREATE TABLE notes (words text)")
        session.execute("PREPARE TRANSACTION 'it''s lost'")
    (found,) = asked(check, patient)
    assert found.verdict is Verdict.WARN
    assert "it's lost" in found.seen
    preparing.execute(found.remedy)
    assert asked(check, patient)[0].verdict is Verdict.PASS


def test_a_replication_slot_that_holds_wal_is_named_and_the_remedy_drops_it(
    migrator: Migrator, target: Target
) -> None:
    patient = patient_of(migrator)
    name = f"standby_{target.database}"
    with target.admin() as session:
        session.execute("SELECT pg_create_physical_replication_slot(%s, true)", [name])
        session.execute("SELECT pg_switch_wal()")
        session.execute("CHECKPOINT")
        found = [one for one in asked(SLOTS, patient) if one.facts.get("slot") == name]
        assert [one.verdict for one in found] == [Verdict.WARN]
        assert f"slot {name}, used by nobody, keeps " in found[0].seen
        assert verdicts(migrator, "activity.slots") == [Verdict.PASS]  # it is not a gigabyte
        session.execute(found[0].remedy.encode())
        assert not [one for one in asked(SLOTS, patient) if one.facts.get("slot") == name]


def test_another_runner_and_what_it_waits_for_are_named(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    project.write_revision("b2", upgrade="op.execute('ALTER TABLE journal ADD COLUMN extra int')")
    with closing(target.connect(application_name="report")) as session:
        session.execute("BEGIN")
        session.execute("SELECT * FROM journal")
        run = migrator.start(MIGRATOR_LOCK_TIMEOUT="0", MIGRATOR_BACKUP="off", MIGRATOR_RELEASE="1.4")
        run.wait_for_event("revision.blocked")
        patient = patient_of(migrator)
        (runner,) = asked(named(activity.CHECKS, "activity.runners"), patient)
        (blocked,) = asked(named(activity.CHECKS, "activity.blocked"), patient)
        assert (runner.verdict, blocked.verdict) == (Verdict.WARN, Verdict.WARN)
        assert "release 1.4" in runner.seen
        assert migrator("status", MIGRATOR_LOG_FORMAT="text").exit_code == 0
        assert runner.remedy == "migrator status"
        assert "AccessShareLock on journal" in blocked.seen
        target.execute(blocked.remedy)
        assert run.finish().exit_code == 0
    assert verdicts(migrator, "activity.runners") == [Verdict.PASS]


def test_a_session_that_outlives_its_run_is_named_and_the_remedy_ends_it(
    migrator: Migrator, target: Target
) -> None:
    with closing(target.connect()) as session:
        session.execute("SELECT pg_advisory_lock_shared(1296519764, 2)")
        (found,) = asked(named(activity.CHECKS, "activity.runners"), patient_of(migrator))
        assert found.verdict is Verdict.WARN
        assert f"pid {session.info.backend_pid}" in found.seen
        target.execute(found.remedy)
        assert eventually(lambda: verdicts(migrator, "activity.runners") == [Verdict.PASS])


@pytest.fixture
def freezing(target: Target) -> Iterator[Target]:
    """A target on a server of its own, where autovacuum freezes the table `notes`, and takes long for it."""
    settings = {"autovacuum": "on", "autovacuum_naptime": "1s"}
    with Cluster.start(target.cluster.binaries, settings=settings) as cluster, target_on(cluster) as there:
        with there.admin() as session:
            session.execute(f"GRANT pg_read_all_stats TO {there.user}".encode())
        there.execute(
            "CREATE TABLE notes WITH (autovacuum_freeze_max_age = 100000, autovacuum_vacuum_cost_limit = 1, "
            "autovacuum_vacuum_cost_delay = 100) AS SELECT repeat('x', 1000) FROM generate_series(1, 5000)"
        )
        there.execute(
            "DO 'BEGIN FOR i IN 1..110000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END'"
        )
        yield there


def test_a_table_that_is_being_frozen_is_named_if_a_pending_revision_alters_it(
    migrator: Migrator, project: Project, freezing: Target
) -> None:
    check = named(activity.CHECKS, "activity.wraparound")
    project.write_revision("a0")
    freezing.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
    freezing.execute("INSERT INTO alembic_version VALUES ('a0')")
    patient = patient_of(migrator, DATABASE_URL=freezing.url)
    assert eventually(lambda: "1 other table elsewhere" in asked(check, patient)[0].seen, seconds=60)
    project.write_revision("a1", upgrade="op.drop_column('notes', 'repeat')")
    (found,) = asked(check, patient)
    assert found.verdict is Verdict.WARN
    assert "freezes notes, which a pending revision alters" in found.seen
    assert freezing.rows(found.remedy)
