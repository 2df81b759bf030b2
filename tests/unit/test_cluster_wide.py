"""What in the text of a statement reaches beyond its own database, and what only looks like it."""

import pytest

from migrator.worker.statements import cluster_wide

BEYOND = {
    "CREATE ROLE reader": "CREATE ROLE",
    "create   user reader LOGIN": "CREATE USER",
    "ALTER ROLE reader SET search_path = app": "ALTER ROLE",
    "DROP ROLE IF EXISTS reader": "DROP ROLE",
    "ALTER USER reader WITH PASSWORD 'x'": "ALTER USER",
    "CREATE GROUP readers": "CREATE GROUP",
    "CREATE DATABASE other": "CREATE DATABASE",
    "ALTER DATABASE shop SET timezone = 'UTC'": "ALTER DATABASE",
    "DROP DATABASE shop": "DROP DATABASE",
    "CREATE TABLESPACE fast LOCATION '/x'": "CREATE TABLESPACE",
    "ALTER SYSTEM SET work_mem = '1GB'": "ALTER SYSTEM",
    "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p": "CREATE SUBSCRIPTION",
    "REASSIGN OWNED BY a TO b": "REASSIGN OWNED",
    "DROP OWNED BY a": "DROP OWNED",
    "GRANT readers TO alice": "GRANT READERS TO",
    'GRANT "readers", writers TO alice WITH ADMIN OPTION': "GRANT , WRITERS TO",
    "REVOKE readers FROM alice": "REVOKE READERS FROM",
    "GRANT CONNECT ON DATABASE shop TO alice": "GRANT CONNECT ON DATABASE",
    "GRANT CREATE ON TABLESPACE fast TO alice": "GRANT CREATE ON TABLESPACE",
    "GRANT SET ON PARAMETER work_mem TO alice": "GRANT SET ON PARAMETER",
    "COMMENT ON DATABASE shop IS 'x'": "COMMENT ON DATABASE",
    "COMMENT ON ROLE alice IS 'x'": "COMMENT ON ROLE",
    "CREATE TABLE a (b int); CREATE ROLE reader": "CREATE ROLE",
    "-- the reader\nCREATE ROLE reader": "CREATE ROLE",
    "/* the reader */ CREATE ROLE reader;": "CREATE ROLE",
    "DO $$ BEGIN CREATE ROLE reader; END $$": "CREATE ROLE",
    "DO LANGUAGE plpgsql $body$ BEGIN CREATE ROLE reader; END $body$": "CREATE ROLE",
    "DO $$ BEGIN EXECUTE 'CREATE ROLE reader'; END $$": "CREATE ROLE",
    "DO $$ BEGIN EXECUTE format('CREATE USER %I', 'x'); END $$": "CREATE USER",
    "-- once\nDO $$ BEGIN CREATE ROLE reader; END $$": "CREATE ROLE",
    "/* once */ DO $$ BEGIN IF true THEN CREATE ROLE reader; END IF; END $$": "CREATE ROLE",
    "SELECT 1; DO $$ BEGIN GRANT readers TO alice; END $$": "GRANT READERS TO",
    r"SELECT E'it\'s'; CREATE ROLE reader; SELECT 'x'": "CREATE ROLE",
}
WITHIN = (
    "CREATE TABLE roles (id int)",
    "CREATE TABLE role (database text, tablespace text)",
    'CREATE TABLE "user" (id int)',
    "CREATE USER MAPPING FOR alice SERVER elsewhere",
    "ALTER USER MAPPING FOR alice SERVER elsewhere OPTIONS (SET user 'x')",
    "DROP USER MAPPING IF EXISTS FOR alice SERVER elsewhere",
    "ALTER TABLE staff DROP COLUMN role",
    "ALTER TABLE staff DROP role",
    "ALTER TABLE staff DROP role CASCADE, DROP database",
    "ALTER TABLE staff ALTER role SET NOT NULL",
    "ALTER TABLE staff ALTER role TYPE varchar(20)",
    "GRANT SELECT ON staff TO reader",
    "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
    "GRANT USAGE ON SCHEMA app TO reader",
    "REVOKE ALL ON staff FROM PUBLIC",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO reader",
    "COMMENT ON TABLE staff IS 'CREATE ROLE reader'",
    "INSERT INTO texts VALUES ('CREATE DATABASE x', $$DROP ROLE y$$)",
    "INSERT INTO texts VALUES ('it''s; CREATE ROLE reader')",
    "-- CREATE ROLE reader\nSELECT 1",
    "/* ALTER SYSTEM */ SELECT 1",
    "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CREATE ROLE reader; END $$",
    "CREATE FUNCTION f() RETURNS void LANGUAGE sql BEGIN ATOMIC SELECT 1; END",
    "INSERT INTO a VALUES (1) ON CONFLICT DO NOTHING",
    "DO $$ BEGIN PERFORM 1; END $$",
    "DO $$ BEGIN -- CREATE ROLE reader\n PERFORM 1; END $$",
    "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION f()",
    "UPDATE a SET grant_to = 'x' WHERE b",
)


@pytest.mark.parametrize("statement", BEYOND)
def test_what_reaches_beyond_the_database_is_named(statement: str) -> None:
    assert cluster_wide(statement) == BEYOND[statement]


@pytest.mark.parametrize("statement", WITHIN)
def test_what_stays_in_the_database_is_left_alone(statement: str) -> None:
    assert cluster_wide(statement) is None
