"""The stored bytes once more: what a store took need not be what it gives."""

import hashlib
from collections.abc import Iterator

from migrator.backup.stores import Store
from migrator.errors import BackupFailed


class ReadBack:
    """One job for one thread: the digest of a stored file, as the store gives it now."""

    def __init__(self, store: Store, name: str) -> None:
        """Nothing is read yet."""
        self._store, self._name = store, name
        self._digest = hashlib.sha256()
        self._is_cut = False
        self.moved = 0

    def read(self) -> None:
        """Read it to its end, or until it is cut."""
        for chunk in self._chunks():
            self._digest.update(chunk)
            self.moved += len(chunk)

    def _chunks(self) -> Iterator[bytes]:
        for chunk in self._store.reading(self._name):
            if self._is_cut:
                return
            yield chunk

    def blame(self) -> str:
        """Who does not do their part, and what."""
        return "the store has given nothing back"

    def cut(self) -> None:
        """End at the next piece."""
        self._is_cut = True

    def must_be(self, size_bytes: int, sha256: str) -> None:
        """Raise `BackupFailed` unless what was read is what was written."""
        if (size := self._store.size_bytes(self._name)) != size_bytes or self.moved != size_bytes:
            raise BackupFailed(
                f"the stored archive is not what pg_dump wrote: it has {self.moved} bytes (the store says "
                f"{size}) instead of {size_bytes}",
                remedy="mend the destination: it does not give back what it was given",
            )
        if self._digest.hexdigest() != sha256:
            raise BackupFailed(
                "the stored archive is not what pg_dump wrote: its sha256 differs",
                remedy="mend the destination: it does not give back what it was given",
            )
