"""An archive on its way: from pg_dump into the store, and through a decoder that is to reach its end."""

import hashlib
import os
import time
from enum import Enum

from migrator.backup.program import Program
from migrator.backup.rows import RowCounter
from migrator.backup.sealing import Seal
from migrator.backup.stores import Writing
from migrator.errors import BackupFailed

_CHUNK_BYTES = 1 << 20
# pg_restore writes 4 KiB at a time: whoever read each at once would wake up 250 times for every megabyte. Its
# pipe holds a megabyte, more than it decodes in this time.
_PIECE_BYTES, _REST_SECONDS = 1 << 18, 0.002


class Step(Enum):
    """Where the next chunk is; when nothing moves, that is who is to blame."""

    READING = "pg_dump has written nothing"
    DECODING = "pg_restore has read nothing"
    STORING = "the store has taken nothing"
    ENDING = "pg_restore has not come to the end of the archive"


class Stream:
    """Two jobs for two threads, `pump` and `scan`; the main thread watches both.

    An end of what pg_dump writes is not a success: its exit status is, and the decoder's.
    """

    def __init__(self, dump: Program, decoder: Program, lister: Program, seal: Seal, store: Writing) -> None:
        """Nothing has come yet; the programs run."""
        self._dump, self._decoder, self._lister = dump, decoder, lister
        self._seal, self._store = seal, store
        self._plain, self._stored = hashlib.sha256(), hashlib.sha256()
        self.counter = RowCounter()
        self.plain_bytes = self.size_bytes = 0
        self.step = Step.READING

    @property
    def plain_sha256(self) -> str:
        """The digest of what pg_dump wrote."""
        return self._plain.hexdigest()

    @property
    def sha256(self) -> str:
        """The digest of what was stored."""
        return self._stored.hexdigest()

    @property
    def moved(self) -> tuple[int, int]:
        """What changes as long as anything moves."""
        return self.plain_bytes + self.size_bytes, self.counter.size_bytes

    def pump(self) -> None:
        """Take pg_dump's bytes to decoder and store. Raises `BackupFailed` unless pg_dump succeeded."""
        while chunk := os.read(self._dump.output, _CHUNK_BYTES):
            self._plain.update(chunk)
            self.plain_bytes += len(chunk)
            self.step = Step.DECODING
            self._lister.feed(chunk)
            self._decoder.feed(chunk)
            self._keep(self._seal.seal(chunk))
            self.step = Step.READING
        self._dump.must_have_succeeded()
        if not self.plain_bytes:
            raise BackupFailed("pg_dump ended without an error and without a single byte")
        self._keep(self._seal.finish())
        self.step = Step.ENDING
        self._lister.feed(None)
        self._decoder.feed(None)

    def scan(self) -> None:
        """Count the rows that are decoded. Raises `BackupFailed` unless the archive's end was reached."""
        while piece := os.read(self._decoder.output, _CHUNK_BYTES):
            self.counter.take(piece)
            if len(piece) < _PIECE_BYTES:
                time.sleep(_REST_SECONDS)
        self._decoder.must_have_succeeded()
        self._lister.must_have_succeeded()
        self.counter.finish()

    def blame(self) -> str:
        """Who does not do their part, and what."""
        return self.step.value

    def cut(self) -> None:
        """End the programs, so that both jobs end."""
        for program in (self._dump, self._decoder, self._lister):
            program.terminate()

    def _keep(self, sealed: bytes) -> None:
        if sealed:
            self.step = Step.STORING
            self._store.write(sealed)
            self._stored.update(sealed)
            self.size_bytes += len(sealed)
