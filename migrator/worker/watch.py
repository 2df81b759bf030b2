"""What is committed, as far as what happens on the connection tells.

The version row is written before the commit. A revision is reported as committed only once the commit that
contains it has returned, which the next thing that happens on the connection tells; not after a rollback.
"""

from __future__ import annotations

import time
from typing import Any

from migrator.worker.record import Record
from migrator.worker.reports import Reports


class Watch:
    """What is known of the revisions of this attempt: done, being committed, committed."""

    def __init__(self, report: Reports, record: Record) -> None:
        """Nothing has been started yet."""
        self.record = record
        self.connection: Any = None  # the one given to configure()
        self.current: str | None = None  # the revision whose upgrade() is running
        self._report = report
        self._done: list[str] = []
        self._committing: list[str] = []
        self._savepoints: dict[str, int] = {}  # name → how many were done before it
        self._started = 0.0
        self._partial = False

    def start(self, revision: str, path: str | None) -> None:
        """The revision's upgrade() is about to run."""
        self.current, self._started, self._partial = revision, time.monotonic(), False
        self.record.start(revision, path)
        self._report("started", id=revision)

    def done(self) -> None:
        """The version row is written, in a transaction that may still be open."""
        if self.current is not None:
            seconds = time.monotonic() - self._started
            self._report("applied", id=self.current, seconds=round(seconds, 3))
            self._done.append(self.current)
            self.current = None
            self.record.stop()

    def committing(self, connection: Any, statement: str | None = None) -> None:
        """A commit is about to be sent, perhaps as the end of a statement."""
        if self._is_ours(connection):
            self.record.committing(connection, statement)
            self._committing, self._done = self._committing + self._done, []
            self._mark_partial()

    def failed(self, connection: Any) -> None:
        """Something failed on the connection: if it was a commit, nothing is committed as far as we know."""
        if self._is_ours(connection):
            self._committing = []
            self.record.failed(connection)

    def rolled_back(self, connection: Any) -> None:
        """What is done and not committed is undone."""
        if self._is_ours(connection):
            self.finish()
            self._done = []
            self.record.rolled_back()

    def went_by(self, connection: Any, what: str, savepoint: str) -> None:
        """A savepoint was `set`, or all that was done since has been `undone`."""
        if not self._is_ours(connection):
            return
        self.record.went_by(what, savepoint)
        if what == "set":
            self._savepoints[savepoint] = len(self._done)
        else:
            del self._done[self._savepoints.get(savepoint, 0) :]

    def autocommitting(self, connection: Any, statement: str) -> None:
        """A statement that commits itself is about to be sent."""
        if self._is_ours(connection):
            self._mark_partial()
            self.record.begin(connection, statement)

    def executed(self, connection: Any, statement: str) -> None:
        """A statement has returned."""
        if self._is_ours(connection):
            self.record.executed(connection, statement)

    def returned(self, connection: Any) -> None:
        """A statement that ended with a commit has returned."""
        if self._is_ours(connection):
            self.finish()
            self.record.returned(connection)

    def settled(self, connection: Any) -> None:
        """Something else happens on the connection: the commit before it has returned."""
        if self._committing and self._is_ours(connection):
            self.finish()

    def finish(self) -> None:
        """Whatever was being committed is."""
        if self._committing:
            self._report("committed", ids=self._committing)
            self._committing = []

    def _mark_partial(self) -> None:
        if self.current is not None and not self._partial:
            self._partial = True
            self._report("partial", id=self.current)

    def _is_ours(self, connection: Any) -> bool:
        """Branched or option-carrying copies of a connection share the driver's connection."""
        if self.connection is None:
            return False
        try:
            return connection is self.connection or connection.connection is self.connection.connection
        except Exception:  # noqa: BLE001 - a closed or invalidated connection, by whatever error it says so
            return False
