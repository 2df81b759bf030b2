"""How many sessions migrator holds, seen from the server."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Final

import psycopg

from migrator.demo.cluster import Cluster
from tests.support.target import Target

_INTERVAL_SECONDS: Final = 0.005
_SESSIONS: Final = """
    SELECT application_name FROM pg_stat_activity
    WHERE application_name LIKE 'migrator%%' AND (datname = %(database)s OR %(database)s::text IS NULL)
"""


class Sampler:
    """What the samples have shown so far."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self.now = 0
        self.peak = 0
        self.samples = 0
        self.names: frozenset[str] = frozenset()

    def record(self, names: list[str]) -> None:
        """Take in one sample: the application names of the sessions there are."""
        self.now = len(names)
        self.peak = max(self.peak, self.now)
        self.samples += 1
        self.names |= frozenset(names)


@contextlib.contextmanager
def connection_count(place: Target | Cluster) -> Iterator[Sampler]:
    """Sample migrator's sessions every 5 ms: those in the target's database, or on the whole cluster."""
    cluster, database = (place.cluster, place.database) if isinstance(place, Target) else (place, None)
    sampler, done = Sampler(), threading.Event()
    with psycopg.connect(**cluster.admin_params(), autocommit=True) as session:
        watcher = threading.Thread(target=_watch, args=(session, database, sampler, done), daemon=True)
        watcher.start()
        try:
            yield sampler
        finally:
            done.set()
            watcher.join()


def _watch(
    session: psycopg.Connection[tuple[str]], database: str | None, sampler: Sampler, done: threading.Event
) -> None:
    while not done.is_set():
        rows = session.execute(_SESSIONS, {"database": database}).fetchall()
        sampler.record([name for (name,) in rows])
        time.sleep(_INTERVAL_SECONDS)
