"""What the catalogs say: version rows of every shape, whose objects count, which indexes are INVALID."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from migrator.errors import AccessDenied
from migrator.model import VersionRows, VersionTable
from migrator.postgres.catalog import (
    InvalidIndex,
    database_size_bytes,
    invalid_indexes,
    object_names,
    read_version_rows,
)
from migrator.postgres.session import Connector, Session
from tests.support.target import Target
from tests.support.waiting import eventually

pytestmark = pytest.mark.postgres()

USUAL = VersionTable()
VERSION = "(version_num varchar(32) NOT NULL PRIMARY KEY)"


@pytest.fixture
def session(connector: Connector) -> Iterator[Session]:
    with connector.open() as session:
        yield session


def read(session: Session, table: VersionTable = USUAL) -> VersionRows:
    (found,) = read_version_rows(session, [table])
    return found


def test_an_absent_version_table_has_no_rows(session: Session) -> None:
    assert read(session) == VersionRows(USUAL, exists=False)


def test_an_empty_version_table_exists(target: Target, session: Session) -> None:
    target.execute(f"CREATE TABLE alembic_version {VERSION}")
    assert read(session) == VersionRows(VersionTable("alembic_version", "public"), exists=True)


def test_every_row_is_read_whatever_its_type(target: Target, session: Session) -> None:
    target.execute(
        "CREATE TABLE alembic_version (version_num int); INSERT INTO alembic_version VALUES (1), (2)"
    )
    assert read(session).rows == {"1", "2"}


def test_rows_that_cannot_be_revisions_are_told_apart(target: Target, session: Session) -> None:
    target.execute(
        "CREATE TABLE alembic_version (version_num text);"
        "INSERT INTO alembic_version VALUES ('a1'), (NULL), (''), ('main@head')"
    )
    found = read(session)
    assert found.rows == {"a1"}
    assert set(found.nonsense) == {None, "", "main@head"}
    assert found.is_corrupt


@pytest.mark.parametrize("columns", ["", "version text", '"VERSION_NUM" text'])
def test_a_version_table_without_its_column_is_misshapen(
    target: Target, session: Session, columns: str
) -> None:
    target.execute(f"CREATE TABLE alembic_version ({columns})")
    found = read(session)
    assert (found.exists, found.is_misshapen, found.rows) == (True, True, frozenset())


def test_a_dropped_column_is_no_column(target: Target, session: Session) -> None:
    target.execute(f"CREATE TABLE alembic_version {VERSION}; ALTER TABLE alembic_version DROP version_num")
    assert read(session).is_misshapen


def test_names_that_need_quotes_are_quoted(target: Target, session: Session) -> None:
    target.execute(
        """CREATE SCHEMA "Sho.p"; CREATE TABLE "Sho.p"."ver""sion" (version_num text);
        INSERT INTO "Sho.p"."ver""sion" VALUES ('a1')"""
    )
    assert read(session, VersionTable('ver"sion', "Sho.p")).rows == {"a1"}


def test_without_a_schema_the_search_path_decides(target: Target, connector: Connector) -> None:
    target.execute(
        f"CREATE SCHEMA shop; CREATE TABLE shop.alembic_version {VERSION};"
        f"INSERT INTO shop.alembic_version VALUES ('s1'); CREATE TABLE public.alembic_version {VERSION}"
    )
    with connector.open() as session:
        assert read(session).table.schema == "public"
    target.execute(f'ALTER ROLE "{target.user}" SET search_path = shop, public')
    with connector.open() as session:
        assert read(session) == VersionRows(
            VersionTable("alembic_version", "shop"), exists=True, rows=read(session).rows
        )
        assert read(session).rows == {"s1"}
        assert read(session, VersionTable(schema="public")).rows == frozenset()


def test_a_version_table_that_may_not_be_read_says_what_to_grant(target: Target, session: Session) -> None:
    with target.admin() as admin:
        admin.execute(f"CREATE SCHEMA shop; CREATE TABLE shop.alembic_version {VERSION}".encode())
        admin.execute(f'GRANT USAGE ON SCHEMA shop TO "{target.user}"'.encode())
    with pytest.raises(AccessDenied) as refusal:
        read(session, VersionTable(schema="shop"))
    assert 'GRANT SELECT ON "shop"."alembic_version"' in refusal.value.remedy


def test_what_somebody_made_is_named_tables_first(target: Target, session: Session) -> None:
    target.execute(
        "CREATE SCHEMA shop; CREATE VIEW shop.a AS SELECT 1; CREATE SEQUENCE s; CREATE TABLE shop.z ();"
        "CREATE TABLE b (); CREATE MATERIALIZED VIEW m AS SELECT 1;"
        "CREATE TABLE p (a int) PARTITION BY LIST (a)"
    )
    assert object_names(session, ()) == ("public.b", "shop.z", "public.m", "public.p", "public.s", "shop.a")


def test_a_new_database_holds_nothing(session: Session) -> None:
    assert object_names(session, ()) == ()


def test_version_tables_the_ledger_and_temporary_tables_are_not_objects(
    target: Target, connector: Connector
) -> None:
    target.execute(
        f"CREATE TABLE alembic_version {VERSION}; CREATE SCHEMA tenant;"
        f"CREATE TABLE tenant.alembic_version {VERSION}; CREATE SCHEMA migrator; CREATE TABLE migrator.run ()"
    )
    with target.connect() as other, connector.open() as session:
        other.execute("CREATE TEMPORARY TABLE scratch (a int)")
        assert object_names(session, [VersionTable("alembic_version", "public")]) == ()
        assert object_names(session, ()) == ("public.alembic_version", "tenant.alembic_version")


def test_what_belongs_to_an_extension_is_not_an_object(target: Target, session: Session) -> None:
    target.execute("CREATE TABLE spatial_ref_sys (srid int); CREATE TABLE book ()")
    with target.admin() as admin:
        admin.execute("ALTER EXTENSION plpgsql ADD TABLE spatial_ref_sys")
        assert object_names(session, ()) == ("public.book",)
        admin.execute("ALTER EXTENSION plpgsql DROP TABLE spatial_ref_sys")


def test_a_build_that_failed_leaves_an_invalid_index_that_is_named(target: Target, session: Session) -> None:
    target.execute(
        "CREATE TABLE \"Book\" (title text); INSERT INTO \"Book\" VALUES ('Emma'), ('Emma');"
        'CREATE INDEX fine ON "Book" (title)'
    )
    with pytest.raises(psycopg.errors.UniqueViolation):
        target.execute('CREATE UNIQUE INDEX CONCURRENTLY "by Title" ON "Book" (title)')
    (index,) = invalid_indexes(session)
    assert index == InvalidIndex("public", "by Title", '"Book"')
    assert str(index) == 'public.by Title on "Book"'
    target.execute(index.drop_statement)
    assert invalid_indexes(session) == frozenset()


def test_an_index_of_a_partitioned_table_that_lacks_parts_is_not_an_interrupted_build(
    target: Target, session: Session
) -> None:
    target.execute(
        "CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);"
        "CREATE INDEX i ON ONLY p (a)"
    )
    assert invalid_indexes(session) == frozenset()


def test_an_index_being_built_right_now_is_not_an_interrupted_build(target: Target, session: Session) -> None:
    target.execute("CREATE TABLE book (title text)")
    building = "SELECT 1 FROM pg_stat_progress_create_index WHERE index_relid <> 0"
    with target.connect() as reader, target.connect() as builder, ThreadPoolExecutor(1) as threads:
        reader.execute("BEGIN; LOCK TABLE book IN ROW EXCLUSIVE MODE")
        built = threads.submit(builder.execute, "CREATE INDEX CONCURRENTLY by_title ON book (title)")
        assert eventually(lambda: target.rows(building))
        assert target.rows("SELECT 1 FROM pg_index WHERE NOT indisvalid") == [(1,)]
        assert invalid_indexes(session) == frozenset()
        reader.execute("COMMIT")
        built.result(timeout=20)
    assert invalid_indexes(session) == frozenset()


def test_an_index_that_another_role_builds_right_now_is_not_an_interrupted_build(
    target: Target, session: Session
) -> None:
    with target.admin() as admin:
        admin.execute("CREATE TABLE book (title text)")
        admin.execute("GRANT ALL ON book TO PUBLIC")
    hidden = "SELECT 1 FROM pg_stat_progress_create_index WHERE relid IS NULL"
    with target.connect() as reader, target.admin() as builder, ThreadPoolExecutor(1) as threads:
        reader.execute("BEGIN; LOCK TABLE book IN ROW EXCLUSIVE MODE")
        built = threads.submit(builder.execute, "CREATE INDEX CONCURRENTLY by_title ON book (title)")
        assert eventually(lambda: target.rows(hidden))
        assert target.rows("SELECT 1 FROM pg_index WHERE NOT indisvalid") == [(1,)]
        assert invalid_indexes(session) == frozenset()
        reader.execute("COMMIT")
        built.result(timeout=20)


def test_the_size_of_the_database_is_that_on_disk(target: Target, session: Session) -> None:
    before = database_size_bytes(session)
    target.execute("CREATE TABLE book AS SELECT repeat('x', 1000) FROM generate_series(1, 1000)")
    assert database_size_bytes(session) - before > 1_000_000


def test_looking_works_in_a_read_only_session(target: Target, connector: Connector) -> None:
    target.execute(f"CREATE TABLE alembic_version {VERSION}")
    with connector.open() as session:
        session.rows("SET default_transaction_read_only = on")
        assert read(session).exists
        assert object_names(session, ()) == ("public.alembic_version",)
        assert invalid_indexes(session) == frozenset()
