"""A folder as the store of backups: a temporary name until the bytes are on disk, then a rename."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from migrator.backup.lasting import Surroundings, refuse_fleeting
from migrator.errors import BackupFailed, PolicyRefused

_OWNER_ONLY = 0o600
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class FileStore:
    """Backups of one database in a folder, which is made when the first is written."""

    folder: Path
    surroundings: Surroundings = field(default_factory=Surroundings)
    sync_bytes: int = 64 << 20

    def path(self, name: str) -> Path:
        """Where a finished file is."""
        return self.folder / name

    def location(self, name: str) -> str:
        """Its path."""
        return str(self.path(name))

    def size_bytes(self, name: str) -> int | None:
        """How large a finished file is; None if there is none."""
        with _translated(f"{name} could not be looked at"):
            return self.path(name).stat().st_size if self.path(name).exists() else None

    def names(self) -> list[str]:
        """The finished files, in alphabetical order."""
        if not self.folder.exists():
            return []
        with _translated(f"{self.folder} could not be listed"):
            return sorted(
                one.name for one in self.folder.iterdir() if one.is_file() and not one.name.startswith(".")
            )

    def reading(self, name: str) -> Iterator[bytes]:
        """The stored bytes, in pieces of 1 MiB."""
        with _translated(f"{name} could not be read"), self.path(name).open("rb") as file:
            yield from iter(lambda: file.read(_CHUNK_BYTES), b"")

    def remove(self, name: str) -> None:
        """Delete a finished file; one that is gone already is no error."""
        with _translated(f"{name} could not be deleted"):
            self.path(name).unlink(missing_ok=True)
            self._sync_folder()

    def refuse_unusable(self, expected_bytes: int) -> None:
        """Raise `PolicyRefused` if nobody can write here, if it dies with the container, or is too small."""
        refuse_fleeting(self.folder, self.surroundings)
        try:
            self._make_folder()
            probe = self.folder / f".probe-{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
            found = os.statvfs(self.folder)
        except OSError as error:
            raise PolicyRefused(
                f"backups cannot be written to {self.folder}: {error.strerror}",
                remedy="mount a writable volume there, or point MIGRATOR_BACKUP_URL elsewhere",
            ) from error
        if (free := found.f_bavail * found.f_frsize) < expected_bytes:
            raise PolicyRefused(
                f"{self.folder} has {free} bytes left, the backup may need {expected_bytes}",
                remedy="make room there, or point MIGRATOR_BACKUP_URL elsewhere",
            )

    @contextlib.contextmanager
    def writing(self, name: str, expected_bytes: int = 0) -> Iterator["_Synced"]:  # noqa: ARG002
        """A file that gets its name only if the body succeeds; otherwise nothing stays.

        Raises `BackupFailed` when the disk does.
        """
        partial = self.folder / f".{name}.partial"
        try:
            self._make_folder()
            with os.fdopen(_locked(partial), "wb") as file:
                yield _Synced(file, self.sync_bytes)
                file.flush()
                os.fsync(file.fileno())
            _name_it(partial, self.folder / name)
            self._sync_folder()
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise BackupFailed(
                f"the backup could not be written to {self.folder}: {error.strerror}"
            ) from error
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    def remove_leftovers(self) -> None:
        """Drop temporary files of runs that were killed.

        Only the leader calls this, but another server may have a database of this name and share the volume:
        a file that is being written is locked.
        """
        for leftover in self.folder.glob(".*.partial"):
            with contextlib.suppress(OSError):
                _remove_unless_locked(leftover)

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _sync_folder(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class _Synced:
    """A file that is synced on the way: a stop cannot end a long sync, so the last one must be short."""

    def __init__(self, file: BinaryIO, every_bytes: int) -> None:
        """Sync this file once so many bytes have come since."""
        self._file = file
        self._every_bytes = every_bytes
        self._unsynced_bytes = 0

    def write(self, chunk: bytes) -> None:
        """Add to its end."""
        self._file.write(chunk)
        self._unsynced_bytes += len(chunk)
        if self._unsynced_bytes >= self._every_bytes:
            self._file.flush()
            os.fdatasync(self._file.fileno())
            self._unsynced_bytes = 0


@contextlib.contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise BackupFailed(
            f"{what}: there is no such file", remedy="`migrator backups` lists the backups there are"
        ) from error
    except OSError as error:
        raise BackupFailed(f"{what}: {error.strerror}") from error


def _name_it(partial: Path, final: Path) -> None:
    """Rename, unless there is such a file: a plain rename would replace it."""
    if final.exists():
        partial.unlink()
        raise BackupFailed(f"{final} exists already: nothing is ever overwritten")
    partial.rename(final)


def _locked(partial: Path) -> int:
    """Make a file that is locked until it is closed; anew, if it was tidied up before it was locked."""
    while True:
        descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_RDWR, _OWNER_ONLY)
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)


def _remove_unless_locked(leftover: Path) -> None:
    descriptor = os.open(leftover, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        leftover.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def folder_name(database: str) -> str:
    """A database's name as a folder's: only what every file system takes."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in database).lstrip(".") or "_"
