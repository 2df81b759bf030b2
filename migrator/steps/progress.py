"""Progress: which revision of its plan a run is applying goes into the ledger, for those who wait for it."""

import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import TracebackType
from typing import Self

from migrator.clock import Stop, utc_now
from migrator.errors import MigratorError
from migrator.history.attempt import Attempt
from migrator.history.digest import upgrade_digests
from migrator.ledger import Ledger, prepare
from migrator.model import Revision
from migrator.postgres.session import Session
from migrator.steps.desk import Desk

_EVERY_SECONDS = 1.0


class Progress:
    """Writes while its block lasts, about once a second, from a thread and a session of its own.

    So nobody waits for it, a migration that takes no second pays nothing, and it is seen while everything is
    still one transaction. It is only a comfort: what cannot be written is written a second later, or never.
    """

    def __init__(self, desk: Desk, attempts: Sequence[Attempt], revisions: Sequence[Revision] = ()) -> None:
        """Tell of the last of these attempts; others may be added. `revisions` are soon to be recorded."""
        self._revisions = revisions
        # A stop of its own: the run's may raise only in the thread that handles signals.
        self._connector = replace(desk.connector, stop=Stop())
        self._run_id = desk.run_id
        self._attempts = attempts
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write_on, name="progress", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Let it end, without waiting: the server may not answer, and what comes late is not kept."""
        self._over.set()

    def _write_on(self) -> None:
        # The main thread answers signals, and only one that arrives there wakes it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGALRM})
        self._prepare_digests()
        session: Session | None = None
        told: _Step | None = None
        while not self._over.wait(_EVERY_SECONDS):
            attempt = self._attempts[-1] if self._attempts else None
            step = _step(attempt) if attempt else None
            if step is None or step == told:
                continue
            try:
                session = session or self._opened()
                self._write(session, step)
                told = step
            except MigratorError:
                if session is not None:
                    session.close()
                session = None
        if session is not None:
            session.close()

    def _prepare_digests(self) -> None:
        """While the worker starts there is time; at the end of the run somebody waits for it."""
        for one in self._revisions:
            if self._over.is_set():
                return
            upgrade_digests([one])

    def _opened(self) -> Session:
        session = self._connector.reopen("the ledger")
        prepare(session)
        return session

    def _write(self, session: Session, step: "_Step") -> None:
        Ledger(session).progress(
            self._run_id,
            planned=step.planned,
            position=step.position,
            revision=step.revision,
            seconds=max((utc_now() - step.started).total_seconds(), 0.0),
        )


@dataclass(frozen=True, slots=True)
class _Step:
    """Where a run is in its plan."""

    planned: int
    position: int
    revision: str
    started: datetime


def _step(attempt: Attempt) -> _Step | None:
    """Where the attempt is; None before its first revision. It goes on while we look."""
    started = tuple(attempt.started.items())
    if not started:
        return None
    return _Step(max(len(attempt.planned), len(started)), len(started), *started[-1])
