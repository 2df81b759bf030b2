"""A bucket as the store of backups: objects become visible whole, or not at all."""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError

from migrator.backup.stores.connection import Connection
from migrator.backup.stores.parts import LARGEST_OBJECT, Parts
from migrator.backup.stores.trouble import does_not_know_conditions, is_absent, translated
from migrator.backup.stores.upload import Upload
from migrator.backup.stores.waiting import awaited, started
from migrator.errors import BackupFailed, MigratorError, PolicyRefused

if TYPE_CHECKING:
    from obstore.store import S3Store

_T = TypeVar("_T")

_CHUNK_BYTES = 1 << 20
_DELETION_SECONDS = 3.0
_PROBE = b"written by migrator to see whether it can, and deleted again\n"


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """Backups of one database in a bucket, all of them directly below one prefix.

    Whatever waits for the network does so in another thread; meanwhile `while_waiting` is called, and may
    raise. `warn` hears what should be said although nothing is to be done about it now.
    """

    connection: Connection
    prefix: str
    while_waiting: Callable[[], None] = field(default=lambda: None)
    warn: Callable[[str], None] = field(default=lambda _: None)
    parts: Callable[[int], Parts] = Parts.of

    def location(self, name: str) -> str:
        """`s3://bucket/prefix/database/file`."""
        return f"s3://{self.connection.bucket.name}/{self._key(name)}"

    @contextlib.contextmanager
    def writing(self, name: str, expected_bytes: int = 0) -> Iterator[Upload]:
        """An object that is there only if the body succeeds; otherwise its parts are deleted too.

        A small one is created on the condition that there is none; of a large one that is looked up before
        the upload is completed, since object stores offer no condition for it through their client.
        """
        parts = self.parts(expected_bytes)
        self._refuse_existing(name)
        upload = Upload(
            partial(self._send, name, parts),
            limit_bytes=parts.limit_bytes,
            patience=self.connection.patience(parts),
            while_waiting=self.while_waiting,
        )
        try:
            yield upload
            self._refuse_existing(name)
            upload.finish()
        except BaseException:
            upload.abandon()
            self._clean_up_after(upload, name)
            raise

    def reading(self, name: str) -> Iterator[bytes]:
        """The stored bytes, in pieces of about 1 MiB; taken up again where a connection broke."""
        what = f"{self.location(name)} could not be read"
        client = self.connection.reading()
        answer = self._ask(what, lambda: obstore.get(client, self._key(name)))
        pieces = iter(answer.stream(min_chunk_size=_CHUNK_BYTES))
        while piece := self._ask(what, lambda: next(pieces, None)):
            yield bytes(piece)

    def size_bytes(self, name: str) -> int | None:
        """How large a finished object is; None if there is none."""
        what = f"{self.location(name)} could not be looked at"
        return self._ask(what, lambda: _size(self.connection.asking(), self._key(name)))

    def names(self) -> list[str]:
        """The finished objects, in alphabetical order."""
        what = f"{self.location('')} could not be listed"
        client = self.connection.asking()
        found = self._ask(what, lambda: obstore.list_with_delimiter(client, self.prefix))
        names = (one["path"].rpartition("/")[2] for one in found["objects"])
        return sorted(name for name in names if not name.startswith("."))

    def remove(self, name: str) -> None:
        """Delete an object; one that is gone already is no error.

        Whoever was told to stop, or lost the lead, cleans up like this: so it is not interrupted, but short.
        """
        what = f"{self.location(name)} could not be deleted"
        deletion = started(_delete, self.connection.asking(), self._key(name))
        wait([deletion], _DELETION_SECONDS)
        if not deletion.done():
            raise BackupFailed(f"{what}: the server did not answer in time")
        with translated(what):
            deletion.result()

    def remove_leftovers(self) -> None:
        """Nothing: only the bucket's rule `AbortIncompleteMultipartUpload` knows of a killed run's parts."""

    def refuse_unusable(self, expected_bytes: int) -> None:
        """Raise `PolicyRefused` unless objects can be listed, written, read and deleted, and one fits."""
        if expected_bytes > LARGEST_OBJECT:
            raise PolicyRefused(
                f"an object holds at most {LARGEST_OBJECT} bytes, the backup may need {expected_bytes}",
                remedy="point MIGRATOR_BACKUP_URL at a folder, or name a MIGRATOR_BACKUP_COMMAND",
            )
        self.names()
        name = f".probe-{os.urandom(8).hex()}"
        with self.writing(name) as probe:
            probe.write(_PROBE)
        try:
            stored = b"".join(self.reading(name))
        finally:
            self.remove(name)
        if stored != _PROBE:
            raise PolicyRefused(
                f"{self.location(name)} was stored, but other bytes were read back",
                remedy="keep backups in a store that gives back what it was given",
            )

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}"

    def _ask(self, what: str, call: Callable[[], _T]) -> _T:
        with translated(what):
            return awaited(started(call), self.while_waiting)

    def _refuse_existing(self, name: str) -> None:
        if self.size_bytes(name) is not None:
            raise BackupFailed(f"{self.location(name)} exists already: nothing is ever overwritten")

    def _send(self, name: str, parts: Parts, chunks: Iterator[bytes]) -> None:
        """Store what comes; runs in the upload's own thread."""
        beginning = _up_to(parts.size_bytes, chunks)
        with translated(f"{self.location(name)} could not be stored"):
            if sum(map(len, beginning)) < parts.size_bytes:
                _create(self.connection.asking(), self._key(name), b"".join(beginning))
                return
            obstore.put(
                self.connection.sending(parts),
                self._key(name),
                itertools.chain(beginning, chunks),
                use_multipart=True,
                chunk_size=parts.size_bytes,
                max_concurrency=parts.at_once,
            )

    def _clean_up_after(self, upload: Upload, name: str) -> None:
        """What failed is already on its way to whoever reads it; that something stayed is only a warning."""
        if upload.is_withdrawn:
            return
        try:
            if upload.is_stored:
                self.remove(name)
                return
        except MigratorError as error:
            self.warn(f"{self.location(name)} is no backup, but stays: {error.message}")
            return
        self.warn(
            f"parts of an unfinished upload of {self.location(name)} may stay in the bucket: a lifecycle "
            "rule with AbortIncompleteMultipartUpload removes them"
        )


def _up_to(size_bytes: int, chunks: Iterator[bytes]) -> list[bytes]:
    """The first chunks, until they make a part."""
    found, missing = [], size_bytes
    for chunk in chunks:
        found.append(chunk)
        missing -= len(chunk)
        if missing <= 0:
            break
    return found


def _size(client: "S3Store", key: str) -> int | None:
    try:
        return obstore.head(client, key)["size"]
    except OSError as error:
        if is_absent(error):
            return None
        raise


def _delete(client: "S3Store", key: str) -> None:
    try:
        obstore.delete(client, key)
    except OSError as error:
        if not is_absent(error):
            raise


def _create(client: "S3Store", key: str, content: bytes) -> None:
    """Store a small object unless there is one; where the server cannot tell, we looked a moment ago.

    Sent again because its answer was lost, the request finds an object in its way: our own.
    """
    for last in (False, True):
        try:
            obstore.put(client, key, content, mode="create", use_multipart=False)
        except AlreadyExistsError:
            if obstore.get(client, key).bytes() != content:
                raise
        except BaseError as error:
            if does_not_know_conditions(error):
                obstore.put(client, key, content, use_multipart=False)
            elif last:
                raise
            else:
                continue
        return
