"""A glance: what it tells apart, and how little it asks."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from migrator.errors import AccessDenied, DatabaseUnavailable
from migrator.model import RevisionId, VersionRows, VersionTable
from migrator.postgres.catalog import read_version_rows
from migrator.postgres.glance import Trouble, glance, refuse_hidden, refuse_locked, rows_now
from migrator.postgres.session import Connector, Session
from tests.support.pgbouncer import PgBouncer
from tests.support.target import Target

pytestmark = pytest.mark.postgres()

ODD = VersionTable("100% \"odd'", "my schema")
TABLES = [VersionTable(), ODD, VersionTable("absent"), VersionTable("absent", "my schema")]


@pytest.fixture
def session(connector: Connector, target: Target) -> Iterator[Session]:
    target.execute(
        "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('a1'), ('b2');"
        'CREATE SCHEMA "my schema"; CREATE TABLE "my schema"."100% ""odd\'" (version_num text)'
    )
    with connector.open() as session:
        yield session


@pytest.fixture
def before(session: Session) -> tuple[VersionRows, ...]:
    return read_version_rows(session, TABLES)


def test_nothing_has_changed(session: Session, before: tuple[VersionRows, ...]) -> None:
    assert [one.exists for one in before] == [True, True, False, False]
    assert rows_now(session, before) == before
    assert rows_now(session, before[:2]) == before[:2]


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO alembic_version VALUES ('c3')",
        "DELETE FROM alembic_version WHERE version_num = 'b2'",
        "UPDATE alembic_version SET version_num = 'c3' WHERE version_num = 'b2'",
        'INSERT INTO "my schema"."100% ""odd\'" VALUES (\'a1\')',
        "CREATE TABLE absent ()",
        'CREATE TABLE "my schema".absent ()',
    ],
)
def test_a_change_is_seen(
    session: Session, before: tuple[VersionRows, ...], target: Target, change: str
) -> None:
    target.execute(change)
    assert rows_now(session, before) != before


def test_a_table_without_its_column_is_always_looked_at_again(session: Session) -> None:
    assert rows_now(session, [VersionRows(VersionTable(), exists=True, is_misshapen=True)]) is None


def test_nobody_queues_behind_a_locked_version_table(
    connector: Connector, session: Session, before: tuple[VersionRows, ...], target: Target
) -> None:
    refuse_locked(session, [VersionTable()])
    with target.connect() as other:
        other.execute("BEGIN; LOCK alembic_version IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(DatabaseUnavailable, match="is locked"):
            refuse_locked(session, [ODD, VersionTable()])
        refuse_locked(session, [ODD])
        found = glance(connector, lambda session: rows_now(session, before))
    assert isinstance(found, Trouble)
    assert (found.passes, found.reached) == (True, True)


def test_nothing_stays_set_in_a_poolers_session(
    before: tuple[VersionRows, ...],
    connect_to: Callable[..., Connector],
    pgbouncer: Callable[..., PgBouncer],
    target: Target,
) -> None:
    pooler = pgbouncer(default_pool_size="1")
    with connect_to(pooler.target).open() as session:
        assert rows_now(session, before) == before
        assert session.value("SHOW lock_timeout") == "0"
        with target.connect() as other:
            other.execute("BEGIN; LOCK alembic_version IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(DatabaseUnavailable):
                rows_now(session, before)


def test_a_table_in_a_schema_we_may_not_use_is_not_taken_for_absent(session: Session, target: Target) -> None:
    refuse_hidden(session, [VersionTable()])
    with target.admin() as admin:
        admin.execute("ALTER SCHEMA public OWNER TO postgres; REVOKE ALL ON SCHEMA public FROM PUBLIC")
        assert not read_version_rows(session, [VersionTable()])[0].exists
        with pytest.raises(AccessDenied) as refusal:
            refuse_hidden(session, [VersionTable()])
    assert refusal.value.remedy == (
        'GRANT USAGE ON SCHEMA "public" and GRANT SELECT ON "public"."alembic_version" to it'
    )


def test_what_passes_and_what_a_person_must_cure_are_told_apart(
    connector: Connector,
) -> None:
    assert glance(connector, lambda session: session.value("SELECT 7")) == 7
    wrong = replace(connector, dsn=replace(connector.dsn, database="nowhere"))
    refused = glance(wrong, lambda session: session.value("SELECT 7"))
    assert isinstance(refused, Trouble)
    assert (refused.passes, refused.reached) == (False, False)
    assert isinstance(refused.error, AccessDenied)
    killed = glance(connector, lambda session: session.value("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert isinstance(killed, Trouble)
    assert (killed.passes, killed.reached) == (True, True)
    gone = glance(connector, lambda session: session.value("SELECT 1 FROM dropped_meanwhile"))
    assert isinstance(gone, Trouble)
    assert (gone.passes, gone.reached) == (False, True)


def test_a_bug_is_no_trouble(connector: Connector) -> None:
    with pytest.raises(ZeroDivisionError):
        glance(connector, lambda _: 1 // 0)


def test_ids_are_what_is_compared(session: Session) -> None:
    rows = frozenset({RevisionId("a1"), RevisionId("b2")})
    before = (VersionRows(VersionTable("alembic_version", "public"), exists=True, rows=rows),)
    assert rows_now(session, before) == before
