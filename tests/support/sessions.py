"""Migrator's sessions of one target, as the server tells them apart."""

from typing import Any, Final

from tests.support.processes import worker_of
from tests.support.runner import Running
from tests.support.target import Target

WORKERS: Final = """
SELECT pid FROM pg_stat_activity
WHERE application_name LIKE 'migrator%worker' AND datname = current_database()
"""
# "MGRT", 1: the leader key.
_LEADER: Final = """
SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = 1296519764 AND objid = 1
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def worker(running: Running) -> int:
    """Give the process that executes user code."""
    found = worker_of(running.pid)
    assert found is not None
    return found


def leader(target: Target) -> int:
    """Give the backend that leads."""
    return int(admin_rows(target, _LEADER)[0][0])


def admin_rows(target: Target, query: str) -> list[tuple[Any, ...]]:
    """Fetch as the superuser, from whom nothing is hidden."""
    with target.admin() as session:
        return session.execute(query.encode()).fetchall()
