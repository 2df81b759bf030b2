"""A snapshot says what is there, whoever looks, from wherever, and what does not belong is not in it."""

# ruff: noqa: E501 - a statement is read best in one line

import json
from collections.abc import Iterator

import pytest

from migrator.errors import DatabaseUnavailable
from migrator.model import VersionTable
from migrator.postgres.session import Connector, Session
from migrator.schema.differences import differences, distance
from migrator.schema.facts import Part
from migrator.schema.queries import QUERIES, SETUP
from migrator.schema.reading import read_snapshot
from migrator.schema.snapshot import Snapshot
from tests.support.schemas import ADMINISTRATION, EVERYTHING, many_tables, snapshot_in
from tests.support.target import Target

pytestmark = pytest.mark.postgres()


@pytest.fixture
def session(connector: Connector) -> Iterator[Session]:
    with connector.open() as session:
        yield session


def histories(target: Target, one: str, other: str) -> tuple[Snapshot, Snapshot]:
    """What two histories build, one after the other in the same empty database."""
    built = []
    for history in (one, other):
        with target.connect() as connection:
            connection.execute("BEGIN")
            connection.execute(history.encode())
            built.append(snapshot_in(connection))
            connection.execute("ROLLBACK")
    return built[0], built[1]


def test_an_empty_database_has_no_parts(session: Session) -> None:
    assert read_snapshot(session).parts == {}


def test_every_query_finds_something_and_every_row_has_a_name_of_its_own(target: Target) -> None:
    with target.admin() as admin:
        admin.execute((EVERYTHING + ADMINISTRATION).encode())
        admin.execute(
            "CREATE OPERATOR FAMILY fam USING btree; CREATE OPERATOR CLASS cls FOR TYPE int USING btree "
            "FAMILY fam AS OPERATOR 1 <, FUNCTION 1 btint4cmp(int, int);"
            "CREATE TYPE announced; CREATE LANGUAGE own HANDLER plpgsql_call_handler;"
            "INSERT INTO pg_extension SELECT 90000, 'postgis', extowner, extnamespace, true, '3.4' FROM pg_extension"
        )
        for setting in SETUP:
            admin.execute(setting.replace("LOCAL ", "").encode())
        rows = [(query.name, *row) for query in QUERIES for row in admin.execute(query.sql.encode())]
    assert {query.name for query in QUERIES} == {row[0] for row in rows}
    assert len({row[1:3] for row in rows}) == len(rows)
    assert all(isinstance(json.loads(row[3]), dict) for row in rows)


def test_a_session_and_a_worker_see_the_same_and_leave_no_trace(target: Target, session: Session) -> None:
    target.execute(EVERYTHING)
    with target.connect() as connection:
        connection.execute("SET search_path = sales; BEGIN")
        seen = snapshot_in(connection)
        assert connection.execute("SHOW search_path").fetchall() == [("sales",)]
    assert read_snapshot(session) == seen
    session.rows("CREATE TABLE writable ()")
    assert session.value("SHOW search_path") == '"$user", public'


def test_no_setting_of_the_session_changes_what_is_seen(target: Target, session: Session) -> None:
    target.execute(EVERYTHING)
    target.execute(
        "CREATE TABLE settings (a timestamptz DEFAULT '2020-02-01 10:00+00', b interval DEFAULT '1 day 02:00',"
        "c float8 DEFAULT 0.1234567890123456, d bytea DEFAULT '\\x00ff', e date DEFAULT '2020-02-01',"
        "f public.mood DEFAULT 'ok', g money DEFAULT 3)"
    )
    before = read_snapshot(session)
    for setting in (
        "search_path = public, sales",
        "search_path = sales, pg_catalog, public",
        "quote_all_identifiers = on",
        "TimeZone = 'Asia/Kathmandu'",
        "DateStyle = 'German'",
        "IntervalStyle = 'iso_8601'",
        "extra_float_digits = -3",
        "bytea_output = 'escape'",
        "row_security = off",
        "enable_hashjoin = off",
    ):
        session.rows(f"SET {setting}")
        assert read_snapshot(session) == before, setting
        session.rows("RESET ALL")


def test_temporary_objects_neither_show_nor_deceive(target: Target, session: Session) -> None:
    target.execute("CREATE TABLE book (id serial)")
    before = read_snapshot(session)
    session.rows("CREATE TEMPORARY TABLE book (a int)")
    session.rows("CREATE TEMPORARY TABLE pg_class (a int)")
    session.rows("CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    assert read_snapshot(session) == before


def test_privileges_hide_nothing(target: Target, session: Session) -> None:
    with target.admin() as admin:
        admin.execute((EVERYTHING + ADMINISTRATION).encode())
        admin.execute(
            "REVOKE ALL ON ALL TABLES IN SCHEMA public, sales FROM PUBLIC; REVOKE ALL ON SCHEMA sales FROM PUBLIC"
        )
        assert read_snapshot(session) == snapshot_in(admin)


def test_owners_privileges_comments_and_rows_are_not_schema(target: Target, session: Session) -> None:
    target.execute("CREATE TABLE book (id serial PRIMARY KEY, title text)")
    before = read_snapshot(session)
    with target.admin() as admin:
        admin.execute(
            "COMMENT ON TABLE book IS 'x'; GRANT ALL ON book TO PUBLIC; ALTER TABLE book OWNER TO postgres;"
            "INSERT INTO book (title) VALUES ('Emma'); ANALYZE book; ALTER TABLE book ALTER title SET STATISTICS 5;"
            "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC"
        )
    assert read_snapshot(session).fingerprint == before.fingerprint


def test_a_version_table_goes_with_everything_on_it(target: Target, session: Session) -> None:
    target.execute("CREATE SCHEMA tenant; CREATE TABLE book (id int)")
    before = read_snapshot(session)
    target.execute(
        "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY); CREATE INDEX ON alembic_version (version_num);"
        "CREATE TABLE tenant.alembic_version (LIKE alembic_version INCLUDING ALL)"
    )
    snapshot = read_snapshot(session)
    assert snapshot.without([VersionTable()]) == before
    assert (
        snapshot.without([VersionTable("alembic_version", "public"), VersionTable(schema="tenant")]) == before
    )
    left = differences(before, snapshot.without([VersionTable(schema="public")]))
    assert [difference.name for difference in left] == ["tenant.alembic_version"]


def test_the_ledger_is_not_schema(target: Target, session: Session) -> None:
    target.execute(
        "CREATE SCHEMA migrator; CREATE TYPE migrator.e AS ENUM ('a'); CREATE TABLE migrator.run (id serial, e migrator.e)"
    )
    assert read_snapshot(session).parts == {}


def test_an_extension_is_one_part_and_its_version_no_mismatch(target: Target, session: Session) -> None:
    with target.admin() as admin:
        admin.execute(
            "INSERT INTO pg_extension SELECT 90000, 'postgis', extowner, 'public'::regnamespace, true, '3.4' FROM pg_extension;"
            "CREATE FUNCTION st() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TABLE spatial (a serial PRIMARY KEY);"
            "CREATE TYPE geo AS (a int)"
        )
        admin.execute(
            "INSERT INTO pg_depend SELECT c, o, 0, 'pg_extension'::regclass, 90000, 0, 'e' FROM (VALUES "
            "('pg_proc'::regclass, 'st'::regproc::oid), ('pg_class'::regclass, 'spatial'::regclass::oid),"
            "('pg_class'::regclass, 'spatial_a_seq'::regclass::oid), ('pg_type'::regclass, 'geo'::regtype::oid)) v(c, o)"
        )
        before = read_snapshot(session)
        assert set(before.parts) == {Part("extension", "postgis")}
        admin.execute("UPDATE pg_extension SET extversion = '3.5' WHERE extname = 'postgis'")
        after = read_snapshot(session)
    (difference,) = differences(before, after)
    assert difference.sentence == "extension postgis has the version 3.5 here, the revisions build 3.4"
    assert not difference.matters
    assert after.fingerprint == before.fingerprint


def test_a_name_that_postgres_generated_does_not_count(target: Target) -> None:
    plain = "CREATE TABLE book (id serial PRIMARY KEY, isbn text UNIQUE, price int CHECK (price > 0));"
    one, other = histories(
        target,
        plain + "CREATE INDEX ON book (price);",
        "CREATE SEQUENCE book_id_seq;"
        "CREATE TABLE book_isbn_key (); CREATE TABLE book_pkey (); CREATE TABLE book_price_idx ();"
        + plain
        + "ALTER TABLE book ADD CHECK (price > 0); ALTER TABLE book DROP CONSTRAINT book_price_check;"
        "CREATE INDEX ON book (price);"
        "DROP TABLE book_isbn_key, book_pkey, book_price_idx; DROP SEQUENCE book_id_seq",
    )
    assert Part("constraint", "public.book.book_pkey1") in other.parts
    assert differences(one, other) == ()
    assert one.fingerprint == other.fingerprint
    assert one != other


def test_a_name_that_a_user_chose_counts(target: Target) -> None:
    table = "CREATE TABLE book (isbn text, CONSTRAINT {} UNIQUE (isbn))"
    one, other = histories(target, table.format("book_isbn_key"), table.format("uq_book_isbn"))
    (difference,) = differences(one, other)
    assert (
        difference.sentence == "constraint public.book.book_isbn_key is called public.book.uq_book_isbn here"
    )


def test_a_column_that_was_dropped_leaves_no_trace(target: Target) -> None:
    one, other = histories(
        target,
        "CREATE TABLE book (id int, title text, price numeric)",
        "CREATE TABLE book (x int, id int, y text, title text); ALTER TABLE book DROP x, DROP y, ADD price numeric",
    )
    assert one.fingerprint == other.fingerprint


def test_the_order_of_columns_counts_once(target: Target) -> None:
    one, other = histories(
        target, "CREATE TABLE book (a int, b int, c int)", "CREATE TABLE book (b int, a int, d int, c int)"
    )
    order, extra = differences(one, other)
    assert (order.kind, extra.name) == ("table", "public.book.d")
    assert order.sentence.endswith("in another order here: b, a, d, c; the revisions build a, b, c")
    assert not order.remedy.is_sql


def test_a_missing_schema_names_each_of_its_objects_and_an_extra_one_none(target: Target) -> None:
    one, other = histories(
        target, "CREATE SCHEMA s; CREATE TABLE s.a (b int); CREATE VIEW s.v AS SELECT 1 AS a", "SELECT 1"
    )
    assert [found.name for found in differences(one, other)] == ["s", "s.a", "s.v"]
    (extra,) = differences(other, one)
    assert extra.is_foreign
    assert distance(other, one) == 0
    assert distance(one, other) == 3


def test_what_a_table_brings_to_its_partitions_is_told_once(target: Target) -> None:
    table = (
        "CREATE TABLE m (at date NOT NULL, v {}) PARTITION BY RANGE (at); CREATE TABLE m1 PARTITION OF m"
        " FOR VALUES FROM ('2020-01-01') TO ('2021-01-01'); CREATE TABLE m2 PARTITION OF m DEFAULT;"
    )
    one, other = histories(
        target,
        table.format("int")
        + "ALTER TABLE m ADD PRIMARY KEY (at); CREATE INDEX ON m (v); ALTER TABLE m ADD w int",
        table.format("bigint"),
    )
    assert [(found.kind, found.name, found.what) for found in differences(one, other)] == [
        ("column", "public.m.v", "different"),
        ("column", "public.m.w", "missing"),
        ("constraint", "public.m.m_pkey", "missing"),
        ("index", "public.m_v_idx", "missing"),
    ]


def test_many_tables_are_read_and_compared(target: Target, session: Session) -> None:
    target.execute(many_tables(50))
    snapshot = read_snapshot(session)
    assert len(snapshot.parts) == 50 * 11
    assert differences(snapshot, snapshot) == ()
    assert distance(snapshot, Snapshot.of(())) == 50
    assert distance(Snapshot.of(()), snapshot) == 0


def test_a_lock_on_a_view_is_not_waited_for(target: Target, session: Session) -> None:
    target.execute("CREATE TABLE book (a int); CREATE VIEW v AS SELECT * FROM book")
    with target.connect() as other:
        other.execute("BEGIN; LOCK TABLE book")
        with pytest.raises(DatabaseUnavailable):
            read_snapshot(session)
    assert read_snapshot(session).parts
