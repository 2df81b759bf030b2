"""An archive comes back as what it was: every kind of object, every row, every large object."""

import dataclasses
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from migrator.backup.archive import fetched
from migrator.backup.contents import checksums, large_objects, row_counts
from migrator.backup.manifest import Manifest, TableContents
from migrator.backup.restorer import Restorer, find_restorer
from migrator.backup.restoring import Filling, Workbench, prove_by_restoring, proven_by_restoring
from migrator.backup.stores import FileStore, Store, Writing
from migrator.clock import Stop
from migrator.demo.cluster import embedded_binaries
from migrator.errors import AccessDenied, BackupFailed, PolicyRefused
from migrator.postgres.scratch import likeness, scratch_prefix
from migrator.postgres.session import Connector
from migrator.settings import Dsn, Secret
from tests.integration.conftest import Connect
from tests.support.backups import CONTENTS, take
from tests.support.replay import let_make_databases, scratch_databases
from tests.support.schemas import ADMINISTRATION, EVERYTHING
from tests.support.servers import Servers
from tests.support.target import Target, target_on

Prove = Callable[..., None]


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "all")


@pytest.fixture
def filled(target: Target) -> Target:
    """A target with every kind of object and rows in them, whose owner may make databases."""
    let_make_databases(target)
    target.execute(EVERYTHING)
    target.execute(CONTENTS)
    return target


@pytest.fixture
def prove(store: FileStore) -> Prove:
    """Restore what is in the store, as the owner of this target unless another connector is given."""

    def restored(
        target: Target,
        manifest: Manifest,
        connector: Connector,
        restorer: Restorer | None = None,
        kept: Store = store,
        **others: Any,
    ) -> None:
        with connector.reopen("the target") as session:
            workbench = Workbench(connector, scratch_prefix(session), likeness(session))
            version = session.server_version
        restorer = restorer or find_restorer(target.cluster.binaries.folder, manifest.client_version, version)
        with fetched(kept, manifest, lambda _: None) as archive:
            prove_by_restoring(archive, Filling(restorer, Stop(), lambda: None, **others), workbench)

    return restored


def superuser(target: Target) -> Connector:
    """Opens a superuser's sessions to the target."""
    cluster = target.cluster
    dsn = dataclasses.replace(
        Dsn.parse(target.url), user=cluster.superuser, password=Secret(cluster.superuser_password)
    )
    return Connector(dsn, "migrator test", Stop())


@pytest.mark.postgres
def test_every_kind_of_object_comes_back_with_all_it_holds(
    filled: Target, connect_to: Connect, store: FileStore, prove: Prove
) -> None:
    connector = connect_to(filled)
    manifest = take(connector, store, filled.cluster.binaries.folder)
    assert len(manifest.tables) == 10
    prove(filled, manifest, connector)
    assert scratch_databases(filled) == []


@pytest.mark.postgres
def test_what_only_superusers_make_comes_back_for_a_superuser(
    filled: Target, store: FileStore, prove: Prove
) -> None:
    with filled.admin() as admin:
        admin.execute(ADMINISTRATION)
    manifest = take(superuser(filled), store, filled.cluster.binaries.folder)
    prove(filled, manifest, superuser(filled))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"fingerprint": "0" * 64}, "fingerprint"),
        ({"tables": {"public.author": TableContents(4)}}, "3 rows, not 4"),
        ({"tables": {"public.author": TableContents(3, "1")}}, "other values"),
        ({"large_objects_checksum": "1"}, "large objects"),
        ({"version_rows": {"public.alembic_version": ("a1",)}}, "no row, not a1"),
    ],
)
def test_what_differs_from_the_manifest_is_no_backup(
    filled: Target,
    connector: Connector,
    store: FileStore,
    prove: Prove,
    change: dict[str, Any],
    word: str,
) -> None:
    manifest = dataclasses.replace(take(connector, store, filled.cluster.binaries.folder), **change)
    with pytest.raises(BackupFailed, match=word):
        prove(filled, manifest, connector)
    assert scratch_databases(filled) == []


def test_the_checksums_are_of_the_snapshot_and_not_of_what_came_after(
    filled: Target, connector: Connector, store: FileStore
) -> None:
    manifest = take(connector, store, filled.cluster.binaries.folder)
    bare = {name: TableContents(one.rows) for name, one in manifest.tables.items()}
    restorer = find_restorer(filled.cluster.binaries.folder, manifest.client_version, 180000)
    with connector.reopen("the snapshot") as session:
        workbench = Workbench(connector, scratch_prefix(session), likeness(session))
        session.rows("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        session.rows("SELECT 1")
        filled.execute("DELETE FROM measure; SELECT lo_unlink(oid) FROM pg_largeobject_metadata")
        proven = proven_by_restoring(
            dataclasses.replace(manifest, tables=bare, large_objects_checksum=None, verified="archive"),
            session,
            store,
            Filling(restorer, Stop(), lambda: None),
            workbench,
        )
    assert proven == manifest


class Elsewhere:
    """The same backups, through a network as it were: no file of theirs lies here."""

    def __init__(self, store: FileStore) -> None:
        self._store = store

    def reading(self, name: str) -> Iterator[bytes]:
        return self._store.reading(name)

    def size_bytes(self, name: str) -> int | None:
        return self._store.size_bytes(name)

    def location(self, name: str) -> str:
        return f"s3://bucket/{name}"

    def names(self) -> list[str]:
        return self._store.names()

    def remove(self, name: str) -> None:
        raise NotImplementedError

    def remove_leftovers(self) -> None:
        raise NotImplementedError

    def refuse_unusable(self, expected_bytes: int) -> None:
        raise NotImplementedError

    def writing(self, name: str) -> AbstractContextManager[Writing]:
        raise NotImplementedError


@pytest.fixture
def no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder for temporary files that is too small for a copy."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    subprocess.run(["umount", folder], check=True)


def test_several_sessions_restore_at_once_what_is_large(
    filled: Target, connector: Connector, store: FileStore, prove: Prove
) -> None:
    manifest = take(connector, store, filled.cluster.binaries.folder)
    prove(filled, manifest, connector, parallel_bytes=0)


def test_what_is_elsewhere_is_copied_and_restored_by_several_sessions(
    filled: Target, connector: Connector, store: FileStore, prove: Prove
) -> None:
    manifest = take(connector, store, filled.cluster.binaries.folder)
    prove(filled, manifest, connector, kept=Elsewhere(store), parallel_bytes=0)


@pytest.mark.usefixtures("no_room")
def test_what_has_no_room_here_is_streamed(
    filled: Target, connector: Connector, store: FileStore, prove: Prove
) -> None:
    manifest = take(connector, store, filled.cluster.binaries.folder)
    prove(filled, manifest, connector, kept=Elsewhere(store))


@pytest.mark.usefixtures("no_room")
def test_a_stream_of_other_bytes_than_were_stored_is_no_backup(
    filled: Target, connector: Connector, store: FileStore, prove: Prove
) -> None:
    manifest = take(connector, store, filled.cluster.binaries.folder)
    path = store.path(manifest.file)
    content = path.read_bytes()
    path.write_bytes(content[:-100] + bytes([content[-100] ^ 1]) + content[-99:])
    with pytest.raises(BackupFailed, match="sha256"):
        prove(filled, manifest, connector, kept=Elsewhere(store))
    assert scratch_databases(filled) == []


def test_without_createdb_the_proof_is_refused(
    target: Target, connector: Connector, store: FileStore, prove: Prove
) -> None:
    manifest = take(connector, store, target.cluster.binaries.folder)
    with pytest.raises(PolicyRefused, match="MIGRATOR_BACKUP_VERIFY=restore"):
        prove(target, manifest, connector)


@pytest.mark.parametrize("older", [15, 16])
def test_an_archive_of_an_older_server_comes_back_on_a_newer_one(
    servers: Servers,
    target: Target,
    store: FileStore,
    prove: Prove,
    older: int,
) -> None:
    with target_on(servers.cluster(older)) as source:
        source.execute(EVERYTHING)
        source.execute(CONTENTS)
        manifest = take(superuser(source), store, source.cluster.binaries.folder)
        target.cluster.create_role(source.user, source.password)
        prove(target, manifest, superuser(target))
        with target.admin() as admin:
            admin.execute(f"DROP ROLE {source.user}")


def test_an_archive_of_a_newer_client_comes_back_on_an_older_server(
    servers: Servers, store: FileStore, prove: Prove, connect_to: Connect
) -> None:
    with target_on(servers.cluster(16)) as older:
        let_make_databases(older)
        older.execute(EVERYTHING)
        older.execute(CONTENTS)
        folder = embedded_binaries(18).folder
        manifest = take(connect_to(older), store, folder)
        restorer = find_restorer(folder, manifest.client_version, 160000)
        assert restorer.startles_server
        prove(older, manifest, connect_to(older), restorer)


def test_an_error_of_its_own_is_not_taken_for_the_harmless_one(
    servers: Servers, store: FileStore, prove: Prove, connect_to: Connect
) -> None:
    with target_on(servers.cluster(16)) as older:
        let_make_databases(older)
        older.execute("CREATE TABLE a (id int)")
        with older.admin() as admin:
            admin.execute("CREATE TABLE theirs (id int)")
        folder = embedded_binaries(18).folder
        manifest = take(superuser(older), store, folder)
        restorer = find_restorer(folder, manifest.client_version, 160000)
        with pytest.raises(BackupFailed, match=r"SET ROLE|must be"):
            prove(older, manifest, connect_to(older), restorer)


def test_the_order_of_rows_and_the_settings_of_a_session_do_not_matter(
    target: Target, connector: Connector
) -> None:
    target.execute(
        "CREATE TABLE one (at timestamptz, f float8, b bytea);"
        "INSERT INTO one SELECT '2026-01-01'::timestamptz + n * interval '1 day', n / 3.0, int4send(n) "
        "FROM generate_series(1, 9) n;"
        "CREATE TABLE other AS SELECT * FROM one ORDER BY at DESC"
    )
    with connector.reopen("the target") as session:
        one = checksums(session, ["public.one"])["public.one"]
        session.rows("SET datestyle = 'German'; SET timezone = 'Asia/Tokyo'; SET extra_float_digits = -3")
        session.rows("BEGIN")
        other = checksums(session, ["public.other"])["public.other"]
        assert session.value("SHOW timezone") == "Asia/Tokyo"
        assert session.in_transaction
    assert one == other


def test_each_change_of_a_value_shows(target: Target, connector: Connector) -> None:
    target.execute("CREATE TABLE a AS SELECT n, n::text AS t FROM generate_series(1, 9) n")
    with connector.reopen("the target") as session:
        before = checksums(session, ["public.a"])
        target.execute("UPDATE a SET t = 'x' WHERE n = 5")
        after = checksums(session, ["public.a"])
        assert row_counts(session, ["public.a"]) == {"public.a": TableContents(9)}
    assert before["public.a"].rows == after["public.a"].rows
    assert before != after


def test_rows_that_a_policy_hides_are_an_error_and_not_absent(target: Target, connector: Connector) -> None:
    target.execute(
        "CREATE TABLE a (id int); ALTER TABLE a ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"
    )
    with connector.reopen("the target") as session, pytest.raises(AccessDenied):
        row_counts(session, ["public.a"])


def test_a_large_object_is_summed_up_to_its_end(target: Target, connector: Connector) -> None:
    target.execute("SELECT lo_from_bytea(4711, decode(repeat('ab', 9000000), 'hex'))")
    with connector.reopen("the target") as session:
        before = large_objects(session)
        target.execute("SELECT lo_put(4711, 8999999, 'x')")
        after = large_objects(session)
    assert (before.rows, after.rows) == (1, 1)
    assert before.checksum != after.checksum


class TestRestorer:
    """Which pg_restore is used."""

    @pytest.fixture
    def _places(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Both embedded installations, the newer one first."""
        monkeypatch.setenv("PATH", ":".join(str(embedded_binaries(major).folder) for major in (18, 16)))

    @pytest.mark.usefixtures("_places")
    @pytest.mark.parametrize(
        ("dumped_by", "server", "client", "startles"),
        [
            ("16.14", 160014, 16, False),
            ("16.14", 180000, 16, False),
            ("18.4", 180000, 18, False),
            ("18.4", 160014, 18, True),
            ("16.14", 150000, 16, False),
        ],
    )
    def test_it_reads_the_archive_and_if_possible_startles_nobody(
        self, dumped_by: str, server: int, client: int, *, startles: bool
    ) -> None:
        found = find_restorer(None, dumped_by, server)
        assert (found.client.major, found.startles_server) == (client, startles)

    def test_an_archive_that_is_too_new_is_refused(self) -> None:
        with pytest.raises(PolicyRefused, match=r"written by pg_dump 18\.4"):
            find_restorer(embedded_binaries(16).folder, "18.4", 160000)
