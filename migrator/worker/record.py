"""What a revision commits before it is recorded, kept in the ledger by the very session that commits it.

A statement that commits itself is written down as begun before it is sent, and as committed once it has
returned: whoever dies in between leaves it as begun. What an open transaction did is written inside it, just
before its commit: both are there afterwards, or neither.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import Any

from migrator.worker.driver import literal, tell
from migrator.worker.failure import sqlstate_of
from migrator.worker.orders import Orders
from migrator.worker.reports import Reports
from migrator.worker.telling import changes_nothing, may_outlast_failure, shown

# So many statements of a revision are kept; the others are counted.
_KEPT = 20
_SAVEPOINT = "migrator_half_applied"
# A transaction that has failed, or only reads, commits nothing; a session that is gone leaves what was begun.
_SPEAKS_FOR_ITSELF = ("25006", "25P02", "08", "57P")


class Record:
    """Writes down what the current revision commits. Whatever cannot be written is told, and never raised."""

    def __init__(self, orders: Orders, report: Reports) -> None:
        """Write under the run's id; without one there is no ledger, which only an upgrade minds."""
        self.version_table = ""
        self._run: str | None = orders.get("ledger_run")
        self._is_wanted = orders["mode"] == "upgrade"
        self._report = report
        self._revision: str | None = None
        self._digest = ""
        self._sent: list[str] = []  # in the open transaction, the first of them
        self._sent_count = 0
        self._savepoints: dict[str, int] = {}
        self._is_begun = False
        self._may_outlast_failure = False
        self._is_lost = False  # the ledger could not be written, which was told

    def start(self, revision: str, path: str | None) -> None:
        """The revision's upgrade() is about to run."""
        self._revision, self._digest = revision, _digest(path)
        self._forget()
        self._is_lost = False

    def stop(self) -> None:
        """The version row is written: what is committed from here on is committed with it."""
        self._revision = None

    def begin(self, connection: Any, statement: str) -> None:
        """A statement that commits itself is about to be sent."""
        if self._is_silent(statement):
            return
        self._is_begun, self._may_outlast_failure = True, may_outlast_failure(statement)
        self._write(
            connection,
            f"INSERT INTO migrator.half_applied ({_KEY}, digest, begun) "  # noqa: S608 - quoted by us
            f"VALUES ({self._key}, {literal(self._digest)}, {_text(shown(statement))}) "
            f"ON CONFLICT ({_KEY}) DO UPDATE SET begun = excluded.begun, noted_at = excluded.noted_at",
        )

    def executed(self, connection: Any, statement: str) -> None:
        """It has returned: it is committed if it commits itself, else it waits for its transaction."""
        if self._is_begun:
            self.returned(connection)
        else:
            self._keep(statement)

    def returned(self, connection: Any) -> None:
        """A statement that commits has returned."""
        if self._is_begun:
            self._end(
                connection,
                f"committed = (committed || begun)[1:{_KEPT}], committed_count = committed_count + 1",
            )

    def failed(self, connection: Any) -> None:
        """It failed: a session that lives says so, and one that was lost leaves it begun.

        So does a statement that may have committed a part before it failed.
        """
        if self._is_begun and not self._may_outlast_failure:
            self._end(connection, "committed = committed")
        self._is_begun = False

    def committing(self, connection: Any, statement: str | None = None) -> None:
        """A commit is about to be sent, perhaps at the end of a text that does more."""
        if statement is not None:
            self._keep(statement)
        sent, count = self._sent, self._sent_count
        self._forget()
        if not sent or self._revision is None:
            return
        texts = ", ".join(map(_text, sent))
        self._write_inside(
            connection,
            f"INSERT INTO migrator.half_applied AS known ({_KEY}, digest, committed, committed_count) "  # noqa: S608
            f"VALUES ({self._key}, {literal(self._digest)}, ARRAY[{texts}], {count}) "
            f"ON CONFLICT ({_KEY}) DO UPDATE SET noted_at = excluded.noted_at, "
            f"committed = (known.committed || excluded.committed)[1:{_KEPT}], "
            "committed_count = known.committed_count + excluded.committed_count",
        )

    def rolled_back(self) -> None:
        """What the open transaction did is undone."""
        self._forget()

    def went_by(self, what: str, savepoint: str) -> None:
        """A savepoint was `set`, or all that was done since has been `undone`."""
        if what == "set":
            self._savepoints[savepoint] = self._sent_count
        else:
            self._sent_count = self._savepoints.get(savepoint, 0)
            del self._sent[self._sent_count :]

    def _forget(self) -> None:
        self._sent, self._sent_count, self._savepoints = [], 0, {}
        self._is_begun = False

    def _keep(self, statement: str) -> None:
        """Only the first are kept: a revision may send a million."""
        if self._is_silent(statement):
            return
        if self._sent_count < _KEPT:
            self._sent.append(shown(statement))
        self._sent_count += 1

    def _is_silent(self, statement: str) -> bool:
        return self._revision is None or not self._is_wanted or changes_nothing(statement)

    @property
    def _key(self) -> str:
        return ", ".join(map(_text, (self._run or "", self.version_table, self._revision or "")))

    def _end(self, connection: Any, change: str) -> None:
        self._is_begun = False
        self._write(
            connection,
            f"UPDATE migrator.half_applied SET begun = NULL, noted_at = clock_timestamp(), {change} "  # noqa: S608
            f"WHERE ({_KEY}) = ({self._key})",
        )

    def _write_inside(self, connection: Any, sql: str) -> None:
        """Write in the project's own transaction, which must not fail with it."""
        self._write(connection, f"SAVEPOINT {_SAVEPOINT}", sql, f"RELEASE SAVEPOINT {_SAVEPOINT}")

    def _write(self, connection: Any, *statements: str) -> None:
        if self._run is None:
            self._lose("there is none", None)
        if self._is_lost:
            return
        driver, is_inside = connection.connection, len(statements) > 1
        sent = 0
        try:
            for sql in statements:
                tell(driver, sql)
                sent += 1
        except Exception as error:  # noqa: BLE001 - every driver has errors of its own
            if is_inside and sent:
                with contextlib.suppress(Exception):  # the session may be gone
                    tell(driver, f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
            state = sqlstate_of(error)
            if state and not state.startswith(_SPEAKS_FOR_ITSELF):
                self._lose(f"{type(error).__name__}, {state}", state)

    def _lose(self, why: str, sqlstate: str | None) -> None:
        if not self._is_lost:
            self._is_lost = True
            self._report("unrecorded", id=self._revision, why=why, sqlstate=sqlstate)


_KEY = "run_id, version_table, revision"


def _text(value: str) -> str:
    """Quote any text: neither the driver nor a setting of the session finds a sign of its own in it."""
    return f"convert_from(decode('{value.encode(errors='replace').hex()}', 'hex'), 'UTF8')"


def _digest(path: str | None) -> str:
    """The sha256 of the revision's file in hex; empty where it cannot be read."""
    try:
        with open(path or "", "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return ""
