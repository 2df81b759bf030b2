"""Two leaders at once, seen from the server."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, Final

import psycopg

from tests.support.target import Target


@contextlib.contextmanager
def one_leader_at_a_time(target: Target) -> Iterator[None]:
    """See, many times a second, that no two runs have changed something in transactions that are open."""
    crowds: list[list[str]] = []
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(target, crowds, done), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join(10)
    assert crowds == []


_WRITERS: Final = b"""
SELECT DISTINCT application_name FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'migrator%worker' AND backend_xid IS NOT NULL
"""


def _watch(target: Target, crowds: list[list[str]], done: threading.Event) -> None:
    session: psycopg.Connection[tuple[Any, ...]] | None = None
    while not done.wait(0.04):
        try:
            session = session or target.admin()
            names = [name for (name,) in session.execute(_WRITERS).fetchall()]
        except psycopg.Error:  # the server is away
            session = None
            continue
        if len(names) > 1:
            crowds.append(names)
    if session is not None:
        session.close()
