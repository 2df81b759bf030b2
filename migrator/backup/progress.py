"""How far a dump is, at most once a second."""

from migrator.backup.stream import Stream
from migrator.clock import Clock
from migrator.telemetry.events import Events

_SECONDS = 1.0
_MEGA = 1_000_000


class Progress:
    """Tells what a stream has moved, whenever a second has passed."""

    def __init__(self, stream: Stream, tables: int, clock: Clock, events: Events) -> None:
        """Begin: the dump of so many tables starts now."""
        self._stream, self._tables = stream, tables
        self._clock, self._events = clock, events
        self._began = self._told = clock.monotonic()

    def tell(self) -> None:
        """Tell, if it is time again."""
        now = self._clock.monotonic()
        if now - self._told < _SECONDS:
            return
        self._told = now
        size, seconds = self._stream.size_bytes, now - self._began
        done = len(self._stream.counter.rows)
        rate = round(size / seconds)
        self._events.record(
            "backup.progressed",
            f"backing up: {size / _MEGA:.1f} MB written, {rate / _MEGA:.1f} MB/s, "
            f"{done} of {self._tables} tables",
            size_bytes=size,
            seconds=round(seconds, 3),
            bytes_per_second=rate,
            tables_done=done,
            tables=self._tables,
        )
