"""The ledger: made by an ordinary owner, made once, and never in the way of who may not read it."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from migrator.errors import AccessDenied, MigratorError
from migrator.ledger import Ledger, LedgerView, RunEnd, RunStart, read_ledger
from migrator.model import RevisionId, VersionTable
from migrator.postgres.session import Connector, Session
from tests.support.target import Target

pytestmark = pytest.mark.postgres()

A1, B2, C3 = map(RevisionId, ("a1", "b2", "c3"))
WHEN = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
START = RunStart("42", "shop", "1.2", "sha256:abc", WHEN, (A1,))


@pytest.fixture
def session(connector: Connector) -> Iterator[Session]:
    with connector.open() as session:
        yield session


@pytest.fixture
def ledger(session: Session) -> Ledger:
    return Ledger.open(session)


def test_without_a_ledger_nothing_is_known(session: Session) -> None:
    assert read_ledger(session, "a1", with_parents=True) == LedgerView()


def test_an_ordinary_owner_makes_its_ledger(target: Target, ledger: Ledger, session: Session) -> None:
    assert isinstance(ledger, Ledger)
    assert read_ledger(session, "a1") == LedgerView(exists=True)
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
    ledger.record_version_tables("a1", [VersionTable("alembic_version", "public")])
    with target.admin() as admin:
        admin.execute("ALTER TABLE migrator.version_table OWNER TO postgres")
        assert read_ledger(session, "a1", with_parents=True) == LedgerView()
        admin.execute("ALTER SCHEMA migrator OWNER TO postgres")
        assert read_ledger(session, "a1", with_parents=True) == LedgerView()
        admin.execute("DROP SCHEMA migrator CASCADE")


def test_a_run_is_recorded_from_its_beginning_to_its_end(target: Target, ledger: Ledger) -> None:
    columns = "SELECT app, release, release_digest, started_at, heads_before, finished_at IS NULL, exit_code"
    ledger.begin(START)
    assert target.rows(f"{columns} FROM migrator.run") == [
        ("shop", "1.2", "sha256:abc", WHEN, ["a1"], True, None)
    ]
    ledger.end("42", RunEnd("migration_failed", 14, (B2,), "/backups/x", "abc", "it broke"))
    assert target.rows(f"{columns} FROM migrator.run") == [
        ("shop", "1.2", "sha256:abc", WHEN, ["a1"], False, 14)
    ]
    assert target.rows(
        "SELECT outcome, heads_after, backup_location, backup_sha256, error FROM migrator.run"
    ) == [("migration_failed", ["b2"], "/backups/x", "abc", "it broke")]


def test_version_tables_of_several_histories_are_kept_apart(session: Session, ledger: Ledger) -> None:
    one, other, third = (VersionTable(name, "public") for name in ("one", "other", "third"))
    for _ in range(2):
        ledger.record_version_tables("a1", [one, other])
        ledger.record_version_tables("x1", [third])
    assert read_ledger(session, "a1").version_tables == (one, other)
    assert read_ledger(session, "x1").version_tables == (third,)
    assert read_ledger(session, "y1") == LedgerView(exists=True)


def test_the_lineage_keeps_its_parents_and_who_applied_it(
    target: Target, session: Session, ledger: Ledger
) -> None:
    ledger.record_revisions({A1: ()}, run_id="41", applied={})
    ledger.record_revisions({A1: (), B2: (A1,), C3: (B2, A1)}, run_id="42", applied={B2: WHEN})
    ledger.record_revisions({A1: (), B2: (A1,)}, run_id="43", applied={})
    assert read_ledger(session, "a1", with_parents=True).parents == {A1: set(), B2: {A1}, C3: {A1, B2}}
    assert target.rows("SELECT id, applied_at, run_id, found FROM migrator.revision ORDER BY id") == [
        ("a1", None, None, True),
        ("b2", WHEN, "42", False),
        ("c3", None, None, True),
    ]


def test_parents_are_only_read_when_they_are_asked_for(session: Session, ledger: Ledger) -> None:
    ledger.record_revisions({A1: ()}, run_id="41", applied={})
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
