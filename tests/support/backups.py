"""Archives whose manifests say all there is to say, and what to put into them."""

# ruff: noqa: E501 - a statement is read best in one line

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Final

from migrator.backup.client import find_client
from migrator.backup.contents import checksums, large_objects
from migrator.backup.manifest import Creation, Manifest
from migrator.backup.stores import FileStore
from migrator.clock import utc_now
from migrator.postgres.scratch import likeness
from migrator.postgres.session import Connector
from migrator.schema.reading import read_snapshot

TABLES: Final = """
SELECT quote_ident(nspname) || '.' || quote_ident(relname) FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE relkind IN ('r', 'p') AND nspname !~ '^pg_|^information' AND nspname <> 'migrator'
"""

# Rows for `schemas.EVERYTHING`, large objects, and what no fingerprint covers. For an owner of any kind.
CONTENTS: Final = r"""
INSERT INTO author (name, mood) VALUES ('Ada', 'ok'), ('Ünï "quoted"', 'it''s fine'), (E'tab\tline\nback\\slash', NULL);
ALTER TABLE book DISABLE TRIGGER stamped;
INSERT INTO book (author_id, title, price, note, during, tags, code)
    SELECT 1 + n % 3, 'title ' || n, n, 'note ' || n, tstzrange(now() + n * interval '1 hour', now() + (n + 1) * interval '1 hour'),
        ARRAY['a', NULL, n::text], 'code' || n FROM generate_series(1, 200) n;
ALTER TABLE book ENABLE TRIGGER stamped;
INSERT INTO measure SELECT '2019-06-01'::date + n * 7, 1 + n FROM generate_series(1, 100) n;
INSERT INTO parent VALUES (1, 'p'), (2, NULL);
INSERT INTO child VALUES (3, 'c', 4);
INSERT INTO sales."Odd "".name" VALUES (1, 'x'), (1, 'x');
REFRESH MATERIALIZED VIEW summary;
CREATE SCHEMA "Straße ""mehr"" und";
CREATE TABLE "Straße ""mehr"" und"."Tür" ("Schlüssel" uuid DEFAULT gen_random_uuid(), f float8, r real, m money,
    i interval, t timestamptz, d date, j jsonb, b bytea, n numeric, c "char", bits bit(3), home address, s span,
    kind varchar(10) CHECK (kind IN ('a', 'b')));
INSERT INTO "Straße ""mehr"" und"."Tür" (f, r, m, i, t, d, j, b, n, c, bits, home, s, kind) VALUES
    (0.1 + 0.2, 1.1, 12.34, '1 year 2 mons 3 days 04:05:06.7', '2026-03-29 02:30:00+01', '0044-03-15 BC',
        '{"a": [1, null]}', '\x00ff', 'NaN', 'x', '101', '("A ""st"" reet",12345)', '[1,2)', 'a'),
    ('Infinity', '-0', NULL, '-1 day +00:00:01', 'infinity', '-infinity', '1', '', 1e-20, '', '000', NULL, NULL, 'b');
CREATE TABLE nothing ();
INSERT INTO nothing DEFAULT VALUES;
COMMENT ON TABLE author IS 'who ''writes''';
ALTER DEFAULT PRIVILEGES IN SCHEMA sales GRANT SELECT ON TABLES TO pg_monitor;
GRANT SELECT (name) ON author TO pg_monitor;
SELECT lo_from_bytea(0, decode(repeat('00ff', 1000), 'hex')), lo_from_bytea(0, ''), lo_from_bytea(0, 'x');
SELECT nextval('ticket'), nextval('ticket');
"""


def take(connector: Connector, store: FileStore, bin_folder: Path, *, name: str = "all.dump") -> Manifest:
    """Dump a database that nobody changes meanwhile, and describe it down to its checksums."""
    with connector.reopen("the database") as session:
        version = session.server_version
        client = find_client(bin_folder, version)
        tables = [table for (table,) in session.rows(TABLES)]
        like = likeness(session)
        objects = large_objects(session)
        contents = checksums(session, tables)
        fingerprint = read_snapshot(session).fingerprint
        extensions = dict(session.rows("SELECT extname, extversion FROM pg_extension"))
    dsn = connector.dsn
    environ = {
        **os.environ,
        "PGHOST": dsn.hosts[0][0],
        "PGPORT": str(dsn.hosts[0][1]),
        "PGUSER": str(dsn.user),
        "PGPASSWORD": dsn.password.reveal() if dsn.password else "",
        "PGDATABASE": str(dsn.database),
    }
    archive = subprocess.run([client.pg_dump, "-Fc"], env=environ, capture_output=True, check=True).stdout
    digest = hashlib.sha256(archive).hexdigest()
    now = utc_now()
    manifest = Manifest(
        file=name,
        database=str(dsn.database),
        version_rows={},
        fingerprint=fingerprint,
        tables=contents,
        large_objects=objects.rows,
        large_objects_checksum=objects.checksum,
        extensions=extensions,
        creation=Creation(like.owner, like.options),
        server_version=f"{version // 10000}.{version % 10000}",
        client_version=client.version,
        size_bytes=len(archive),
        sha256=digest,
        run_id="0123456789abcdef",
        app="shop",
        release="1",
        started=now,
        finished=now,
        verified="restore",
    )
    for file, content in ((name, archive), (manifest.name, manifest.encoded())):
        with store.writing(file) as writing:
            writing.write(content)
    return manifest
