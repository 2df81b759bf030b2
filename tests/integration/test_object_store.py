"""The bucket as a store: whole or not at all, on two servers that are not ours."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Barrier

import pytest

from migrator.backup.lasting import Surroundings
from migrator.backup.stores import open_store
from migrator.backup.stores.files import folder_name
from migrator.backup.stores.objects import ObjectStore
from migrator.backup.stores.parts import MEBI, Parts
from migrator.demo.cluster import free_port
from migrator.errors import BackupFailed, MigratorError, PolicyRefused, SettingsInvalid, Terminated
from migrator.settings import Secret
from tests.support.objects import (
    BUCKET,
    KEY_ID,
    SECRET_KEY,
    ObjectServer,
    moto_with_certificate,
    start_objects,
)
from tests.support.odd_server import OddServer, odd_server
from tests.support.proxy import TcpProxy
from tests.support.waiting import eventually

PART = 5 * MEBI  # the smallest that S3 takes
LARGE = os.urandom(MEBI) * 17  # more than three parts

Open = Callable[..., ObjectStore]


@dataclass
class Waiting:
    """What is called while the network is waited for: counts, and raises once it was told to."""

    error: MigratorError | None = None
    times: int = 0
    warnings: list[str] = field(default_factory=list)

    def __call__(self) -> None:
        self.times += 1
        if self.error is not None:
            raise self.error


@pytest.fixture(scope="module", params=["moto", "nanio"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ObjectServer]:
    server = start_objects(request.param, tmp_path_factory.mktemp(request.param))
    yield server
    server.close()


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    server = start_objects("moto", tmp_path_factory.mktemp("moto"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def nanio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    server = start_objects("nanio", tmp_path_factory.mktemp("nanio"))
    yield server
    server.close()


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    """A database of the test's own, so that tests can share a server."""
    return str(request.node.name[-60:])


@pytest.fixture
def open_at(waiting: Waiting, database: str) -> Open:
    def open_at(url: str, environ: dict[str, str]) -> ObjectStore:
        store = open_store(
            Secret(url),
            database,
            Surroundings(environ),
            while_waiting=waiting,
            warn=waiting.warnings.append,
        )
        assert isinstance(store, ObjectStore)
        return replace(store, parts=lambda _: Parts(PART, 2))

    return open_at


@pytest.fixture
def store(server: ObjectServer, open_at: Open) -> ObjectStore:
    return open_at(server.url("deep/down"), server.environ)


def written(
    store: ObjectStore, name: str, content: bytes, midway: Callable[[], object] = lambda: None
) -> None:
    """Write it, and do something when a third of it has been handed over."""
    with store.writing(name, len(content)) as file:
        for start in range(0, len(content), MEBI):
            if start // MEBI == len(content) // MEBI // 3:
                midway()
            file.write(content[start : start + MEBI])


def of(database: str, keys: list[str]) -> list[str]:
    return [key for key in keys if folder_name(database) in key.split("/")]


@pytest.mark.parametrize("content", [b"", b"small", LARGE, LARGE[: 2 * PART]], ids=len)
def test_what_was_written_is_read_back(
    store: ObjectStore, server: ObjectServer, database: str, content: bytes
) -> None:
    name = f"{len(content)}.dump"
    written(store, name, content)
    assert store.size_bytes(name) == len(content)
    assert b"".join(store.reading(name)) == content
    assert f"deep/down/{folder_name(database)}/{name}" in server.objects()
    assert store.location(name) == f"s3://{BUCKET}/deep/down/{folder_name(database)}/{name}"
    assert of(database, server.uploads()) == []


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["in-one-request", "in-parts"])
def test_a_body_that_fails_leaves_no_object_and_no_parts(
    store: ObjectStore, server: ObjectServer, waiting: Waiting, database: str, content: bytes
) -> None:
    def fail() -> None:
        assert content is not LARGE or eventually(lambda: of(database, server.uploads()))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        written(store, "one.dump", content, midway=fail)
    assert of(database, server.objects()) == of(database, server.uploads()) == []
    assert waiting.warnings == []


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["in-one-request", "in-parts"])
def test_an_object_that_exists_is_not_overwritten(store: ObjectStore, content: bytes) -> None:
    written(store, "one.dump", b"first")
    with pytest.raises(BackupFailed, match=r"one\.dump exists already: nothing is ever overwritten"):
        written(store, "one.dump", content)
    assert b"".join(store.reading("one.dump")) == b"first"


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["in-one-request", "in-parts"])
def test_an_object_that_appears_meanwhile_is_not_overwritten(
    store: ObjectStore, server: ObjectServer, database: str, content: bytes
) -> None:
    key = f"deep/down/{folder_name(database)}/one.dump"
    with pytest.raises(BackupFailed, match="exists already"):
        written(
            store,
            "one.dump",
            content,
            midway=lambda: server.client().put_object(Bucket=BUCKET, Key=key, Body=b"theirs"),
        )
    assert b"".join(store.reading("one.dump")) == b"theirs"
    assert of(database, server.uploads()) == []


def test_of_many_who_write_a_manifest_at_once_one_wins(moto: ObjectServer, open_at: Open) -> None:
    store = open_at(moto.url(), moto.environ)
    together = Barrier(8)

    def write(content: bytes) -> bytes | None:
        with suppress(BackupFailed), store.writing("one.manifest.json") as file:
            together.wait()  # all have looked by now, and seen nothing
            file.write(content)
        return content if store.size_bytes("one.manifest.json") and file.is_stored else None

    with ThreadPoolExecutor(8) as writers:
        won = [content for content in writers.map(write, (b"%d" % n for n in range(8))) if content]
    assert won == [b"".join(store.reading("one.manifest.json"))]


def test_names_are_those_directly_there(store: ObjectStore, server: ObjectServer, database: str) -> None:
    assert store.names() == []
    for name in ("b.dump", "a.manifest.json", ".hidden"):
        written(store, name, b"x")
    client = server.client()
    client.put_object(Bucket=BUCKET, Key=f"deep/down/{folder_name(database)}/further/c.dump", Body=b"x")
    client.put_object(Bucket=BUCKET, Key=f"deep/down/{folder_name(database)}-too/d.dump", Body=b"x")
    assert store.names() == ["a.manifest.json", "b.dump"]


def test_what_is_gone_already_may_be_removed(store: ObjectStore) -> None:
    written(store, "one.dump", b"x")
    store.remove("one.dump")
    store.remove("one.dump")
    assert store.size_bytes("one.dump") is None
    with pytest.raises(BackupFailed, match=r"one\.dump could not be read: there is no such object"):
        b"".join(store.reading("one.dump"))


def test_nothing_stays_of_having_tried(store: ObjectStore, server: ObjectServer, database: str) -> None:
    store.refuse_unusable(1 << 40)
    assert of(database, server.objects()) == []


def test_what_fits_no_object_is_refused_before_anything_is_asked(open_at: Open) -> None:
    url = f"s3://{BUCKET}?endpoint=http://127.0.0.1:{free_port()}"
    keys = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    with pytest.raises(PolicyRefused, match="an object holds at most 5368709120000 bytes"):
        open_at(url, keys).refuse_unusable(6 << 40)


def test_a_bucket_that_is_absent_is_refused(server: ObjectServer, open_at: Open) -> None:
    url = server.url().replace(BUCKET, "no-such-bucket")
    with pytest.raises(PolicyRefused, match=r"there is no such bucket \(NoSuchBucket\)") as refusal:
        open_at(url, server.environ).refuse_unusable(0)
    assert "MIGRATOR_BACKUP_URL" in refusal.value.remedy


@pytest.mark.parametrize(
    ("variable", "reason"),
    [
        ("AWS_ACCESS_KEY_ID", "the access key is not known"),
        ("AWS_SECRET_ACCESS_KEY", "the secret key is wrong"),
    ],
)
def test_a_wrong_key_is_refused_and_not_quoted(
    nanio: ObjectServer, open_at: Open, variable: str, reason: str
) -> None:
    wrong = "wrong-key-wrong-key-wrong"
    with pytest.raises(PolicyRefused, match=reason) as refusal:
        open_at(nanio.url(), {**nanio.environ, variable: wrong}).refuse_unusable(0)
    assert "AWS_ACCESS_KEY_ID" in refusal.value.remedy
    assert wrong not in refusal.value.message


def test_keys_may_stand_in_files(nanio: ObjectServer, open_at: Open, tmp_path: Path) -> None:
    environ = {"AWS_METADATA_ENDPOINT": nanio.environ["AWS_METADATA_ENDPOINT"]}
    for name, content in (("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)):
        (tmp_path / name).write_text(f"{content}\n")
        environ[f"{name}_FILE"] = str(tmp_path / name)
    open_at(nanio.url(), environ).refuse_unusable(0)


def test_without_keys_nobody_is_asked_who_we_are(open_at: Open) -> None:
    with pytest.raises(SettingsInvalid, match="AWS_ACCESS_KEY_ID is missing"):
        open_at(f"s3://{BUCKET}", {})


def test_a_server_that_nobody_is_at_fails_within_seconds(open_at: Open, moto: ObjectServer) -> None:
    began = time.monotonic()
    with pytest.raises(BackupFailed, match=r"the server could not be reached: .*refused"):
        open_at(moto.url(port=free_port()), moto.environ).refuse_unusable(0)
    assert time.monotonic() - began < 20


class TestNetwork:
    """What happens between us and the server."""

    @pytest.fixture
    def proxy(self, moto: ObjectServer) -> Iterator[TcpProxy]:
        proxy = TcpProxy("127.0.0.1", moto.port)
        yield proxy
        proxy.close()

    @pytest.fixture
    def store(self, moto: ObjectServer, proxy: TcpProxy, open_at: Open) -> ObjectStore:
        return open_at(moto.url("deep/down", port=proxy.port, timeout="2s"), moto.environ)

    def test_a_server_that_never_answers_fails_within_seconds(
        self, proxy: TcpProxy, moto: ObjectServer, open_at: Open
    ) -> None:
        proxy.stall()
        began = time.monotonic()
        with pytest.raises(BackupFailed, match="the server did not answer in time"):
            open_at(moto.url(port=proxy.port), moto.environ).names()
        assert time.monotonic() - began < 20

    def test_a_server_that_hangs_midway_fails_the_upload(
        self, store: ObjectStore, proxy: TcpProxy, moto: ObjectServer, waiting: Waiting, database: str
    ) -> None:
        with pytest.raises(BackupFailed, match="the store has taken nothing for 12 s"):
            written(store, "one.dump", LARGE * 3, midway=proxy.stall)
        assert of(database, moto.objects()) == []
        assert "AbortIncompleteMultipartUpload" in waiting.warnings[0]

    def test_told_to_stop_while_the_server_hangs_it_ends_within_seconds(
        self, proxy: TcpProxy, moto: ObjectServer, open_at: Open, waiting: Waiting, database: str
    ) -> None:
        began = time.monotonic()

        def stop() -> None:
            proxy.stall()
            waiting.error = Terminated("stopped by SIGTERM")

        with pytest.raises(Terminated):
            written(open_at(moto.url(port=proxy.port), moto.environ), "one.dump", LARGE * 3, midway=stop)
        assert time.monotonic() - began < 8
        assert of(database, moto.objects()) == []
        assert "AbortIncompleteMultipartUpload" in waiting.warnings[0]

    def test_told_to_stop_while_the_server_is_slow_nothing_stays(
        self, moto: ObjectServer, open_at: Open, waiting: Waiting, database: str
    ) -> None:
        def stop() -> None:
            moto.process.send_signal(signal.SIGSTOP)
            waiting.error = Terminated("stopped by SIGTERM")

        try:
            with pytest.raises(Terminated):
                written(open_at(moto.url("deep/down"), moto.environ), "one.dump", LARGE * 3, midway=stop)
        finally:
            moto.process.send_signal(signal.SIGCONT)
        assert waiting.times == 1
        # Where the server needs longer than the farewell, it is told all the same, as long as we live.
        assert eventually(lambda: of(database, moto.uploads()) == [])
        assert of(database, moto.objects()) == []

    def test_a_download_goes_on_after_a_broken_connection(self, store: ObjectStore, proxy: TcpProxy) -> None:
        written(store, "one.dump", LARGE)
        found = b""
        for number, piece in enumerate(store.reading("one.dump")):
            if number == 1:
                proxy.reset()
            found += piece
        assert found == LARGE

    def test_a_download_that_stalls_fails(self, store: ObjectStore, proxy: TcpProxy) -> None:
        written(store, "one.dump", LARGE)
        pieces = store.reading("one.dump")
        next(pieces)
        proxy.stall()
        with pytest.raises(BackupFailed, match=r"one\.dump could not be read"):
            b"".join(pieces)


def test_the_encryption_that_was_asked_for_is_asked_of_the_server(
    moto: ObjectServer, open_at: Open, database: str
) -> None:
    store = open_at(moto.url(sse="aws:kms", sse_kms_key_id="alias/backups"), moto.environ)
    for name, content in (("small", b"x"), ("large", LARGE)):
        written(store, name, content)
        found = moto.client().head_object(Bucket=BUCKET, Key=f"{folder_name(database)}/{name}")
        assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", "alias/backups")


class TestOddServers:
    """Servers that know less than moto, or answer less often."""

    @pytest.fixture
    def odd(self) -> Iterator[OddServer]:
        with odd_server() as odd:
            yield odd

    @pytest.fixture
    def store(self, odd: OddServer, open_at: Open) -> ObjectStore:
        keys = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
        return open_at(f"s3://{BUCKET}?endpoint=http://127.0.0.1:{odd.port}", keys)

    def test_one_that_does_not_know_conditions_is_looked_at_beforehand(
        self, store: ObjectStore, odd: OddServer
    ) -> None:
        odd.knows_conditions = False
        written(store, "one.manifest.json", b"first")
        with pytest.raises(BackupFailed, match="exists already"):
            written(store, "one.manifest.json", b"second")
        assert list(odd.objects.values()) == [b"first"]

    def test_an_answer_that_was_lost_does_not_make_our_own_object_a_strangers(
        self, store: ObjectStore, odd: OddServer
    ) -> None:
        odd.loses_answers = 1
        written(store, "one.manifest.json", b"first")
        assert list(odd.objects.values()) == [b"first"]


def test_a_machine_without_a_role_is_refused(open_at: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    # The client reads this itself; no test may ask a real metadata service.
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    url = f"s3://{BUCKET}?instance_role=on&endpoint=http://127.0.0.1:{free_port()}"
    with pytest.raises(PolicyRefused, match="this machine has no role of its own") as refusal:
        open_at(url, {}).refuse_unusable(0)
    assert "AWS_ACCESS_KEY_ID" in refusal.value.remedy


def test_a_certificate_that_nobody_trusts_is_refused_and_a_bundle_is_the_cure(
    open_at: Open, tmp_path: Path
) -> None:
    authority = tmp_path / "authority.pem"
    with moto_with_certificate(tmp_path, authority) as endpoint:
        url = f"s3://{BUCKET}?endpoint={endpoint}"
        keys = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
        with pytest.raises(PolicyRefused, match=r"certificate is not trusted \(UnknownIssuer\)") as refusal:
            open_at(url, keys).names()
        assert "AWS_CA_BUNDLE" in refusal.value.remedy
        with pytest.raises(PolicyRefused, match="no such bucket"):
            open_at(url, {**keys, "AWS_CA_BUNDLE": str(authority)}).names()
