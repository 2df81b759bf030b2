"""Schemas to compare: one with every kind of object, a large one, and random ones."""

# ruff: noqa: E501 - a statement is read best in one line

import re
from typing import Any, Final

import psycopg
from hypothesis import strategies as st

from migrator.schema.queries import QUERIES, SETUP
from migrator.schema.snapshot import Snapshot

# Every kind of object an Alembic project plausibly makes, on any PostgreSQL from 14; superusers' objects apart.
EVERYTHING: Final = """
CREATE SCHEMA sales;
CREATE EXTENSION IF NOT EXISTS plpgsql;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s fine');
CREATE DOMAIN isbn AS varchar(13) COLLATE "C" DEFAULT 'none' NOT NULL CHECK (length(VALUE) > 3);
CREATE TYPE address AS (street text, "Zip" varchar(5) COLLATE "C");
CREATE TYPE span AS RANGE (subtype = float8);
CREATE SEQUENCE ticket AS integer INCREMENT 5 MINVALUE 10 MAXVALUE 1000 START 20 CACHE 3 CYCLE;
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN  NEW.note := 'x''y'; RETURN NEW; END $$;
CREATE FUNCTION total(a int, b int DEFAULT 2) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS 'SELECT a + b';
CREATE FUNCTION total(a text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT a';
CREATE PROCEDURE tidy(INOUT a int) LANGUAGE sql AS 'SELECT a';
CREATE AGGREGATE product(int) (SFUNC = int4mul, STYPE = int, INITCOND = '1');
CREATE TABLE author (
    id serial PRIMARY KEY,
    name text NOT NULL UNIQUE,
    mood mood DEFAULT 'ok'
);
CREATE TABLE book (
    id integer GENERATED ALWAYS AS IDENTITY (START WITH 100) PRIMARY KEY,
    author_id integer NOT NULL REFERENCES author ON DELETE CASCADE DEFERRABLE,
    title varchar(100) COLLATE "C" DEFAULT 'untitled',
    price numeric(10, 2) CHECK (price >= 0),
    doubled numeric GENERATED ALWAYS AS (price * 2) STORED,
    note text,
    published timestamptz DEFAULT '2020-01-01 00:00:00+02',
    tags text[] DEFAULT '{}'::text[],
    during tstzrange,
    code isbn,
    CONSTRAINT named CHECK (title <> 'x' OR price > 1),
    EXCLUDE USING gist (during WITH &&)
) WITH (fillfactor = 70);
ALTER TABLE book ALTER COLUMN note SET STORAGE EXTERNAL, REPLICA IDENTITY FULL;
CREATE INDEX ON book (title);
CREATE INDEX ON book (lower(title), price DESC) WHERE price > 10;
CREATE UNIQUE INDEX by_note ON book (note text_pattern_ops) INCLUDE (title);
CREATE STATISTICS related (ndistinct, dependencies) ON title, price FROM book;
CREATE TRIGGER stamped BEFORE INSERT ON book FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE RULE quiet AS ON DELETE TO book WHERE OLD.price > 100 DO INSTEAD NOTHING;
ALTER TABLE book ENABLE ROW LEVEL SECURITY;
CREATE POLICY cheap ON book FOR SELECT TO PUBLIC USING (price < 100);
CREATE TABLE measure (at date NOT NULL, value int DEFAULT 1, CHECK (value > 0), PRIMARY KEY (at)) PARTITION BY RANGE (at);
CREATE TABLE measure_2020 PARTITION OF measure FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE measure_rest PARTITION OF measure DEFAULT;
CREATE INDEX ON measure (value);
CREATE TABLE parent (a int NOT NULL, b text, CHECK (a > 0));
CREATE TABLE child (c int) INHERITS (parent);
CREATE UNLOGGED TABLE sales."Odd "".name" ("a.b" int, "C" text);
CREATE VIEW cheap AS SELECT b.id, b.title, a.name FROM book b JOIN author a ON a.id = b.author_id WHERE b.price < 10;
CREATE MATERIALIZED VIEW summary AS SELECT author_id, count(*) AS n FROM book GROUP BY author_id;
CREATE UNIQUE INDEX ON summary (author_id);
CREATE TEXT SEARCH CONFIGURATION ours (COPY = simple);
CREATE TEXT SEARCH DICTIONARY words (TEMPLATE = simple, STOPWORDS = english);
CREATE COLLATION posix (LOCALE = 'C');
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq, COMMUTATOR = ===);
"""

# What only a superuser makes.
ADMINISTRATION: Final = """
CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER watching ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION watch();
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing OPTIONS (host 'a', port '1');
CREATE FOREIGN TABLE far (a int OPTIONS (x 'y') NOT NULL) SERVER elsewhere OPTIONS (t 'u');
CREATE PUBLICATION news FOR TABLE author;
CREATE CAST (address AS text) WITH INOUT;
"""


def many_tables(count: int) -> str:
    """A script for this many tables, each with a key, a reference, an index, a check and a default."""
    return ";\n".join(
        f"""CREATE TABLE table_{number} (
            id bigserial PRIMARY KEY,
            parent_id bigint REFERENCES table_{max(number - 1, 0)},
            name varchar(100) NOT NULL DEFAULT 'none',
            price numeric(10, 2) CHECK (price >= 0),
            made_at timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX ON table_{number} (name, made_at DESC)"""
        for number in range(count)
    )


def snapshot_in(connection: psycopg.Connection[Any]) -> Snapshot:
    """Take a snapshot as the worker does: inside a transaction that is somebody else's, and stays as it was."""
    rows = []
    with connection.transaction() as transaction:
        for setting in SETUP:
            connection.execute(setting.encode())
        rows = [row for query in QUERIES for row in connection.execute(query.sql.encode()).fetchall()]
        raise psycopg.Rollback(transaction)
    return Snapshot.of(rows)


def statements() -> st.SearchStrategy[str]:
    """One statement of a random history over few names, so that states come back; Postgres may refuse it."""
    words: dict[str, st.SearchStrategy[str]] = {
        "table": st.sampled_from(["t0", "t1", "p", "p1"]),
        "column": st.sampled_from(["a", "b", "c", "d"]),
        "other": st.sampled_from(["a", "b", "c", "d"]),
        "type": st.sampled_from(_TYPES),
        "default": st.sampled_from(_DEFAULTS),
        "label": st.sampled_from(["red", "green", "blue"]),
        "number": st.sampled_from(["1", "2"]),
        "name": st.sampled_from(["x", "y"]),
        "direction": st.sampled_from(["", " DESC", " NULLS FIRST", " text_pattern_ops"]),
        "generated": st.sampled_from(["check", "check1", "key", "key1", "fkey", "pkey", "idx", "idx1"]),
    }

    def written(template: str) -> st.SearchStrategy[str]:
        used = re.findall(r"\{(\w+)\}", template)
        return st.fixed_dictionaries({word: words[word] for word in used}).map(
            lambda chosen: template.format(**chosen)
        )

    return st.sampled_from(_TEMPLATES).flatmap(written)


_TYPES: Final = (
    "int", "bigint", "smallint", "text", "varchar(10)", "varchar(20)", "char(3)", "numeric", "numeric(8, 2)",
    "boolean", "date", "timestamp", "timestamptz(3)", "interval", "uuid", "jsonb", "bytea", "text[]", "int[]",
    "inet", "double precision", "int4range", 'text COLLATE "C"', "bit(4)", "e", "dom", "t0", "money", "interval hour",
)  # fmt: skip
_DEFAULTS: Final = (
    "1", "'1'", "now()", "'2020-01-01 10:00+02'", "NULL", "'{{}}'", "current_timestamp", "1.5", "true",
    "'1 day 2 hours'", "nextval('s')", "nextval('t0_a_seq')", "'\\x00ff'", "ARRAY[1, 2]", "'it''s'", "current_user",
)  # fmt: skip
_TEMPLATES: Final = (
    "ALTER TABLE {table} ADD {column} {type}",
    "ALTER TABLE {table} ADD {column} {type} DEFAULT {default}",
    "ALTER TABLE {table} ADD {column} {type} NOT NULL UNIQUE",
    "ALTER TABLE {table} ADD {column} serial",
    "ALTER TABLE {table} ADD {column} int GENERATED BY DEFAULT AS IDENTITY",
    "ALTER TABLE {table} ADD {column} int GENERATED ALWAYS AS (1 + {number}) STORED",
    "ALTER TABLE {table} DROP {column}",
    "ALTER TABLE {table} DROP {column} CASCADE",
    "ALTER TABLE {table} ALTER {column} TYPE {type} USING NULL",
    "ALTER TABLE {table} ALTER {column} SET DEFAULT {default}",
    "ALTER TABLE {table} ALTER {column} DROP DEFAULT",
    "ALTER TABLE {table} ALTER {column} SET NOT NULL",
    "ALTER TABLE {table} ALTER {column} DROP NOT NULL",
    "ALTER TABLE {table} ALTER {column} ADD GENERATED ALWAYS AS IDENTITY",
    "ALTER TABLE {table} ALTER {column} DROP IDENTITY",
    "ALTER TABLE {table} ALTER {column} SET STORAGE EXTERNAL",
    "ALTER TABLE {table} ALTER {column} SET STORAGE EXTENDED",
    "ALTER TABLE {table} RENAME {column} TO {other}",
    "ALTER TABLE {table} ADD CHECK ({column} IS NOT NULL)",
    "ALTER TABLE {table} ADD CHECK ({column} IS NOT NULL) NO INHERIT",
    "ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({column} IS NOT NULL OR {other} IS NULL)",
    "ALTER TABLE {table} ADD UNIQUE ({column})",
    "ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE ({column}, {other}) DEFERRABLE",
    "ALTER TABLE {table} ADD PRIMARY KEY ({column})",
    "ALTER TABLE {table} ADD FOREIGN KEY ({column}) REFERENCES t1 ON DELETE CASCADE",
    "ALTER TABLE {table} ADD FOREIGN KEY ({column}) REFERENCES t1 (b) NOT VALID",
    "ALTER TABLE {table} DROP CONSTRAINT {table}_{column}_{generated}",
    "ALTER TABLE {table} DROP CONSTRAINT {table}_pkey CASCADE",
    "ALTER TABLE {table} DROP CONSTRAINT {name}",
    "ALTER TABLE {table} RENAME CONSTRAINT {table}_{column}_{generated} TO {name}",
    "ALTER TABLE {table} VALIDATE CONSTRAINT {table}_{column}_fkey",
    "CREATE INDEX ON {table} ({column}{direction})",
    "CREATE INDEX ON {table} ({column}, {other}) WHERE {column} IS NOT NULL",
    "CREATE UNIQUE INDEX {name} ON {table} ({column}{direction}) INCLUDE ({other})",
    "CREATE INDEX {name} ON {table} (lower({column}::text), {other}) WITH (fillfactor = 70)",
    "CREATE INDEX {name} ON ONLY p (b)",
    "DROP INDEX {table}_{column}_{generated}",
    "DROP INDEX {name}",
    "ALTER TABLE {table} CLUSTER ON {table}_pkey",
    "ALTER TABLE {table} SET WITHOUT CLUSTER",
    "ALTER TABLE {table} REPLICA IDENTITY FULL",
    "ALTER TABLE {table} REPLICA IDENTITY USING INDEX {table}_pkey",
    "ALTER TABLE {table} REPLICA IDENTITY DEFAULT",
    "ALTER TABLE {table} SET (fillfactor = 8{number})",
    "ALTER TABLE {table} RESET (fillfactor)",
    "ALTER TABLE {table} SET UNLOGGED",
    "ALTER TABLE {table} SET LOGGED",
    "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
    "CREATE POLICY {name} ON {table} USING ({column} IS NOT NULL)",
    "DROP POLICY {name} ON {table}",
    "CREATE TRIGGER {name} BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION f()",
    "CREATE TRIGGER {name} AFTER UPDATE OF {column} ON {table} FOR EACH ROW EXECUTE FUNCTION f()",
    "ALTER TABLE {table} DISABLE TRIGGER {name}",
    "ALTER TABLE {table} ENABLE TRIGGER {name}",
    "DROP TRIGGER {name} ON {table}",
    "CREATE RULE {name} AS ON DELETE TO {table} DO INSTEAD NOTHING",
    "DROP RULE {name} ON {table}",
    "CREATE OR REPLACE VIEW v{number} AS SELECT {column}, {other} AS x FROM {table}",
    "CREATE OR REPLACE VIEW v{number} AS SELECT {column} FROM {table} JOIN t1 USING ({column}) WHERE {other} IS NULL",
    "ALTER VIEW v{number} SET (security_barrier)",
    "ALTER VIEW v{number} ALTER {column} SET DEFAULT {default}",
    "CREATE MATERIALIZED VIEW m AS SELECT {column}, count(*) FROM {table} GROUP BY 1",
    "CREATE UNIQUE INDEX ON m ({column})",
    "DROP MATERIALIZED VIEW m",
    "DROP VIEW v{number}",
    "CREATE TYPE e AS ENUM ('red')",
    "ALTER TYPE e ADD VALUE '{label}' BEFORE 'red'",
    "ALTER TYPE e ADD VALUE '{label}'",
    "ALTER TYPE e RENAME VALUE 'red' TO '{label}'",
    "DROP TYPE e",
    "CREATE DOMAIN dom AS varchar({number}) DEFAULT 'x' CHECK (VALUE <> 'y')",
    "ALTER DOMAIN dom SET NOT NULL",
    "ALTER DOMAIN dom ADD CHECK (VALUE <> '{label}')",
    "ALTER DOMAIN dom DROP CONSTRAINT dom_check",
    "DROP DOMAIN dom",
    "CREATE TYPE comp AS (a {type}, b {type})",
    "DROP TYPE comp",
    "CREATE SEQUENCE s INCREMENT {number}",
    "ALTER SEQUENCE s OWNED BY {table}.{column}",
    "ALTER SEQUENCE s MAXVALUE 1000 CYCLE START {number}",
    "ALTER SEQUENCE s AS int",
    "DROP SEQUENCE s",
    "SELECT nextval('s')",
    "CREATE TABLE p{number} PARTITION OF p FOR VALUES IN ({number})",
    "CREATE TABLE p2 (a int NOT NULL, b text)",
    "CREATE TABLE p2 (b text, x int, a int NOT NULL)",
    "ALTER TABLE p2 DROP x",
    "ALTER TABLE p ATTACH PARTITION p{number} FOR VALUES IN ({number})",
    "ALTER TABLE p DETACH PARTITION p{number}",
    "DROP TABLE p{number}",
    "CREATE TABLE child () INHERITS (t0)",
    "ALTER TABLE child NO INHERIT t0",
    "ALTER TABLE child INHERIT t0",
    "DROP TABLE child",
    "CREATE TABLE copy (LIKE {table} INCLUDING ALL)",
    "DROP TABLE copy",
    "CREATE OR REPLACE FUNCTION g(x int DEFAULT {number}) RETURNS int LANGUAGE sql AS 'SELECT {number}'",
    "CREATE OR REPLACE FUNCTION g(x text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT '{label}' $$",
    "ALTER FUNCTION g(int) SET search_path = public",
    "DROP FUNCTION g(int)",
    "CREATE STATISTICS {name} ON a, b FROM {table}",
    "DROP STATISTICS {name}",
    "COMMENT ON TABLE {table} IS '{label}'",
    "GRANT SELECT ON {table} TO PUBLIC",
    "INSERT INTO t0 (a) VALUES ({number})",
    "ALTER TABLE t0 RENAME TO t9",
    "ALTER TABLE t9 RENAME TO t0",
    "ALTER TABLE IF EXISTS t9 RENAME TO t0",
)  # fmt: skip
