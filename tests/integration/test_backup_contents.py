"""What is in a backup, and what its manifest says of it, from every server and by every client we ship."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from migrator.backup.client import find_client
from migrator.backup.dump import About, Dumper
from migrator.backup.manifest import Manifest
from migrator.backup.shelf import take_stock_of
from migrator.backup.stores import FileStore
from migrator.backup.watch import Watch
from migrator.clock import Stop, SystemClock
from migrator.demo.cluster import embedded_binaries
from migrator.errors import BackupFailed, PolicyRefused, Terminated
from migrator.model import RevisionId, VersionTable
from migrator.postgres.session import Connector, Session
from tests.support.clients import fake_pg_dump
from tests.support.target import Target

CLIENTS = (16, 18)
WEIRD = r"""
CREATE TABLE alembic_version (version_num text);
INSERT INTO alembic_version VALUES ('a1'), ('b1');
CREATE TABLE escaped (a text, b bytea);
INSERT INTO escaped VALUES (E'\\.', '\x5c2e0a'), (E'\n\\.\n', NULL), (E'COPY public.x (y) FROM stdin;', '');
CREATE TABLE nothing (a int);
CREATE TABLE bare ();
INSERT INTO bare DEFAULT VALUES; INSERT INTO bare DEFAULT VALUES;
CREATE TABLE computed (a int GENERATED ALWAYS AS (1) STORED);
INSERT INTO computed DEFAULT VALUES;
CREATE SCHEMA "Größe (m²)";
CREATE TABLE "Größe (m²)"."We""ird.
name" ("a b, c)" int, "ü" text);
INSERT INTO "Größe (m²)"."We""ird.
name" VALUES (1, 'x'), (2, NULL);
CREATE TABLE part (a int) PARTITION BY RANGE (a);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20) PARTITION BY LIST (a);
CREATE TABLE part_2_a PARTITION OF part_2 FOR VALUES IN (10, 11);
INSERT INTO part VALUES (1), (2), (10), (11), (11);
CREATE TABLE parent (a int); CREATE TABLE child (b int) INHERITS (parent);
INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1, 1), (2, 2);
CREATE UNLOGGED TABLE fleeting (a int); INSERT INTO fleeting VALUES (1);
CREATE MATERIALIZED VIEW view_of AS SELECT * FROM parent;
CREATE FUNCTION lies() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN '
COPY public.bare  FROM stdin;
'; END $$;
SELECT lo_from_bytea(0, '\xdeadbeef'); SELECT lo_from_bytea(0, '');
"""
ROWS = {
    "public.alembic_version": 2,
    "public.escaped": 3,
    "public.nothing": 0,
    "public.bare": 2,
    "public.computed": 1,
    '"Größe (m²)"."We""ird.\nname"': 2,
    "public.part_1": 2,
    "public.part_2_a": 3,
    "public.parent": 1,
    "public.child": 2,
    "public.fleeting": 1,
}

MakeDumper = Callable[..., Dumper]


@dataclass
class Told:
    """Events, kept."""

    told: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def record(self, event: str, message: str, **facts: Any) -> None:
        self.told.append((event, message, facts))

    def messages(self, event: str) -> list[str]:
        return [message for name, message, _ in self.told if name == event]


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    folder = tmp_path / "backups" / "orders"
    folder.mkdir(parents=True)
    return FileStore(folder)


@pytest.fixture
def make_dumper(target: Target, connector: Connector, store: FileStore, told: Told) -> MakeDumper:
    """Make a dumper of the target with the programs of this folder, and whatever else a test replaces."""

    def make(programs: Path | None = None, **others: object) -> Dumper:
        version = 10_000 * target.cluster.binaries.major
        stop = Stop()
        dumper = Dumper(
            connector=connector,
            dsn=connector.dsn,
            client=find_client(programs or target.cluster.binaries.folder, version),
            store=store,
            watch=Watch(SystemClock(stop), stop, lambda: None),
            events=told,
        )
        return replace(dumper, **others)  # type: ignore[arg-type]

    return make


def about(*tables: VersionTable) -> About:
    return About("0123456789abcdef", "shop", "1.2", "orders", (RevisionId("?"),), tables or (VersionTable(),))


def files(store: FileStore) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir())


def only(store: FileStore) -> Manifest:
    (manifest,) = take_stock_of(store).manifests
    return manifest


@pytest.mark.usefixtures("any_cluster")
@pytest.mark.parametrize("client", CLIENTS)
def test_the_rows_of_every_table_are_counted_in_what_was_dumped(
    target: Target, make_dumper: MakeDumper, store: FileStore, client: int
) -> None:
    if client < target.cluster.binaries.major:
        pytest.skip("older than the server: refused")
    target.execute(WEIRD)
    make_dumper(embedded_binaries(client).folder).take(about())
    manifest = only(store)
    assert {name: one.rows for name, one in manifest.tables.items()} == ROWS
    assert manifest.large_objects == 2
    assert manifest.client_version.startswith(f"{client}.")
    assert manifest.server_version.startswith(f"{target.cluster.binaries.major}.")


@pytest.mark.usefixtures("any_cluster")
def test_the_manifest_says_of_which_moment_it_is(
    target: Target, make_dumper: MakeDumper, store: FileStore
) -> None:
    target.execute(WEIRD)
    before = target.value("SELECT pg_current_wal_lsn()")
    backup = make_dumper().take(about())
    manifest = only(store)
    assert manifest.version_rows == {"public.alembic_version": ("a1", "b1")}
    assert manifest.heads == ("a1", "b1")
    assert manifest.fingerprint
    assert manifest.lsn
    assert target.value("SELECT %s::pg_lsn >= %s::pg_lsn", manifest.lsn, before)
    assert "plpgsql" in manifest.extensions
    assert manifest.creation
    assert manifest.creation.owner == target.user
    assert "UTF8" in manifest.creation.options
    assert manifest.database_size_bytes > 1_000_000
    assert manifest.database_id.count("/") == 1
    assert (manifest.plain_sha256, manifest.encryption) == (manifest.sha256, None)
    assert (manifest.verified, manifest.is_partial, manifest.restore_point) == ("archive", False, None)
    assert manifest.started < manifest.finished
    assert backup.location == str(store.path(manifest.file))


def test_names_are_read_in_the_encoding_of_the_database(
    target: Target, make_dumper: MakeDumper, store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = f"{target.database}_latin"
    with target.admin() as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0").format(
                sql.Identifier(database), sql.Identifier(target.user)
            )
        )
    latin = replace(target, database=database)
    with latin.connect(client_encoding="utf8") as session:
        session.execute('CREATE TABLE "größe" (ü text); CREATE TABLE "weg-ä" ()')
        session.execute("INSERT INTO \"größe\" VALUES ('ä')")
    monkeypatch.setenv("PGCLIENTENCODING", "UTF8")
    dumper = make_dumper()
    connector = replace(dumper.connector, dsn=replace(dumper.dsn, database=database))
    replace(dumper, connector=connector, dsn=connector.dsn, exclude=("weg-ä",)).take(about())
    assert {name: one.rows for name, one in only(store).tables.items()} == {'public."größe"': 1}
    assert only(store).missing == ('public."weg-ä"',)


class TestPartial:
    """Rows that are left out on purpose."""

    def test_it_says_what_is_missing(
        self, target: Target, make_dumper: MakeDumper, store: FileStore, told: Told
    ) -> None:
        target.execute(WEIRD)
        backup = make_dumper(exclude=("public.part", "We*name", "fleeing")).take(about())
        missing = ('"Größe (m²)"."We""ird.\nname"', "public.part_1", "public.part_2_a")
        assert only(store).missing == missing
        assert only(store).is_partial
        assert not only(store).tables.keys() & set(missing)
        assert "partial: without the rows of" in str(backup)
        assert backup.facts["partial"]
        assert all("without the rows of" in one for one in told.messages("backup.started"))
        assert any("fleeing" in one for one in told.messages("hazard.found"))

    def test_its_version_rows_are_never_left_out(
        self, target: Target, make_dumper: MakeDumper, store: FileStore
    ) -> None:
        target.execute(WEIRD)
        make_dumper(exclude=("*",)).take(about())
        assert only(store).tables.keys() == {"public.alembic_version"}

    def test_rows_that_a_policy_hides_need_not_be_seen_where_they_are_left_out(
        self, target: Target, make_dumper: MakeDumper, store: FileStore
    ) -> None:
        target.execute(WEIRD)
        target.execute(
            "ALTER TABLE escaped ENABLE ROW LEVEL SECURITY; ALTER TABLE escaped FORCE ROW LEVEL SECURITY"
        )
        make_dumper(exclude=("escaped",)).take(about())
        assert only(store).missing == ("public.escaped",)


class TestRefusals:
    """What is found out before anything is written: exit 13."""

    def test_a_large_object_that_cannot_be_read_is_named(
        self, target: Target, make_dumper: MakeDumper, store: FileStore
    ) -> None:
        with target.admin() as admin:
            oid = admin.execute("SELECT lo_from_bytea(0, 'secret')").fetchone()
        assert oid
        with pytest.raises(PolicyRefused, match=f"large object {oid[0]}") as refusal:
            make_dumper().take(about())
        assert "GRANT SELECT ON LARGE OBJECT" in refusal.value.remedy
        assert files(store) == []
        with target.admin() as admin:
            admin.execute(
                sql.SQL("GRANT SELECT ON LARGE OBJECT {} TO {}").format(
                    sql.Literal(oid[0]), sql.Identifier(target.user)
                )
            )
        make_dumper().take(about())
        assert only(store).large_objects == 1

    @pytest.mark.parametrize(
        ("made", "named"),
        [
            ("CREATE SEQUENCE counter", "sequence public.counter"),
            ('CREATE SCHEMA closed; CREATE TABLE closed."T" ()', 'closed."T"'),
        ],
    )
    def test_what_another_role_keeps_to_itself_is_named(
        self, target: Target, make_dumper: MakeDumper, store: FileStore, made: str, named: str
    ) -> None:
        with target.admin() as admin:
            admin.execute(made.encode())
        with pytest.raises(PolicyRefused) as refusal:
            make_dumper().take(about())
        assert named in refusal.value.message
        assert files(store) == []

    def test_a_database_above_the_limit_is_not_even_begun(
        self, make_dumper: MakeDumper, store: FileStore, told: Told
    ) -> None:
        with pytest.raises(PolicyRefused, match="above MIGRATOR_BACKUP_MAX_SIZE"):
            make_dumper(max_size_bytes=1_000_000).take(about())
        assert (files(store), told.messages("backup.started")) == ([], [])

    def test_a_store_with_too_little_room_is_refused_and_one_with_little_is_a_hazard(
        self, target: Target, make_dumper: MakeDumper, store: FileStore, told: Told
    ) -> None:
        target.execute("CREATE TABLE book AS SELECT md5(n::text) title FROM generate_series(1, 20000) n")
        make_dumper(store=Small(store.folder, left=1_200_000)).take(about())
        assert any("may not fit" in one for one in told.messages("hazard.found"))
        with pytest.raises(PolicyRefused, match="bytes left"):
            make_dumper(store=Small(store.folder, left=100_000)).take(replace(about(), run_id="another"))

    def test_how_large_it_becomes_is_told_by_the_last_one(
        self, target: Target, make_dumper: MakeDumper, store: FileStore
    ) -> None:
        target.execute("CREATE TABLE book AS SELECT repeat('x', 1000) FROM generate_series(1, 5000) n")
        make_dumper().take(about())
        small = Small(store.folder, left=200_000)  # less than a tenth of the table
        make_dumper(store=small).take(replace(about(), run_id="another"))


@dataclass(frozen=True, slots=True)
class Small(FileStore):
    """A folder on a disk with so much room, as far as anybody asks."""

    left: int = 0

    def refuse_unusable(self, expected_bytes: int) -> None:
        if expected_bytes > self.left:
            message = f"{self.left} bytes left, {expected_bytes} needed"
            raise PolicyRefused(message)


class TestStalls:
    """Nothing moves: after a while nobody waits any more, whoever is to blame."""

    @pytest.fixture
    def impatient(self, make_dumper: MakeDumper) -> MakeDumper:
        stop = Stop()
        watch = Watch(SystemClock(stop), stop, lambda: None, stall=timedelta(seconds=0.6))
        return lambda programs=None, **others: make_dumper(programs, watch=watch, **others)

    def test_a_store_that_takes_nothing(
        self, target: Target, impatient: MakeDumper, store: FileStore
    ) -> None:
        target.execute("CREATE TABLE book AS SELECT md5(n::text) title FROM generate_series(1, 20000) n")
        blocked = Blocked(store.folder)
        try:
            with pytest.raises(BackupFailed, match=r"the store has taken nothing for 0\.6 s"):
                impatient(store=blocked).take(about())
        finally:
            UNBLOCKED.set()
        assert files(store) == []

    def test_a_store_that_gives_nothing_back(self, impatient: MakeDumper, store: FileStore) -> None:
        UNBLOCKED.clear()
        try:
            with pytest.raises(BackupFailed, match=r"the store has given nothing back for 0\.6 s"):
                impatient(store=Silent(store.folder)).take(about())
        finally:
            UNBLOCKED.set()
        assert files(store) == []

    def test_a_decoder_that_reads_nothing(
        self, target: Target, impatient: MakeDumper, store: FileStore, tmp_path: Path
    ) -> None:
        target.execute("CREATE TABLE book AS SELECT md5(n::text) title FROM generate_series(1, 90000) n")
        programs = fake_pg_restore(tmp_path / "bin", target, "exec sleep 60")
        with pytest.raises(BackupFailed, match=r"pg_restore has read nothing for 0\.6 s"):
            impatient(programs).take(about())
        assert files(store) == []

    def test_a_decoder_that_does_not_end(
        self, target: Target, impatient: MakeDumper, store: FileStore, tmp_path: Path
    ) -> None:
        programs = fake_pg_restore(tmp_path / "bin", target, '"$real" "$@"; exec sleep 60')
        with pytest.raises(BackupFailed, match=r"pg_restore has not come to the end .* for 0\.6 s"):
            impatient(programs).take(about())
        assert files(store) == []


UNBLOCKED = threading.Event()


class Stuck:
    """A file that takes nothing."""

    def write(self, _chunk: bytes) -> None:
        UNBLOCKED.wait(20)
        message = "it came too late"
        raise BackupFailed(message)


@dataclass(frozen=True, slots=True)
class Blocked(FileStore):
    """A folder behind a network that hangs."""

    @contextmanager
    def writing(self, name: str, *_: int) -> Iterator[Any]:
        UNBLOCKED.clear()
        with FileStore(self.folder).writing(name):
            yield Stuck()


@dataclass(frozen=True, slots=True)
class Silent(FileStore):
    """A folder that can be written."""

    def reading(self, _name: str) -> Iterator[bytes]:
        UNBLOCKED.wait(20)
        yield b""


def fake_pg_restore(folder: Path, target: Target, body: str) -> Path:
    """Client programs whose `pg_restore` does this in place of decoding; `$real` is the real one."""
    programs = Path(fake_pg_dump(folder, target.cluster.binaries, 'exec "$real" "$@"'))
    script = programs / "pg_restore"
    script.unlink()
    real = target.cluster.binaries.folder / "pg_restore"
    script.write_text(f'#!/bin/sh\nreal={real}\ncase "$*" in *--list*) exec "$real" "$@" ;; esac\n{body}\n')
    script.chmod(0o755)
    return programs


def test_a_decoder_that_fails_is_a_failed_backup_although_pg_dump_succeeded(
    target: Target, make_dumper: MakeDumper, store: FileStore, tmp_path: Path
) -> None:
    programs = fake_pg_restore(tmp_path / "bin", target, '"$real" "$@"; echo "error: bad block" >&2; exit 1')
    with pytest.raises(BackupFailed, match="pg_restore failed with status 1: error: bad block"):
        make_dumper(programs).take(about())
    assert files(store) == []


def test_a_large_object_that_is_missing_in_the_archive_is_noticed(
    target: Target, make_dumper: MakeDumper, store: FileStore, tmp_path: Path
) -> None:
    target.execute("SELECT lo_from_bytea(0, 'x')")
    programs = fake_pg_dump(tmp_path / "bin", target.cluster.binaries, 'exec "$real" "$@" --no-blobs')
    with pytest.raises(BackupFailed, match="the archive has 0 large objects, the database 1"):
        make_dumper(Path(programs)).take(about())
    assert files(store) == []


def test_what_pg_dump_warns_of_is_told_and_is_no_failure(
    target: Target, make_dumper: MakeDumper, store: FileStore, tmp_path: Path, told: Told
) -> None:
    body = 'echo "pg_dump: warning: circular foreign keys" >&2; exec "$real" "$@"'
    make_dumper(Path(fake_pg_dump(tmp_path / "bin", target.cluster.binaries, body))).take(about())
    assert told.messages("output.captured") == ["pg_dump: warning: circular foreign keys"]
    assert only(store).verified == "archive"


def test_a_restore_point_is_written_where_the_role_may(
    target: Target, make_dumper: MakeDumper, store: FileStore
) -> None:
    target.execute(
        "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('a1')"
    )
    with target.admin() as admin:
        admin.execute(
            sql.SQL("GRANT EXECUTE ON FUNCTION pg_create_restore_point(text) TO {}").format(
                sql.Identifier(target.user)
            )
        )
    make_dumper().take(about())
    assert only(store).restore_point == "migrator a1-01234567"


def test_a_further_proof_sees_the_snapshot_of_the_dump_and_decides(
    target: Target, make_dumper: MakeDumper, store: FileStore
) -> None:
    target.execute("CREATE TABLE book (n int); INSERT INTO book VALUES (1)")

    def prove(manifest: Manifest, session: Session) -> Manifest:
        target.execute("INSERT INTO book VALUES (2)")
        assert files(store) == [manifest.file]
        assert session.value("SELECT count(*) FROM book") == manifest.tables["public.book"].rows == 1
        return replace(manifest, verified="restore")

    make_dumper(prove_further=prove).take(about())
    assert only(store).verified == "restore"


def test_a_further_proof_that_fails_leaves_nothing(make_dumper: MakeDumper, store: FileStore) -> None:
    def fail(_manifest: Manifest, _session: Session) -> Manifest:
        message = "it does not come back as it was"
        raise BackupFailed(message)

    with pytest.raises(BackupFailed, match="does not come back"):
        make_dumper(prove_further=fail).take(about())
    assert files(store) == []


def test_a_stop_while_it_is_read_back_leaves_nothing(make_dumper: MakeDumper, store: FileStore) -> None:
    class Stopped(Stop):
        def check(self) -> None:
            if any(name.endswith(".dump") for name in files(store)):
                message = "stopped by SIGTERM"
                raise Terminated(message)

    stop = Stopped()
    with pytest.raises(Terminated):
        make_dumper(watch=Watch(SystemClock(stop), stop, lambda: None)).take(about())
    assert files(store) == []


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_dump_that_is_killed_on_the_way_is_never_a_backup(
    target: Target, make_dumper: MakeDumper, store: FileStore, tmp_path: Path, share: float
) -> None:
    target.execute("CREATE TABLE book AS SELECT md5(n::text) title FROM generate_series(1, 90000) n")
    body = (
        f'"$real" "$@" > "{tmp_path}/whole"; size=$(stat -c %s "{tmp_path}/whole"); '
        f'head -c $(awk "BEGIN {{ print int($size * {share}) }}") "{tmp_path}/whole"; kill -9 $$'
    )
    programs = fake_pg_dump(tmp_path / "bin", target.cluster.binaries, body)
    with pytest.raises(BackupFailed, match="pg_dump failed with status -9"):
        make_dumper(Path(programs)).take(about())
    assert files(store) == []
