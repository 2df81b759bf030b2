"""Backups in a bucket: all of an archive and its manifest, or nothing at all and the right exit code."""

import dataclasses
import hashlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator.demo.cluster import free_port
from tests.support.clients import fake_pg_dump
from tests.support.journal import journal, version, write_journal
from tests.support.objects import BUCKET, KEY_ID, SECRET_KEY, ObjectServer, start_objects
from tests.support.processes import process_list
from tests.support.project import Project
from tests.support.proxy import TcpProxy, flipped
from tests.support.replay import let_make_databases
from tests.support.runner import REPOSITORY, Migrator, Result
from tests.support.target import Target
from tests.support.waiting import eventually

MEBI = 1 << 20
PATIENCE_SECONDS = 5.0
WITHOUT_EXTRA = """
import sys
sys.modules["obstore"] = None
sys.path.insert(0, {repository!r})
from migrator.cli import entry
entry()
"""
LEAKY = """
import os
print("keys:", os.environ.get("AWS_SECRET_ACCESS_KEY"), os.environ.get("AWS_SESSION_TOKEN"))
"""


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
def proxy(moto: ObjectServer) -> Iterator[TcpProxy]:
    """A network between us and moto."""
    proxy = TcpProxy("127.0.0.1", moto.port)
    yield proxy
    proxy.close()


@pytest.fixture(autouse=True)
def pending(migrator: Migrator, project: Project) -> None:
    """A deployed database, and a second revision to come."""
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    write_journal(project, "b2", begins=False)


@pytest.fixture
def large(target: Target) -> None:
    """Rows that no compression makes small: more than three parts of an upload."""
    target.execute("CREATE TABLE picture (content bytea)")
    with target.connect() as session:
        for _ in range(30):
            session.execute("INSERT INTO picture VALUES (%s)", [os.urandom(MEBI)])


def settings(server: ObjectServer, **options: Any) -> dict[str, Any]:
    return {"MIGRATOR_BACKUP_URL": server.url("deep/down", **options), **server.environ}


def kept(server: ObjectServer, target: Target) -> list[str]:
    """Give the names of the objects there are of this database."""
    prefix = f"deep/down/{target.database}/"
    return [key.removeprefix(prefix) for key in server.objects() if key.startswith(prefix)]


def unfinished(server: ObjectServer, target: Target) -> list[str]:
    return [key for key in server.uploads() if f"/{target.database}/" in key]


def assert_untouched(result: Result, target: Target, code: int, *words: str) -> None:
    """See this exit code with these words, and a schema nobody touched."""
    assert result.exit_code == code, result.last
    assert result.last["event"] == "run.finished"
    told = f"{result.last['error']}; {result.last['remedy']}"
    for word in words:
        assert word in told, told
    assert result.last["backup"] is None
    assert (version(target), journal(target)) == (["a1"], ["a1"])


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("kind", ["moto", "nanio"])
def test_a_backup_of_several_parts_is_an_object_and_its_manifest(
    migrator: Migrator, target: Target, request: pytest.FixtureRequest, kind: str
) -> None:
    server: ObjectServer = request.getfixturevalue(kind)
    result = migrator(**settings(server))
    assert result.exit_code == 0, result.last
    archive, manifest = kept(server, target)
    prefix = f"deep/down/{target.database}"
    assert result.last["backup"]["location"] == f"s3://{BUCKET}/{prefix}/{archive}"
    bucket = server.client()
    stored = bucket.get_object(Bucket=BUCKET, Key=f"{prefix}/{archive}")["Body"].read()
    facts = json.loads(bucket.get_object(Bucket=BUCKET, Key=f"{prefix}/{manifest}")["Body"].read())
    assert len(stored) == facts["size_bytes"] > 3 * 8 * MEBI
    assert hashlib.sha256(stored).hexdigest() == facts["sha256"] == result.last["backup"]["sha256"]
    assert unfinished(server, target) == []
    assert version(target) == ["b2"]


@pytest.mark.parametrize(
    "body",
    [
        '"$real" "$@"; echo "pg_dump: error: out of luck" >&2; exit 1',
        '"$real" "$@" | head -c 20000000; kill -9 $$',
        '"$real" "$@" | head -c 20000000',
    ],
    ids=["fails-at-its-end", "killed-midway", "cut-short"],
)
@pytest.mark.usefixtures("large")
def test_a_dump_that_breaks_leaves_no_object_and_no_parts(
    migrator: Migrator, target: Target, moto: ObjectServer, tmp_path: Path, body: str
) -> None:
    clients = fake_pg_dump(tmp_path / "clients", target.cluster.binaries, body)
    assert_untouched(migrator(MIGRATOR_PG_BIN=clients, **settings(moto)), target, 33)
    assert kept(moto, target) == unfinished(moto, target) == []


@pytest.mark.parametrize(
    "body",
    ["head -c 20000000 /dev/urandom; exec sleep 600", "exec cat /dev/urandom"],
    ids=["pg_dump-is-slow", "the-server-is-slow"],
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_told_to_stop_during_an_upload_it_leaves_no_object_and_no_parts(
    migrator: Migrator,
    target: Target,
    moto: ObjectServer,
    tmp_path: Path,
    body: str,
    number: signal.Signals,
) -> None:
    clients = fake_pg_dump(tmp_path / "clients", target.cluster.binaries, body)
    running = migrator.start(MIGRATOR_PG_BIN=clients, **settings(moto))
    assert eventually(lambda: unfinished(moto, target))
    began = time.monotonic()
    running.signal(number)
    result = running.finish(20)
    assert time.monotonic() - began < PATIENCE_SECONDS
    assert_untouched(result, target, 128 + number)
    assert kept(moto, target) == []
    # A server that is slower than the farewell keeps parts; then the run has said so.
    assert unfinished(moto, target) == [] or (body.endswith("urandom") and result.named("hazard.found"))


def test_told_to_stop_while_the_server_hangs_it_ends_within_seconds(
    migrator: Migrator, target: Target, moto: ObjectServer, proxy: TcpProxy, tmp_path: Path
) -> None:
    clients = fake_pg_dump(tmp_path / "clients", target.cluster.binaries, "exec cat /dev/urandom")
    running = migrator.start(MIGRATOR_PG_BIN=clients, **settings(moto, port=proxy.port))
    assert eventually(lambda: unfinished(moto, target))
    proxy.stall()
    began = time.monotonic()
    running.signal(signal.SIGTERM)
    result = running.finish(20)
    assert time.monotonic() - began < PATIENCE_SECONDS
    assert_untouched(result, target, 143)
    assert "AbortIncompleteMultipartUpload" in result.named("hazard.found")[-1]["message"]
    assert kept(moto, target) == []


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("way", ["cut", "stall"])
def test_a_server_that_dies_or_hangs_midway_is_a_failed_backup(
    migrator: Migrator, target: Target, moto: ObjectServer, proxy: TcpProxy, tmp_path: Path, way: str
) -> None:
    body = '"$real" "$@" | { head -c 12000000; sleep 3; cat; }'
    clients = fake_pg_dump(tmp_path / "clients", target.cluster.binaries, body)
    running = migrator.start(MIGRATOR_PG_BIN=clients, **settings(moto, port=proxy.port, timeout="2s"))
    assert eventually(lambda: unfinished(moto, target))
    getattr(proxy, way)()
    reason = {"cut": "could not be reached", "stall": "has taken nothing for 12 s"}[way]
    assert_untouched(running.finish(60), target, 33, reason)
    assert kept(moto, target) == []


def test_a_server_that_never_answers_costs_seconds(
    migrator: Migrator, target: Target, moto: ObjectServer, proxy: TcpProxy
) -> None:
    proxy.stall()
    result = migrator(**settings(moto, port=proxy.port))
    assert_untouched(result, target, 33, "did not answer in time")
    assert result.seconds < 30


def test_a_server_that_is_not_there_is_a_failed_backup(
    migrator: Migrator, target: Target, moto: ObjectServer
) -> None:
    result = migrator(**settings(moto, port=free_port()))
    assert_untouched(result, target, 33, "could not be reached", "refused")


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_a_wrong_key_is_refused(migrator: Migrator, target: Target, nanio: ObjectServer, name: str) -> None:
    wrong = "wrong-key-wrong-key-wrong"
    result = migrator(**settings(nanio) | {name: wrong})
    assert_untouched(result, target, 13, "key", "AWS_ACCESS_KEY_ID")
    assert wrong not in result.stdout


def test_a_bucket_that_is_absent_is_refused(migrator: Migrator, target: Target, moto: ObjectServer) -> None:
    given = settings(moto)
    given["MIGRATOR_BACKUP_URL"] = given["MIGRATOR_BACKUP_URL"].replace(BUCKET, "no-such-bucket")
    assert_untouched(migrator(**given), target, 13, "no such bucket", "MIGRATOR_BACKUP_URL")


def test_missing_keys_are_a_problem_of_the_settings(
    migrator: Migrator, target: Target, moto: ObjectServer
) -> None:
    result = migrator(**settings(moto) | {"AWS_SECRET_ACCESS_KEY": ""})
    assert_untouched(result, target, 10, "AWS_SECRET_ACCESS_KEY is missing")


def test_without_the_extra_the_package_is_named(
    migrator: Migrator, target: Target, moto: ObjectServer, tmp_path: Path
) -> None:
    script = tmp_path / "without_extra.py"
    script.write_text(WITHOUT_EXTRA.format(repository=str(REPOSITORY)))
    result = dataclasses.replace(migrator, script=script)(**settings(moto))
    assert_untouched(result, target, 13, "obstore", "migrator[s3]")


@pytest.mark.parametrize("way", ["variables", "files"])
def test_the_keys_are_nowhere(
    migrator: Migrator, project: Project, target: Target, moto: ObjectServer, tmp_path: Path, way: str
) -> None:
    token = "session-token/with+odd=characters%2F0123456789"
    given = settings(moto) | {"AWS_SESSION_TOKEN": token, "MIGRATOR_LOG_LEVEL": "debug"}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN") if way == "files" else ():
        (tmp_path / name).write_text(given.pop(name))
        given[f"{name}_FILE"] = str(tmp_path / name)
    files = [given[name] for name in given if name.endswith("_FILE")]
    shown = [f"print(open({file!r}).read())" for file in files]
    project.write_revision("c3", upgrade="\n".join([LEAKY, *shown]))
    with process_list() as seen:
        result = migrator(**given)
    assert result.exit_code == 0, result.last
    assert result.named("output.captured")
    bucket, prefix = moto.client(), f"deep/down/{target.database}/"
    stored = [
        bucket.get_object(Bucket=BUCKET, Key=f"{prefix}{name}")["Body"].read() for name in kept(moto, target)
    ]
    with target.admin() as session:
        ledger = str(session.execute("SELECT r::text FROM migrator.run r").fetchall())
    places = [result.stdout, result.stderr, "\n".join(seen), ledger, *map(repr, stored)]
    assert [place for place in places for secret in (SECRET_KEY, token) if secret in place] == []
    assert KEY_ID not in "\n".join(seen)


def test_a_key_in_the_url_is_refused_and_not_quoted(migrator: Migrator, target: Target) -> None:
    result = migrator(MIGRATOR_BACKUP_URL=f"s3://{KEY_ID}:{SECRET_KEY}@{BUCKET}/backups")
    assert_untouched(result, target, 10, "MIGRATOR_BACKUP_URL: must not carry keys")
    assert SECRET_KEY not in result.stdout + result.stderr


@pytest.mark.usefixtures("large")
def test_what_lies_in_a_bucket_takes_the_targets_place_again(
    migrator: Migrator, target: Target, nanio: ObjectServer
) -> None:
    let_make_databases(target)
    pictures = "SELECT count(*), md5(string_agg(md5(content), '' ORDER BY content)) FROM picture"
    before = target.rows(pictures)
    taken = migrator(**settings(nanio))
    assert taken.exit_code == 0, taken.last
    target.execute("TRUNCATE picture")
    result = migrator("restore", taken.last["backup"]["location"], **settings(nanio))
    assert result.exit_code == 0, result.last
    assert (version(target), target.rows(pictures)) == (["a1"], before)


@pytest.mark.parametrize(
    ("damage", "word"), [(flipped, "sha256"), (lambda content: content[:-1], "by its manifest it had")]
)
def test_what_was_changed_in_a_bucket_takes_nobodys_place(
    migrator: Migrator, target: Target, nanio: ObjectServer, damage: Callable[[bytes], bytes], word: str
) -> None:
    let_make_databases(target)
    assert migrator(**settings(nanio)).exit_code == 0
    key = next(key for key in nanio.objects() if f"/{target.database}/" in key and key.endswith(".dump"))
    bucket = nanio.client()
    stored = bucket.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    bucket.put_object(Bucket=BUCKET, Key=key, Body=damage(stored))
    result = migrator("restore", "latest", **settings(nanio))
    assert (result.exit_code, version(target)) == (17, ["b2"]), result.last
    assert word in result.last["error"]
    assert not result.named("restore.started")


@pytest.mark.usefixtures("large")
def test_a_store_that_gives_other_bytes_than_it_took_has_no_backup(
    migrator: Migrator, target: Target, moto: ObjectServer, proxy: TcpProxy
) -> None:
    proxy.flip()
    result = migrator(**settings(moto) | {"MIGRATOR_BACKUP_URL": moto.url("deep/down", port=proxy.port)})
    assert_untouched(result, target, 33, "sha256 differs")
    assert kept(moto, target) == unfinished(moto, target) == []
