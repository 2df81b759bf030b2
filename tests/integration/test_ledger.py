"""The ledger: made by an ordinary owner, made once, and never in the way of who may not read it."""

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from migrator.clock import Stop
from migrator.errors import AccessDenied, DatabaseUnavailable, MigratorError
from migrator.ledger import (
    Digests,
    Ledger,
    LedgerView,
    RunEnd,
    RunStart,
    read_digests,
    read_last_try,
    read_ledger,
)
from migrator.ledger.halves import read_half_applied
from migrator.model import RevisionId, VersionTable
from migrator.postgres.session import Connector, Session
from migrator.settings import Dsn
from tests.support.target import Target

pytestmark = pytest.mark.postgres()

A1, B2, C3 = map(RevisionId, ("a1", "b2", "c3"))
WHEN = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
START = RunStart("42", "shop", "1.2", "sha256:abc", (A1,), "as ever")
NO_DIGESTS = Digests(1, {})

# What version 1 made, with what a run of it may have left.
VERSION_1 = """
CREATE SCHEMA migrator;
CREATE TABLE migrator.run (
    id text PRIMARY KEY, app text NOT NULL, release text NOT NULL, release_digest text,
    started_at timestamptz NOT NULL, finished_at timestamptz, outcome text, exit_code int,
    heads_before text[] NOT NULL, heads_after text[], backup_location text, backup_sha256 text, error text
);
CREATE TABLE migrator.revision (
    id text PRIMARY KEY, parents text[] NOT NULL, digest text, applied_at timestamptz, run_id text,
    found boolean NOT NULL
);
CREATE TABLE migrator.version_table (
    history text NOT NULL, schema_name text NOT NULL, table_name text NOT NULL,
    PRIMARY KEY (history, schema_name, table_name)
);
COMMENT ON SCHEMA migrator IS 'migrator ledger, version 1';
INSERT INTO migrator.run VALUES
    ('41', 'shop', '1.1', 'sha256:abc', '2026-05-04', '2026-05-05', 'migration_failed', 14, '{a1}', '{a1}',
    '/b', 'c', 'it broke');
INSERT INTO migrator.revision VALUES
    ('a1', '{}', NULL, NULL, NULL, true), ('b2', '{a1}', NULL, '2026-05-04', '41', false);
INSERT INTO migrator.version_table VALUES ('a1', 'public', 'alembic_version');
"""
COMMENT = "SELECT obj_description(to_regnamespace('migrator')::oid, 'pg_namespace')"


@pytest.fixture
def session(connector: Connector) -> Iterator[Session]:
    with connector.open() as session:
        yield session


@pytest.fixture
def ledger(session: Session) -> Ledger:
    return Ledger.open(session)


def test_without_a_ledger_nothing_is_known(session: Session) -> None:
    assert read_ledger(session, "a1", with_parents=True) == LedgerView(may_keep=True)


def test_an_ordinary_owner_makes_its_ledger(target: Target, ledger: Ledger, session: Session) -> None:
    assert isinstance(ledger, Ledger)
    assert read_ledger(session, "a1") == LedgerView(exists=True, may_keep=True)
    owners = target.rows(
        "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class"
        " WHERE relnamespace = 'migrator'::regnamespace"
    )
    assert owners == [(target.user,)]


@pytest.mark.usefixtures("ledger")
def test_a_ledger_that_is_there_is_opened_without_a_write(connector: Connector) -> None:
    with connector.open() as session:
        session.rows("SET default_transaction_read_only = on")
        Ledger.open(session)


def test_a_ledger_that_lacks_a_table_is_completed(target: Target, session: Session) -> None:
    target.execute("CREATE SCHEMA migrator; CREATE TABLE migrator.stranger ()")
    Ledger.open(session).begin(START)
    assert target.rows("SELECT id FROM migrator.run") == [("42",)]
    assert target.value("SELECT to_regclass('migrator.stranger')") is not None


def test_a_role_that_may_not_create_a_schema_is_told(target: Target, session: Session) -> None:
    with target.admin() as admin:
        admin.execute(f'ALTER DATABASE "{target.database}" OWNER TO postgres'.encode())
        with pytest.raises(MigratorError) as refusal:
            Ledger.open(session)
        assert isinstance(refusal.value, AccessDenied)
        admin.execute(f'ALTER DATABASE "{target.database}" OWNER TO "{target.user}"'.encode())
    assert target.value("SELECT to_regnamespace('migrator')") is None


def test_a_ledger_that_is_locked_is_not_waited_for_long(target: Target, session: Session) -> None:
    target.execute("CREATE SCHEMA migrator")
    with target.admin() as other:
        other.execute("BEGIN; COMMENT ON SCHEMA migrator IS 'locked'")
        with pytest.raises(MigratorError, match="lock timeout"):
            Ledger.open(session)


def test_who_may_not_read_the_ledger_knows_nothing(target: Target, session: Session, ledger: Ledger) -> None:
    ledger.record_version_tables("a1", [VersionTable("alembic_version", "public")], [A1])
    with target.admin() as admin:
        admin.execute("ALTER TABLE migrator.version_table OWNER TO postgres")
        assert read_ledger(session, "a1", with_parents=True) == LedgerView()
        admin.execute("ALTER SCHEMA migrator OWNER TO postgres")
        assert read_ledger(session, "a1", with_parents=True) == LedgerView()
        admin.execute("DROP SCHEMA migrator CASCADE")


def test_a_role_without_any_privilege_on_the_ledger_knows_nothing_and_is_not_told_off(
    target: Target, ledger: Ledger
) -> None:
    ledger.record_version_tables("a1", [VersionTable("alembic_version", "public")], [A1])
    ledger.record_revisions({A1: ()}, NO_DIGESTS, run_id="41", applied={})
    gate = f"gate_{target.user}"
    with target.admin() as admin:
        admin.execute(f"CREATE ROLE {gate} LOGIN PASSWORD 'gate'")
        try:
            stranger = dataclasses.replace(target, user=gate, password="gate")
            with Connector(Dsn.parse(stranger.url), "migrator gate", Stop()).open() as session:
                assert read_ledger(session, "a1", with_parents=True) == LedgerView()
                admin.execute(f"GRANT USAGE ON SCHEMA migrator TO {gate}")
                assert read_ledger(session, "a1", with_parents=True) == LedgerView()
                admin.execute(f"GRANT SELECT ON migrator.version_table TO {gate}")
                assert read_ledger(session, "a1", with_parents=True) == LedgerView()
                admin.execute(f"GRANT SELECT ON migrator.revision TO {gate}")
                view = read_ledger(session, "a1", with_parents=True)
            assert (view.exists, view.parents, view.may_keep) == (True, {A1: frozenset()}, False)
        finally:
            admin.execute(f"DROP OWNED BY {gate}; DROP ROLE {gate}")


def test_who_looks_does_not_wait_for_a_lock_on_the_ledger(
    target: Target, session: Session, ledger: Ledger
) -> None:
    assert ledger
    with target.admin() as other:
        other.execute("BEGIN; LOCK migrator.version_table")
        with pytest.raises(DatabaseUnavailable):
            read_ledger(session, "a1")


def test_a_ledger_of_version_1_is_brought_up_to_date_with_all_it_holds(
    target: Target, session: Session
) -> None:
    target.execute(VERSION_1)
    before = read_ledger(session, "a1", with_parents=True)
    assert (before.version_tables, before.heads) == ((VersionTable("alembic_version", "public"),), None)
    assert (read_digests(session, 1), read_last_try(session, "as ever")) == ({}, None)
    ledger = Ledger.open(session)
    assert target.value(COMMENT) == "migrator ledger, version 3"
    assert read_ledger(session, "a1", with_parents=True) == before
    assert target.rows("SELECT id, exit_code, error, planned, circumstances FROM migrator.run") == [
        ("41", 14, "it broke", None, None)
    ]
    ledger.begin(START)
    ledger.record_revisions({A1: (), B2: (A1,)}, Digests(1, {A1: "x", B2: "y"}), run_id="42", applied={})
    assert read_digests(session, 1) == {A1: "x", B2: "y"}
    assert target.rows("SELECT id, run_id, found FROM migrator.revision ORDER BY id") == [
        ("a1", None, True),
        ("b2", "41", False),
    ]


def test_an_older_migrator_that_claims_the_ledger_loses_nothing(
    target: Target, session: Session, ledger: Ledger
) -> None:
    ledger.begin(START)
    target.execute("COMMENT ON SCHEMA migrator IS 'migrator ledger, version 1'")
    target.execute(  # as version 1 wrote it
        "INSERT INTO migrator.run (id, app, release, release_digest, started_at, heads_before) "
        "VALUES ('43', 'shop', '1.1', 'x', now(), '{}')"
    )
    Ledger.open(session)
    assert target.value(COMMENT) == "migrator ledger, version 3"
    assert target.rows("SELECT id, circumstances FROM migrator.run ORDER BY id") == [
        ("42", "as ever"),
        ("43", None),
    ]


def test_a_newer_ledger_is_used_as_it_is(target: Target, session: Session, ledger: Ledger) -> None:
    assert ledger
    target.execute(
        "ALTER TABLE migrator.run ADD weather text; ALTER TABLE migrator.revision ADD mood text;"
        "ALTER TABLE migrator.version_table ADD age int; CREATE TABLE migrator.more (id int);"
        "COMMENT ON SCHEMA migrator IS 'migrator ledger, version 4'"
    )
    newer = Ledger.open(session)
    newer.begin(START)
    newer.end("42", RunEnd("migration_failed", 14, (A1,), error="it broke"))
    newer.record_version_tables("a1", [VersionTable("alembic_version", "public")], [A1])
    newer.record_revisions({A1: ()}, Digests(1, {A1: "x"}), run_id="42", applied={A1: WHEN})
    view = read_ledger(session, "a1", with_parents=True)
    assert (view.heads, view.parents) == (frozenset({A1}), {A1: frozenset()})
    assert read_digests(session, 1) == {A1: "x"}
    assert read_last_try(session, "as ever") is not None
    assert target.value(COMMENT) == "migrator ledger, version 4"


def test_a_run_is_recorded_from_its_beginning_to_its_end(target: Target, ledger: Ledger) -> None:
    columns = (
        "SELECT app, release, release_digest, now() - started_at < '10s', heads_before, finished_at IS NULL, "
        "exit_code FROM migrator.run"
    )
    ledger.begin(START)
    assert target.rows(columns) == [("shop", "1.2", "sha256:abc", True, ["a1"], True, None)]
    ledger.end("42", RunEnd("migration_failed", 14, (B2,), "/backups/x", "abc", "it broke", "mend it"))
    assert target.rows(columns) == [("shop", "1.2", "sha256:abc", True, ["a1"], False, 14)]
    assert target.rows(
        "SELECT outcome, heads_after, backup_location, backup_sha256, error, remedy FROM migrator.run"
    ) == [("migration_failed", ["b2"], "/backups/x", "abc", "it broke", "mend it")]


def test_how_far_a_run_is_can_be_seen_until_it_ends(target: Target, ledger: Ledger) -> None:
    columns = (
        "SELECT planned, position, revision, round(extract(epoch FROM now() - revision_started_at), -2) "
        "FROM migrator.run"
    )
    ledger.begin(START)
    ledger.progress("42", planned=7, position=3, revision="b2", seconds=300)
    assert target.rows(columns) == [(7, 3, "b2", 300)]
    ledger.end("42", RunEnd("ok", 0, (C3,)))
    ledger.progress("42", planned=7, position=4, revision="c3", seconds=0)
    assert target.rows(columns) == [(7, 3, "b2", 300)], "too late"


def test_the_last_try_under_the_same_circumstances_is_the_one_that_counts(
    target: Target, session: Session, ledger: Ledger
) -> None:
    ledger.begin(START)
    ledger.end("42", RunEnd("migration_failed", 14, (A1,), error="it broke", remedy="mend it"))
    ledger.begin(dataclasses.replace(START, id="43", circumstances="others"))
    last = read_last_try(session, "as ever")
    assert last is not None
    assert (last.run_id, last.exit_code, last.heads_after) == ("42", 14, frozenset({A1}))
    assert (last.error, last.remedy) == ("it broke", "mend it")
    assert last.age < timedelta(seconds=10)
    ledger.begin(dataclasses.replace(START, id="44"))
    last = read_last_try(session, "as ever")
    assert last is not None
    assert (last.run_id, last.exit_code, last.finished) == ("44", None, None)
    assert read_last_try(session, "unheard of") is None
    assert target.value("SELECT count(*) FROM migrator.run") == 3


def test_a_digest_is_that_of_the_file_that_was_applied(session: Session, ledger: Ledger) -> None:
    ledger.record_revisions({A1: (), B2: ()}, Digests(2, {A1: "a", B2: "b"}), run_id="41", applied={B2: WHEN})
    ledger.record_revisions({A1: (), B2: ()}, Digests(2, {A1: "x", B2: "x"}), run_id="42", applied={})
    assert read_digests(session, 2) == {A1: "a", B2: "b"}
    ledger.record_revisions({A1: (), B2: ()}, Digests(2, {A1: "y", B2: "y"}), run_id="43", applied={B2: WHEN})
    assert read_digests(session, 2) == {A1: "a", B2: "y"}
    ledger.record_revisions({A1: (), B2: ()}, Digests(1, {A1: "z", B2: "z"}), run_id="44", applied={})
    assert (read_digests(session, 2), read_digests(session, 1)) == ({A1: "a", B2: "y"}, {})
    ledger.record_revisions({A1: (), B2: ()}, Digests(3, {A1: "n"}), run_id="45", applied={})
    assert (read_digests(session, 2), read_digests(session, 3)) == ({B2: "y"}, {A1: "n"})


def test_a_digest_is_accepted_only_for_a_revision_that_is_recorded(session: Session, ledger: Ledger) -> None:
    ledger.record_revisions({A1: ()}, Digests(1, {A1: "a"}), run_id="41", applied={})
    assert ledger.accept_digest(A1, "b", 1)
    assert not ledger.accept_digest(B2, "b", 1)
    assert read_digests(session, 1) == {A1: "b"}
    assert ledger.accept_digest(A1, None, 1)
    assert read_digests(session, 1) == {}


def test_what_is_recorded_or_adopted_is_not_news(target: Target, ledger: Ledger) -> None:
    ledger.record_revisions({A1: ()}, NO_DIGESTS, run_id="41", applied={})
    ledger.record_adoption(B2, ["table shop: column name is missing"], run_id="42")
    assert ledger.unproven([A1, B2, C3]) == (C3,)
    assert target.rows("SELECT revision, run_id, proven, differences FROM migrator.adoption") == [
        ("b2", "42", False, ["table shop: column name is missing"])
    ]
    ledger.record_adoption(C3, [], run_id="43")
    assert target.value("SELECT proven FROM migrator.adoption WHERE revision = 'c3'") is True


def test_version_tables_of_several_histories_are_kept_apart(session: Session, ledger: Ledger) -> None:
    one, other, third = (VersionTable(name, "public") for name in ("one", "other", "third"))
    for _ in range(2):
        ledger.record_version_tables("a1", [one, other], [A1, B2])
        ledger.record_version_tables("x1", [third], [])
    view, empty = read_ledger(session, "a1"), read_ledger(session, "x1")
    assert (view.version_tables, view.heads) == ((one, other), frozenset({A1, B2}))
    assert (empty.version_tables, empty.heads) == ((third,), frozenset())
    assert read_ledger(session, "y1") == LedgerView(exists=True, may_keep=True)


def test_the_lineage_keeps_its_parents_and_who_applied_it(
    target: Target, session: Session, ledger: Ledger
) -> None:
    ledger.record_revisions({A1: ()}, NO_DIGESTS, run_id="41", applied={})
    ledger.record_revisions({A1: (), B2: (A1,), C3: (B2, A1)}, NO_DIGESTS, run_id="42", applied={B2: WHEN})
    ledger.record_revisions({A1: (), B2: (A1,)}, NO_DIGESTS, run_id="43", applied={})
    assert read_ledger(session, "a1", with_parents=True).parents == {A1: set(), B2: {A1}, C3: {A1, B2}}
    assert target.rows("SELECT id, applied_at, run_id, found FROM migrator.revision ORDER BY id") == [
        ("a1", None, None, True),
        ("b2", WHEN, "42", False),
        ("c3", None, None, True),
    ]


def test_parents_are_only_read_when_they_are_asked_for(session: Session, ledger: Ledger) -> None:
    ledger.record_revisions({A1: ()}, NO_DIGESTS, run_id="41", applied={})
    assert read_ledger(session, "a1").parents == {}


def test_the_ledger_says_so_when_its_session_is_lost(target: Target, ledger: Ledger) -> None:
    with target.admin() as admin:
        query = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'migrator test'"
        )
        admin.execute(query)
    with pytest.raises(MigratorError, match="lost"):
        ledger.begin(START)
    assert target.rows("SELECT id FROM migrator.run") == []


NOTE = (
    "INSERT INTO migrator.half_applied "
    "(run_id, version_table, revision, digest, committed, committed_count, begun) "
    "VALUES ('42', 'public.alembic_version', %s, 'd', %s, %s, %s)"
)


def test_an_older_ledger_knows_nothing_half_applied(target: Target, session: Session) -> None:
    assert read_half_applied(session) == ()
    target.execute(VERSION_1)
    assert read_half_applied(session) == ()
    assert Ledger.open(session)
    assert read_half_applied(session) == ()


def test_what_is_half_applied_is_told_until_it_is_settled(
    target: Target, session: Session, ledger: Ledger
) -> None:
    ledger.begin(dataclasses.replace(START, backup_location="/backups/before"))
    target.execute(NOTE, "b2", ["ALTER"], 7, None)
    target.execute(NOTE, "c3", [], 0, "CREATE INDEX")
    target.execute(NOTE, "d4", [], 0, None)
    b2, c3 = read_half_applied(session)
    assert (b2.revision, b2.committed, b2.committed_count, b2.begun) == (B2, ("ALTER",), 7, None)
    assert (b2.run_id, b2.release, b2.backup_location) == ("42", "1.2", "/backups/before")
    assert (c3.revision, c3.begun) == (C3, "CREATE INDEX")
    ledger.settle([B2])
    assert [one.revision for one in read_half_applied(session)] == [C3]


def test_who_may_not_read_what_is_half_applied_is_not_told_off(
    target: Target, session: Session, ledger: Ledger
) -> None:
    ledger.begin(START)
    target.execute(NOTE, "b2", ["ALTER"], 1, None)
    with target.admin() as admin:
        admin.execute("ALTER TABLE migrator.half_applied OWNER TO postgres")
        assert read_half_applied(session) == ()
        admin.execute("DROP TABLE migrator.half_applied")
