"""The table of lock levels against a server: each statement is run, and its locks are read in `pg_locks`."""

import threading
from collections.abc import Iterator

import psycopg
import pytest

from migrator.schema.locks import Mode, read, statements_of
from tests.support.target import Target
from tests.support.waiting import eventually

pytestmark = pytest.mark.postgres()

SCENE = """
CREATE TABLE other (id int PRIMARY KEY, u int);
CREATE TABLE t (
    id int PRIMARY KEY, a int NOT NULL, b text, o int REFERENCES other,
    CONSTRAINT positive CHECK (a > 0) NOT VALID
);
CREATE INDEX ix ON t (a);
CREATE TABLE parent (id int);
CREATE TABLE heir (id int) INHERITS (parent);
CREATE TABLE orphan (id int);
CREATE TABLE parts (k int) PARTITION BY LIST (k);
CREATE TABLE part PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE loose (k int);
CREATE VIEW v AS SELECT 1 AS one;
CREATE MATERIALIZED VIEW mv AS SELECT 1 AS one;
CREATE UNIQUE INDEX ON mv (one);
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
CREATE RULE ru AS ON DELETE TO other DO NOTHING;
CREATE POLICY po ON t USING (true);
CREATE SEQUENCE s;
"""

INSIDE = [
    "ALTER TABLE t ADD COLUMN n int",
    "ALTER TABLE t ADD COLUMN n int REFERENCES other",
    "ALTER TABLE t DROP COLUMN b",
    "ALTER TABLE t ALTER a TYPE bigint",
    "ALTER TABLE t ALTER b SET DEFAULT 'x'",
    "ALTER TABLE t ALTER b SET NOT NULL",
    "ALTER TABLE t ALTER a DROP NOT NULL",
    "ALTER TABLE t ALTER a SET STATISTICS 5",
    "ALTER TABLE t ALTER a SET (n_distinct = 5)",
    "ALTER TABLE t ALTER a RESET (n_distinct)",
    "ALTER TABLE t ALTER b SET STORAGE external",
    "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 1)",
    "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 1) NOT VALID",
    "ALTER TABLE t VALIDATE CONSTRAINT positive",
    "ALTER TABLE t DROP CONSTRAINT positive",
    "ALTER TABLE t RENAME CONSTRAINT positive TO above_zero",
    "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES other",
    "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES other (id) NOT VALID",
    "ALTER TABLE t ADD UNIQUE (a)",
    "ALTER TABLE t DISABLE TRIGGER tr",
    "ALTER TABLE t ENABLE ALWAYS TRIGGER tr",
    "ALTER TABLE t CLUSTER ON ix",
    "ALTER TABLE t SET WITHOUT CLUSTER",
    "ALTER TABLE t SET (fillfactor = 50, autovacuum_enabled = false, toast.autovacuum_enabled = false)",
    "ALTER TABLE t SET (parallel_workers = 2, toast_tuple_target = 200, log_autovacuum_min_duration = 1)",
    "ALTER TABLE t RESET (fillfactor)",
    "ALTER TABLE t SET (user_catalog_table = true)",
    "ALTER TABLE t SET UNLOGGED",
    "ALTER TABLE t RENAME a TO z",
    "ALTER TABLE t RENAME TO z",
    "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE t REPLICA IDENTITY FULL",
    "ALTER TABLE t ALTER a SET STATISTICS 5, ADD n int",
    "ALTER TABLE orphan INHERIT parent",
    "ALTER TABLE parts ATTACH PARTITION loose FOR VALUES IN (2)",
    "ALTER TABLE parts DETACH PARTITION part",
    "ALTER VIEW v RENAME TO w",
    "ALTER INDEX ix RENAME TO iy",
    "CREATE INDEX ON t (b)",
    "DROP INDEX ix",
    "REINDEX TABLE t",
    "REINDEX INDEX ix",
    "DROP TABLE t",
    "DROP VIEW v",
    "DROP MATERIALIZED VIEW mv",
    "TRUNCATE t",
    "ANALYZE t",
    "CLUSTER t USING ix",
    "REFRESH MATERIALIZED VIEW mv",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY mv",
    "CREATE TRIGGER more AFTER INSERT OR UPDATE OF a ON t FOR EACH ROW EXECUTE FUNCTION f()",
    "DROP TRIGGER tr ON t",
    "ALTER TRIGGER tr ON t RENAME TO tz",
    "CREATE RULE more AS ON DELETE TO t DO NOTHING",
    "ALTER RULE ru ON other RENAME TO rz",
    "DROP RULE ru ON other",
    "CREATE POLICY more ON t USING (true)",
    "ALTER POLICY po ON t USING (false)",
    "DROP POLICY po ON t",
    "CREATE STATISTICS st (ndistinct) ON id, a FROM t",
    "COMMENT ON TABLE t IS 'x'",
    "COMMENT ON COLUMN t.a IS 'x'",
    "INSERT INTO t VALUES (1, 1)",
    "UPDATE t SET a = 2",
    "DELETE FROM t",
    "MERGE INTO t USING (SELECT 1 AS id) n ON n.id = t.id WHEN MATCHED THEN DELETE",
    "LOCK TABLE t IN SHARE MODE",
    "LOCK t",
    "CREATE TABLE made (id int REFERENCES other)",
    "CREATE TABLE made (id int) INHERITS (parent)",
    "CREATE TABLE made PARTITION OF parts FOR VALUES IN (3)",
]

ALONE = [
    "CREATE INDEX CONCURRENTLY ON t (b)",
    "DROP INDEX CONCURRENTLY ix",
    "REINDEX TABLE CONCURRENTLY t",
    "REINDEX (CONCURRENTLY) TABLE t",
    "REINDEX INDEX CONCURRENTLY ix",
    "VACUUM t",
    "VACUUM (ANALYZE) t",
    "VACUUM FULL t",
    "VACUUM (FULL, ANALYZE) t",
    "ALTER TABLE parts DETACH PARTITION part CONCURRENTLY",
]

OF_A_TABLE = """
SELECT DISTINCT mode FROM pg_locks WHERE locktype = 'relation' AND relation = %s AND pid = %s AND {}
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@pytest.fixture
def scene(target: Target) -> Target:
    target.execute(SCENE)
    return target


@pytest.fixture
def session(scene: Target) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with scene.connect() as session:
        yield session


def expected(sql: str) -> dict[str, Mode]:
    (statement,) = statements_of(sql)
    found = read(statement).locks
    assert found, f"nothing is known of {sql}"
    return {str(one.table): one.mode for one in found}


def tables(scene: Target, names: dict[str, Mode], *, itself: bool) -> dict[str, object]:
    """By name its oid; of an index the table's, as long as it is there."""
    whose = "coalesce((SELECT indrelid FROM pg_index WHERE indexrelid = r AND NOT %s), r)::oid"
    return {
        name: scene.value(f"SELECT {whose} FROM CAST(to_regclass(%s) AS oid) r", itself, name)
        for name in names
    }


def strongest(modes: list[str]) -> Mode | None:
    found = [one for one in Mode if f"{one.value.title().replace(' ', '')}Lock" in modes]
    return found[-1] if found else None


def test_the_locks_are_the_documented_ones(
    scene: Target, session: psycopg.Connection[tuple[object, ...]]
) -> None:
    merges = session.info.server_version >= 150000
    statements = [one for one in INSIDE if merges or not one.startswith("MERGE")]
    assert {one: seen(scene, session, one) for one in statements} == {
        one: expected(one) for one in statements
    }


def seen(scene: Target, session: psycopg.Connection[tuple[object, ...]], sql: str) -> dict[str, Mode | None]:
    """What a statement locks in a transaction that is rolled back."""
    oids = tables(scene, expected(sql), itself=sql.startswith("ALTER INDEX"))
    query = OF_A_TABLE.format("granted")
    with session.transaction(force_rollback=True):
        session.execute(sql.encode())
        rows = {
            name: session.execute(query.encode(), [oid, session.info.backend_pid]).fetchall()
            for name, oid in oids.items()
        }
    return {name: strongest([str(mode) for (mode,) in found]) for name, found in rows.items()}


@pytest.mark.parametrize("sql", ALONE)
def test_the_lock_of_what_must_stand_alone_is_the_documented_one(
    scene: Target, session: psycopg.Connection[tuple[object, ...]], sql: str
) -> None:
    wanted = dict(list(expected(sql).items())[:1])  # which it asks for first
    ((name, oid),) = tables(scene, wanted, itself=False).items()
    locked = "parts" if name == "parts" else "t"

    def run() -> None:
        with pytest.raises(psycopg.errors.QueryCanceled):
            session.execute(sql.encode())

    with scene.connect() as holder, holder.transaction(force_rollback=True):
        # ACCESS SHARE, which some take at first to look at the table, passes this one
        holder.execute(f"LOCK TABLE {locked} IN SHARE MODE".encode())
        waiting = threading.Thread(target=run)
        waiting.start()
        query = OF_A_TABLE.format("NOT granted")
        asked = (query, oid, session.info.backend_pid)
        assert eventually(lambda: scene.rows(*asked))
        rows = scene.rows(*asked)
        session.cancel_safe()
        waiting.join()
    assert strongest([str(mode) for (mode,) in rows]) == wanted[name]
