"""An application at work: small transactions at a steady rate, whatever the database does to them."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg

_SESSIONS: Final = 8


class Traffic:
    """How long each transaction took, in seconds from when it was due: one that waits delays the next."""

    def __init__(self) -> None:
        """Nothing has been asked yet."""
        self.latencies: list[float] = []
        self.errors: list[str] = []
        self._over = threading.Event()

    @property
    def worst(self) -> float:
        """The longest."""
        return max(self.latencies)

    def percentile(self, share: float) -> float:
        """The latency that this share of all stayed below."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]

    def stop(self) -> None:
        """Let it end."""
        self._over.set()

    def run(self, params: Any, number: int, per_second: float) -> None:
        """Go on in one session until told to stop."""
        pause = _SESSIONS / per_second
        due = time.monotonic() + pause * number / _SESSIONS
        with psycopg.connect(**params, autocommit=True, application_name="app") as session:
            while not self._over.is_set():
                time.sleep(max(due - time.monotonic(), 0))
                try:
                    session.execute("UPDATE orders SET changed = now() WHERE id = %s", [number])
                    session.execute("SELECT changed FROM orders WHERE id = %s", [number])
                except psycopg.Error as error:
                    self.errors.append(str(error).splitlines()[0])
                self.latencies.append(time.monotonic() - due)
                due = max(due + pause, time.monotonic() - 60)


@contextmanager
def traffic(params: Any, per_second: float) -> Iterator[Traffic]:
    """Keep the table `orders` busy with so many transactions a second, during the block."""
    found = Traffic()
    threads = [
        threading.Thread(target=found.run, args=(params, number, per_second), daemon=True)
        for number in range(_SESSIONS)
    ]
    for one in threads:
        one.start()
    try:
        yield found
    finally:
        found.stop()
        for one in threads:
            one.join(60)


@contextmanager
def report(params: Any, seconds: float) -> Iterator[None]:
    """Read the table `orders` in one long transaction that begins before the block, as a report does."""
    began = threading.Event()

    def read() -> None:
        with psycopg.connect(**params, application_name="report") as session:
            session.execute("SELECT count(*) FROM orders")
            began.set()
            session.execute("SELECT pg_sleep(%s)", [seconds])

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    began.wait(30)
    yield
    thread.join(seconds + 60)
