"""Reading runs: from a ledger of any version, by any role, and never in anybody's way."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import psycopg
import pytest

from migrator.ledger.runs import (
    Access,
    RecordedRun,
    last_runs,
    ledger_access,
    who_leads,
)
from migrator.ledger.schema import bring_up_to_date
from migrator.model import RevisionId
from migrator.postgres.session import Connector, Session
from tests.support.target import Target

pytestmark = pytest.mark.postgres()

LEADER = "SELECT pg_advisory_lock(1296519764, 1)"
WHEN = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
# What the first version of the ledger had, as far as runs are concerned.
FIRST = """
CREATE SCHEMA migrator;
CREATE TABLE migrator.run (id text PRIMARY KEY, app text NOT NULL, release text NOT NULL, release_digest text,
    started_at timestamptz NOT NULL, finished_at timestamptz, outcome text, exit_code int,
    heads_before text[] NOT NULL, heads_after text[], backup_location text, backup_sha256 text, error text);
CREATE TABLE migrator.revision (id text PRIMARY KEY, parents text[] NOT NULL, digest text,
    applied_at timestamptz, run_id text, found boolean NOT NULL);
"""
BEGIN = (
    "INSERT INTO migrator.run (id, app, release, started_at, heads_before) "
    "VALUES ('{id}', 'shop', '1.{id}', '2026-05-04 03:02:01+00'::timestamptz + '{id} hours', '{{a1}}')"
)


@pytest.fixture
def session(connector: Connector) -> Iterator[Session]:
    with connector.open() as session:
        session.rows("SET TIME ZONE 'Asia/Kolkata'")
        yield session


@pytest.fixture
def lead(target: Target) -> Iterator[Callable[[str], None]]:
    """Hold the leader lock under this application's name."""
    sessions: list[psycopg.Connection[tuple[object, ...]]] = []

    def hold(application: str) -> None:
        sessions.append(target.connect(application_name=application))
        sessions[-1].execute(LEADER)

    yield hold
    for session in sessions:
        session.close()


def test_without_a_ledger_there_are_no_runs(session: Session) -> None:
    assert ledger_access(session) is Access.NONE
    assert last_runs(session, at_most=5) == ()
    assert who_leads(session) is None


def test_a_ledger_of_the_first_version_is_read(target: Target, session: Session) -> None:
    target.execute(FIRST)
    target.execute(BEGIN.format(id="0"))
    target.execute("INSERT INTO migrator.revision VALUES ('b2', '{a1}', NULL, now(), '0', false)")
    (run,) = last_runs(session, at_most=5)
    assert run == RecordedRun("0", "shop", "1.0", WHEN, applied=1, heads_before=(RevisionId("a1"),))


def test_the_newest_runs_come_first_with_how_they_ended(target: Target, session: Session) -> None:
    bring_up_to_date(session)
    for number in range(7):
        target.execute(BEGIN.format(id=number))
    target.execute(
        "UPDATE migrator.run SET finished_at = started_at + '1 minute', outcome = 'migration_failed', "
        "exit_code = 14, heads_after = '{a1,b2}', error = 'no' WHERE id = '6'"
    )
    runs = last_runs(session, at_most=3)
    assert [run.id for run in runs] == ["6", "5", "4"]
    first = runs[0]
    assert (first.outcome, first.exit_code, first.error) == ("migration_failed", 14, "no")
    assert first.heads_after == ("a1", "b2")
    assert first.finished is not None
    assert first.finished.astimezone(UTC) == datetime(2026, 5, 4, 9, 3, 1, tzinfo=UTC)
    assert runs[1].finished is None


def test_progress_is_told_of_the_run_that_leads(
    target: Target, session: Session, lead: Callable[[str], None]
) -> None:
    bring_up_to_date(session)
    target.execute(BEGIN.format(id="1"))
    target.execute(
        "UPDATE migrator.run SET planned = 7, position = 3, revision = 'c3', "
        "revision_started_at = '2026-05-04 12:03:11+00'"
    )
    assert who_leads(session) is None, "it died"
    lead("migrator shop@1.1 run 1")
    found = who_leads(session)
    assert found is not None
    assert str(found) == "release 1.1 is applying revision 3 of 7 (c3) since 12:03:11Z"
    assert found.facts["since"] == "2026-05-04T12:03:11Z"
    assert (found.facts["position"], found.facts["planned"]) == (3, 7)


def test_an_unfinished_run_of_another_is_not_taken_for_the_leaders(
    target: Target, session: Session, lead: Callable[[str], None]
) -> None:
    bring_up_to_date(session)
    target.execute(BEGIN.format(id="1"))
    lead("somebody's psql")
    found = who_leads(session)
    assert found is not None
    assert found.run is None
    assert "somebody's psql" in str(found)


def test_a_run_whose_id_the_server_cut_off_is_the_leaders_all_the_same(
    target: Target, session: Session, lead: Callable[[str], None]
) -> None:
    bring_up_to_date(session)
    target.execute(BEGIN.format(id="1"))
    lead(f"migrator {'shop' * 20}@1.1 run 1")
    found = who_leads(session)
    assert found is not None
    assert found.run is not None


def test_a_ledger_of_a_later_version_is_read(target: Target, session: Session) -> None:
    bring_up_to_date(session)
    target.execute("ALTER TABLE migrator.run ADD COLUMN weather text DEFAULT 'rain', DROP COLUMN planned")
    target.execute(BEGIN.format(id="1"))
    (run,) = last_runs(session, at_most=5)
    assert run.progress is None


def test_a_role_that_may_not_read_it_leaves_nothing_in_the_servers_log(
    target: Target, session: Session
) -> None:
    bring_up_to_date(session)
    with target.admin() as admin:
        admin.execute("ALTER TABLE migrator.run OWNER TO postgres")
        assert ledger_access(session) is Access.HIDDEN
        assert last_runs(session, at_most=5) == ()
        admin.execute("ALTER SCHEMA migrator OWNER TO postgres")
        assert ledger_access(session) is Access.HIDDEN
        assert last_runs(session, at_most=5) == ()
        admin.execute("DROP SCHEMA migrator CASCADE")


def test_a_ledger_that_is_locked_is_not_waited_for(target: Target, session: Session) -> None:
    bring_up_to_date(session)
    session.rows("SET lock_timeout = '50ms'")
    with target.connect() as other:
        other.execute("BEGIN; LOCK migrator.run IN ACCESS EXCLUSIVE MODE")
        assert last_runs(session, at_most=5) == ()
