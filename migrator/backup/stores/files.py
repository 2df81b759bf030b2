"""A folder as the store of backups: a temporary name until the bytes are on disk, then a rename."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from migrator.backup.lasting import Surroundings, refuse_fleeting
from migrator.errors import BackupFailed, PolicyRefused

_OWNER_ONLY = 0o600
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class FileStore:
    """Backups of one database in a folder."""

    folder: Path

    @classmethod
    def at(cls, url: str, database: str, surroundings: Surroundings | None = None) -> "FileStore":
        """The store that `file:///folder` names.

        Raises `PolicyRefused` if nobody can write there, or if it dies with the container.
        """
        root = Path(unquote(urlsplit(url).path))
        folder = root / _file_name(database)
        refuse_fleeting(folder, surroundings or Surroundings())
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            probe = folder / f".probe-{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise PolicyRefused(
                f"backups cannot be written to {folder}: {error.strerror}",
                remedy="mount a writable volume there, or point MIGRATOR_BACKUP_URL elsewhere",
            ) from error
        return cls(folder)

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
        """Raise `PolicyRefused` unless the file system has room for this much."""
        found = os.statvfs(self.folder)
        if (free := found.f_bavail * found.f_frsize) < expected_bytes:
            raise PolicyRefused(
                f"{self.folder} has {free} bytes left, the backup may need {expected_bytes}",
                remedy="make room there, or point MIGRATOR_BACKUP_URL elsewhere",
            )

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """A file that gets its name only if the body succeeds; otherwise nothing stays.

        Raises `BackupFailed` when the disk does.
        """
        partial = self.folder / f".{name}.partial"
        try:
            with os.fdopen(_locked(partial), "w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.rename(self.folder / name)
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

    def _sync_folder(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise BackupFailed(f"{what}: there is no such file") from error
    except OSError as error:
        raise BackupFailed(f"{what}: {error.strerror}") from error


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


def _file_name(database: str) -> str:
    """A database's name as a folder's: only what every file system takes."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in database).lstrip(".") or "_"
