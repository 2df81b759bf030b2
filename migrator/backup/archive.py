"""A stored archive, brought within reach and seen to be what its manifest says."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from migrator.backup.manifest import Manifest
from migrator.backup.stores import FileStore, Store
from migrator.errors import BackupFailed

Progressed = Callable[[int], None]

_CHUNK_BYTES = 1 << 20
# What a temporary copy must leave free: other programs write there too.
_SPARE_BYTES = 1 << 30
# Where an open file has a name that other processes can open anew, each with its own position in it.
_OPEN_FILES = Path("/proc/self/fd")


@dataclass(frozen=True, slots=True)
class Archive:
    """A stored archive; without a `file` of ours it comes through the network each time it is read."""

    store: Store
    manifest: Manifest
    file: BinaryIO | None

    @property
    def path(self) -> str | None:
        """Under which name a child that keeps `file` open can read it from several processes at once."""
        return f"{_OPEN_FILES}/{self.file.fileno()}" if self.file and _OPEN_FILES.is_dir() else None

    def chunks(self) -> Iterator[bytes]:
        """The stored bytes. Raises `BackupFailed`, at their end, if they are not those of the manifest."""
        return _checked(self._chunks(), self.manifest)

    def _chunks(self) -> Iterator[bytes]:
        if self.file is None:
            return self.store.reading(self.manifest.file)
        self.file.seek(0)
        return iter(lambda: self.file.read(_CHUNK_BYTES) if self.file else b"", b"")


@contextmanager
def fetched(store: Store, manifest: Manifest, progressed: Progressed) -> Iterator[Archive]:
    """The archive as it lies in a folder; a copy of ours where there is room for one; else from the store.

    What is at hand is checked to the last byte before the block begins; what is not, whenever it is read.
    `progressed` hears how many bytes were read, and may raise to end it. Raises `BackupFailed`.
    """
    _refuse_unlike(store, manifest)
    with _at_hand(store, manifest, progressed) as file:
        archive = Archive(store, manifest, file)
        if isinstance(store, FileStore):
            _exhaust(archive.chunks(), progressed)
        yield archive


def _refuse_unlike(store: Store, manifest: Manifest) -> None:
    if manifest.encryption is not None:
        raise BackupFailed(
            f"{manifest.file} is encrypted as {manifest.encryption!r}, which this release does not know",
            remedy="use the release of migrator that took it, or a newer one",
        )
    size = store.size_bytes(manifest.file)
    if size is None:
        raise BackupFailed(
            f"{store.location(manifest.file)} is not there, only its manifest",
            remedy="restore another one: `migrator backups` lists them",
        )
    if size != manifest.size_bytes:
        raise BackupFailed(
            f"{store.location(manifest.file)} has {size} bytes, by its manifest it had {manifest.size_bytes}",
            remedy="restore another one: `migrator backups` lists them",
        )


@contextmanager
def _at_hand(store: Store, manifest: Manifest, progressed: Progressed) -> Iterator[BinaryIO | None]:
    if isinstance(store, FileStore):
        try:
            file = store.path(manifest.file).open("rb")
        except OSError as error:
            raise BackupFailed(f"{store.location(manifest.file)} cannot be read: {error.strerror}") from error
        with file:
            yield file
    elif shutil.disk_usage(tempfile.gettempdir()).free < manifest.size_bytes + _SPARE_BYTES:
        yield None
    else:
        with tempfile.TemporaryFile() as copy:  # without a name: nobody else sees it, and it goes with us
            _exhaust(_checked(store.reading(manifest.file), manifest), progressed, copy)
            yield copy


def _exhaust(chunks: Iterator[bytes], progressed: Progressed, copy: BinaryIO | None = None) -> None:
    done = 0
    try:
        for chunk in chunks:
            if copy is not None:
                copy.write(chunk)
            done += len(chunk)
            progressed(done)
        if copy is not None:
            copy.flush()
    except OSError as error:
        raise BackupFailed(
            f"the copy in {tempfile.gettempdir()} could not be written: {os.strerror(error.errno or 0)}",
            remedy="make room there, or set TMPDIR to a folder that has it",
        ) from error


def _checked(chunks: Iterator[bytes], manifest: Manifest) -> Iterator[bytes]:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != manifest.sha256:
        raise BackupFailed(
            f"{manifest.file} is not what was stored: its sha256 differs from the one in its manifest",
            remedy="restore another one: `migrator backups` lists them",
        )
