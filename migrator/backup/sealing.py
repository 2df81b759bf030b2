"""What happens to an archive's bytes between pg_dump and the store: nothing, until backups are encrypted."""

from typing import Protocol


class Seal(Protocol):
    """Makes the bytes that are stored of those that pg_dump wrote. The proof reads the latter."""

    @property
    def scheme(self) -> str | None:
        """What the manifest calls it."""

    def seal(self, chunk: bytes, /) -> bytes:
        """The bytes to store of the next ones that came; maybe none yet."""

    def finish(self) -> bytes:
        """What is still to be stored."""


class NoSeal:
    """The archive as it is."""

    scheme: str | None = None

    def seal(self, chunk: bytes, /) -> bytes:
        """The same bytes."""
        return chunk

    def finish(self) -> bytes:
        """Nothing was held back."""
        return b""
