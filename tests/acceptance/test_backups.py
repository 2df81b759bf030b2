"""Exit 33: the backup broke, and the schema was not touched."""

import dataclasses
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.clients import fake_pg_dump
from tests.support.journal import journal, version, write_journal
from tests.support.project import Project
from tests.support.runner import REPOSITORY, Migrator, Result
from tests.support.target import Target
from tests.support.waiting import eventually

TERMINATE_DUMP = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name ~ '^migrator.*backup$' AND wait_event_type = 'Lock'
"""
QUOTA = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
os.execv(sys.executable, [sys.executable, {entrypoint!r}, *sys.argv[1:]])
"""


@pytest.fixture(autouse=True)
def pending(migrator: Migrator, project: Project, target: Target) -> None:
    """A deployed database with rows worth 400 kB, and a second revision to come."""
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    target.execute("INSERT INTO journal (revision) SELECT md5(random()::text) FROM generate_series(1, 20000)")
    write_journal(project, "b2", begins=False)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 250 kB: the preflight cannot tell that it is too small."""
    folder = tmp_path / "small-disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=250k", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def assert_broken(result: Result, target: Target, *words: str) -> None:
    """See exit 33 with these words, and a schema nobody touched."""
    assert result.exit_code == 33, result.last
    last = result.last
    assert (last["event"], last["exit_name"], last["retryable"]) == ("run.finished", "BACKUP_FAILED", True)
    for word in words:
        assert word in last["error"], last["error"]
    assert last["backup"] is None
    assert not result.named("revision.started")
    assert version(target) == ["a1"]
    assert "b2" not in journal(target)


def assert_no_backup(folder: Path) -> None:
    """See that nothing is left that could be taken for a backup."""
    assert [path for path in folder.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (
            "head -c 30000000 /dev/urandom; echo 'pg_dump: error: server closed the connection' >&2; exit 1",
            "server closed the connection",
        ),
        ("exit 0", "without a single byte"),
        ("exit 1", "status 1"),
        ("head -c 100000 /dev/urandom", "pg_restore"),
        ('"$real" "$@" | head -c 100000', "pg_restore"),
        ('"$real" "$@" --exclude-table=journal', "no data of public.journal"),
        ("kill -9 $$", "pg_dump"),
    ],
    ids=["breaks-after-30-MB", "empty", "silent", "garbage", "truncated", "incomplete", "killed"],
)
def test_a_dump_that_breaks_is_never_a_backup(
    migrator: Migrator, target: Target, tmp_path: Path, body: str, word: str
) -> None:
    clients = fake_pg_dump(tmp_path / "clients", target.cluster.binaries, body)
    assert_broken(migrator(MIGRATOR_PG_BIN=clients), target, word)
    assert_no_backup(migrator.backups)


@pytest.mark.skipif(
    os.geteuid() != 0, reason="only root may mount a small disk; the quota below is for everybody"
)
def test_a_disk_that_is_full_is_never_a_backup(migrator: Migrator, target: Target, small_disk: Path) -> None:
    assert_broken(migrator(MIGRATOR_BACKUP_URL=small_disk.as_uri()), target, "No space left")
    assert_no_backup(small_disk)


def test_a_quota_that_is_reached_is_never_a_backup(
    migrator: Migrator, target: Target, tmp_path: Path
) -> None:
    script = tmp_path / "quota.py"
    script.write_text(QUOTA.format(entrypoint=str(REPOSITORY / "entrypoint.py")))
    limited = dataclasses.replace(migrator, script=script)
    assert_broken(limited(), target, "too large")
    assert_no_backup(migrator.backups)


@pytest.mark.usefixtures("any_cluster")
def test_a_dump_whose_session_is_terminated_is_never_a_backup(migrator: Migrator, target: Target) -> None:
    with target.connect() as holder, holder.transaction(), target.admin() as session:
        holder.execute("LOCK TABLE journal IN ACCESS EXCLUSIVE MODE")
        running = migrator.start()
        running.wait_for_event("backup.started")
        assert eventually(lambda: session.execute(TERMINATE_DUMP.encode()).rowcount)
        result = running.finish()
    assert_broken(result, target, "pg_dump")
    assert_no_backup(migrator.backups)


@pytest.mark.usefixtures("any_cluster")
def test_a_dump_whose_runner_is_killed_leaves_the_queue_of_the_table_it_waits_for(
    migrator: Migrator, target: Target
) -> None:
    waiting = TERMINATE_DUMP.replace("SELECT pg_terminate_backend(pid)", "SELECT pid")
    with target.connect() as holder, holder.transaction():
        holder.execute("LOCK TABLE journal IN ACCESS EXCLUSIVE MODE")
        running = migrator.start()
        assert eventually(lambda: target.rows(waiting))
        running.signal(signal.SIGKILL)
        assert running.finish().exit_code == -signal.SIGKILL
        assert eventually(lambda: not target.rows(waiting), seconds=5)


def test_a_later_run_takes_its_backup_and_goes_on(migrator: Migrator, target: Target, tmp_path: Path) -> None:
    clients = fake_pg_dump(tmp_path / "clients", target.cluster.binaries, "exit 1")
    assert_broken(migrator(MIGRATOR_PG_BIN=clients), target)
    result = migrator()
    assert result.exit_code == 0
    assert result.last["backup"]["size_bytes"] > 100_000
    assert version(target) == ["b2"]


def test_half_a_backup_of_a_killed_run_is_removed_by_the_next(
    migrator: Migrator, target: Target, tmp_path: Path
) -> None:
    clients = fake_pg_dump(
        tmp_path / "clients",
        target.cluster.binaries,
        "head -c 100000 /dev/urandom; sleep 1.1; head -c 9 /dev/urandom; exec sleep 20",
    )
    running = migrator.start(MIGRATOR_PG_BIN=clients)
    running.wait_for_event("backup.progressed")
    running.kill()
    assert any(migrator.backups.rglob("*.partial"))
    assert migrator().exit_code == 0
    assert not any(migrator.backups.rglob("*.partial"))
    assert len(list(migrator.backups.rglob("*.dump"))) == 1
    assert version(target) == ["b2"]


def test_always_means_also_with_nothing_to_do(migrator: Migrator) -> None:
    assert migrator().exit_code == 0
    result = migrator(MIGRATOR_BACKUP="always")
    assert result.exit_code == 0
    assert (result.last["outcome"], result.last["revisions_applied"]) == ("nothing to do", [])
    assert Path(result.last["backup"]["location"]).exists()


def test_a_database_that_only_libpqs_variable_names_has_its_own_folder(
    migrator: Migrator, target: Target
) -> None:
    url = target.url.removesuffix(f"/{target.database}")
    result = migrator(DATABASE_URL=url, PGDATABASE=target.database)
    assert result.exit_code == 0
    assert Path(result.last["backup"]["location"]).parent.name == target.database
    assert result.last["database"] == target.database


def test_a_folder_that_dies_with_its_container_is_exit_13(migrator: Migrator, target: Target) -> None:
    with TemporaryDirectory(dir="/dev/shm") as memory:
        result = migrator(
            KUBERNETES_SERVICE_HOST="10.0.0.1", MIGRATOR_BACKUP_URL=Path(memory).resolve().as_uri()
        )
    assert result.exit_code == 13, result.last
    assert "would die with this container" in result.last["error"]
    assert (version(target), journal(target)[:1]) == (["a1"], ["a1"])
