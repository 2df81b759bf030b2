"""An object on its way: one thread hands over what there is to store, another sends it."""

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from datetime import timedelta

from migrator.backup.stores.waiting import GLANCE_SECONDS, awaited, started
from migrator.errors import BackupFailed

_CHUNKS_AHEAD = 4
# A run that was told to stop must end within seconds, whatever the server does.
_FAREWELL_SECONDS = 3.0


class Abandoned(Exception):
    """The body of the upload failed, so the upload must not end well."""


class Upload:
    """What `send` makes of the chunks that are written; their number on the way is bounded.

    The end of the chunks is not what makes an object of them: only `finish` lets `send` see an end, and
    `abandon` makes it see an error in its place.
    """

    def __init__(
        self,
        send: Callable[[Iterator[bytes]], object],
        *,
        limit_bytes: int,
        patience: timedelta,
        while_waiting: Callable[[], None],
    ) -> None:
        """Begin at once; nothing is sent before there is something to send."""
        self._patience_seconds = patience.total_seconds()
        self._left_bytes = limit_bytes
        self._chunks: queue.Queue[bytes | None] = queue.Queue(_CHUNKS_AHEAD)
        self._given_up = threading.Event()
        self._while_waiting = while_waiting
        self._sending = started(send, self._handed_over())

    def write(self, chunk: bytes) -> None:
        """Hand over; wait for the network if it is slower. Raises what `send` raised."""
        self._left_bytes -= len(chunk)
        if self._left_bytes < 0:
            raise BackupFailed(
                "the archive is larger than was expected, and would need more than 10,000 parts"
            )
        if chunk:
            self._hand_over(chunk)

    def finish(self) -> None:
        """Let it become an object. Raises what `send` raised."""
        self._hand_over(None)
        awaited(self._sending, self._while_waiting)

    def abandon(self) -> None:
        """Have everything that was sent thrown away, within seconds."""
        self._given_up.set()
        wait([self._sending], _FAREWELL_SECONDS)

    @property
    def is_stored(self) -> bool:
        """Whether there is an object now."""
        return self._sending.done() and self._sending.exception() is None

    @property
    def is_withdrawn(self) -> bool:
        """Whether it is certain that nothing of it stays."""
        return self._sending.done() and isinstance(self._sending.exception(), Abandoned)

    def _hand_over(self, chunk: bytes | None) -> None:
        waited_seconds = 0.0
        while not self._sending.done():
            try:
                self._chunks.put(chunk, timeout=GLANCE_SECONDS)
            except queue.Full:
                waited_seconds += GLANCE_SECONDS
                self._while_waiting()
            else:
                return
            if waited_seconds >= self._patience_seconds:
                raise BackupFailed(f"the store has taken nothing for {waited_seconds:.0f} s")
        self._sending.result()

    def _handed_over(self) -> Iterator[bytes]:
        """The chunks, as the sending thread sees them."""
        while True:
            try:
                chunk = self._chunks.get(timeout=GLANCE_SECONDS)
            except queue.Empty:
                chunk = b""
            if self._given_up.is_set():
                raise Abandoned
            if chunk is None:
                return
            if chunk:
                yield chunk
