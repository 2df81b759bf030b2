"""The schema as it is after each revision, told as what changed since the one before.

It is read on the project's own connection, whose transaction may hold all that was built so far: below
SQLAlchemy, and behind a savepoint, so that neither its transaction nor its settings are touched.
"""

from __future__ import annotations

from typing import Any

from migrator.worker.driver import is_autocommit
from migrator.worker.reports import Reports


class Snapshots:
    """Reads the schema with the queries it was given; each answers rows of kind, name and facts."""

    def __init__(self, orders: dict[str, Any], report: Reports) -> None:
        """Nothing has been read yet."""
        self._setup: list[str] = orders["setup"]
        self._queries: list[str] = orders["queries"]
        self._report = report
        self._last: dict[tuple[str, str], str] = {}

    def take(self, connection: Any, revision: str | None) -> None:
        """Report the schema after this revision; None is before the first."""
        driver: Any = connection.connection
        now = self._inside(driver, connection)
        changed = [[*key, facts] for key, facts in now.items() if self._last.get(key) != facts]
        gone = [list(key) for key in self._last if key not in now]
        self._report("schema", revision=revision, changed=changed, gone=gone)
        self._last = now

    def _inside(self, driver: Any, connection: Any) -> dict[tuple[str, str], str]:
        if is_autocommit(connection):
            return self._between(driver, ["BEGIN"], ["ROLLBACK"])
        if connection.in_transaction():
            name = "migrator_snapshot"
            after = [f"ROLLBACK TO SAVEPOINT {name}", f"RELEASE SAVEPOINT {name}"]
            return self._between(driver, [f"SAVEPOINT {name}"], after)
        try:
            return self._between(driver, [], [])
        finally:
            driver.rollback()

    def _between(self, driver: Any, before: list[str], after: list[str]) -> dict[tuple[str, str], str]:
        cursor = driver.cursor()
        try:
            for statement in (*before, *self._setup):
                cursor.execute(statement)
            found: dict[tuple[str, str], str] = {}
            for query in self._queries:
                cursor.execute(query)
                found.update({(kind, name): facts for kind, name, facts in cursor.fetchall()})
            for statement in after:
                cursor.execute(statement)
        finally:
            cursor.close()
        return found
