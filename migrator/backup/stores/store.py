"""What every store of backups can do, wherever it keeps them."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol


class Writing(Protocol):
    """A file that is being written."""

    def write(self, chunk: bytes, /) -> object:
        """Add to its end; waits where the store is slower than we are. Raises `BackupFailed`."""


class Store(Protocol):
    """Backups of one database, in one place. Names are plain file names; nothing is ever overwritten.

    Every method raises `BackupFailed` when the disk, the network or the other side does, and `PolicyRefused`
    where only a person can help.
    """

    def writing(self, name: str, expected_bytes: int = 0) -> AbstractContextManager[Writing]:
        """A file that gets its name only if the body succeeds; otherwise nothing of it stays.

        Of a large one the size must be expected about right, for a store that cuts it into parts.
        """

    def reading(self, name: str) -> Iterator[bytes]:
        """The stored bytes, in pieces."""

    def size_bytes(self, name: str) -> int | None:
        """How large a finished file is; None if there is none of that name."""

    def names(self) -> list[str]:
        """The finished files, in alphabetical order."""

    def remove(self, name: str) -> None:
        """Delete a finished file; one that is gone already is no error."""

    def remove_leftovers(self) -> None:
        """Delete what killed runs left half written, as far as this store can tell."""

    def location(self, name: str) -> str:
        """Where a file is, as people and the ledger know it: without any secret."""

    def refuse_unusable(self, expected_bytes: int) -> None:
        """Raise `PolicyRefused` unless a file can be written and deleted here, and one of this size fits."""
