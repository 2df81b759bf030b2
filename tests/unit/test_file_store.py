"""The folder as a store: a file has its name once it is whole, and only where it lasts."""

import os
from pathlib import Path

import pytest

from migrator.backup.stores import FileStore, open_store
from migrator.errors import BackupFailed, PolicyRefused
from migrator.settings import Secret

HUGE = 1 << 60


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "backups" / "orders")


def opened(folder: Path, database: str) -> FileStore:
    store = open_store(Secret(folder.as_uri()), database)
    assert isinstance(store, FileStore)
    return store


def left(store: FileStore) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir())


@pytest.mark.parametrize("database", ["../../etc", ".", "..", "a/b", "", "Ünïcödé 1", "-x"])
def test_a_databases_name_never_leaves_the_folder(tmp_path: Path, database: str) -> None:
    store = opened(tmp_path, database)
    assert store.folder.parent == tmp_path
    assert store.folder != tmp_path


def test_a_url_is_unquoted(tmp_path: Path) -> None:
    spaced = tmp_path / "my backups"
    assert opened(spaced, "orders").folder == spaced / "orders"


def test_a_place_where_nobody_can_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PolicyRefused, match="backups cannot be written to") as refusal:
        opened(tmp_path / "file", "orders").refuse_unusable(0)
    assert "MIGRATOR_BACKUP_URL" in refusal.value.remedy


def test_a_disk_without_room_is_refused(store: FileStore) -> None:
    with pytest.raises(PolicyRefused, match=f"the backup may need {HUGE}"):
        store.refuse_unusable(HUGE)


def test_nothing_stays_of_having_tried(store: FileStore) -> None:
    store.refuse_unusable(1)
    assert left(store) == []


def test_a_folder_that_nobody_has_written_to_is_empty(store: FileStore) -> None:
    assert store.names() == []
    assert not store.folder.exists()


def test_a_file_gets_its_name_only_when_it_is_complete(store: FileStore) -> None:
    with pytest.raises(ZeroDivisionError), store.writing("one.dump") as file:
        file.write(b"%d" % (1 // 0))
    assert left(store) == []
    with store.writing("one.dump") as file:
        file.write(b"whole")
    assert (store.names(), store.size_bytes("one.dump")) == (["one.dump"], 5)
    assert b"".join(store.reading("one.dump")) == b"whole"
    assert store.path("one.dump").stat().st_mode & 0o777 == 0o600


def test_a_file_is_synced_on_the_way_so_that_the_end_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", lambda file: synced.append(os.fstat(file).st_size))
    with FileStore(tmp_path, sync_bytes=1000).writing("one.dump") as file:
        for _ in range(10):
            file.write(b"x" * 300)
    assert synced == [1200, 2400]


def test_a_file_that_exists_is_not_overwritten(store: FileStore) -> None:
    with store.writing("one.dump") as file:
        file.write(b"first")
    with pytest.raises(BackupFailed, match=r"one\.dump exists already"), store.writing("one.dump") as file:
        file.write(b"second")
    assert b"".join(store.reading("one.dump")) == b"first"
    assert left(store) == ["one.dump"]


def test_a_disk_that_fails_is_a_failed_backup(store: FileStore) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(BackupFailed, match="No space left"), store.writing("one.dump"):
        os.write(full, b"x")
    os.close(full)
    assert left(store) == []


def test_a_file_that_is_gone_already_may_be_removed(store: FileStore) -> None:
    with store.writing("one.dump") as file:
        file.write(b"x")
    store.remove("one.dump")
    store.remove("one.dump")
    assert store.names() == []
