"""The account of a run: what was found and done so far, for the last event, however the run ends."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from migrator.clock import utc_now
from migrator.errors import ExitCode, MigratorError
from migrator.history.state import State, StateName
from migrator.model import Backup, Ending, Outcome, RevisionId
from migrator.telemetry.wording import counted


class Account:
    """Notes facts as they become true. The only thing of a run that changes."""

    def __init__(self, database: str) -> None:
        """Begin: the run starts now."""
        self._began = time.monotonic()
        self._phases: dict[str, float] = {}
        self.database = database
        self.state: State | None = None
        self.heads_before: tuple[RevisionId, ...] | None = None
        self.heads_after: tuple[RevisionId, ...] | None = None
        self.applied: tuple[RevisionId, ...] = ()
        self.applied_at: dict[RevisionId, datetime] = {}
        self.backup: Backup | None = None
        self.lock_wait_seconds = 0.0
        self.blocked_attempts = 0
        self.database_size_bytes: int | None = None

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a phase; entered again, it goes on counting."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._phases[name] = self._phases.get(name, 0.0) + time.monotonic() - began

    def reached(self, database: str) -> None:
        """Note which database the server says it is, where the settings leave that to libpq."""
        self.database = database or self.database

    def saw(self, state: State | None) -> None:
        """Note the state before anything was done; heads stay as they were seen last."""
        if state is not None:
            self.state = state
            self.heads_before = self.heads_after = state.heads

    def succeeded(self) -> Outcome:
        """The outcome of a run that may open the gate."""
        if self.applied:
            ending, said = Ending.MIGRATED, f"migrated: {counted(len(self.applied), 'revision')} applied"
        elif self.state is not None and self.state.name not in {StateName.CURRENT, StateName.PENDING}:
            ending, said = Ending.AHEAD, "the database is ahead of this release"
        else:
            ending, said = Ending.UNCHANGED, "nothing to do"
        heads = ", ".join(self.heads_after or ()) or "no revision"
        return self._outcome(ending, ExitCode.OK, f"{said}; the database is at {heads}")

    def concluded(self, message: str, **facts: Any) -> Outcome:
        """The outcome of a command that did what it was asked to."""
        return self._outcome(Ending.DONE, ExitCode.OK, message, facts=facts)

    def opened(self) -> Outcome:
        """The outcome of a gate that opens: the database has what the release needs, whoever saw to it."""
        is_current = self.state is None or self.state.name is StateName.CURRENT
        heads = ", ".join(self.heads_after or ()) or "no revision"
        said = f"the database is at {heads}" if is_current else f"the database is ahead, at {heads}"
        ending = Ending.UNCHANGED if is_current else Ending.AHEAD
        return self._outcome(ending, ExitCode.OK, f"{said}: this release may start")

    def failed(self, error: MigratorError) -> Outcome:
        """The outcome of a foreseen failure."""
        code = error.exit_code
        facts = {"error": error.message, "remedy": error.remedy, "facts": error.facts}
        return self._outcome(_ending(code), code, f"{code.name}: {error.message}", **facts)

    def _outcome(self, ending: Ending, code: ExitCode, message: str, **facts: Any) -> Outcome:
        pending = len(self.state.pending) - len(self.applied) if self.state else 0
        return Outcome(
            ending=ending,
            exit_code=code,
            message=message,
            seconds=time.monotonic() - self._began,
            finished=utc_now(),
            phases=dict(self._phases),
            database=self.database,
            state=self.state.name.value if self.state else None,
            heads_before=self.heads_before,
            heads_after=self.heads_after,
            applied=self.applied,
            pending=max(pending, 0),
            backup=self.backup,
            lock_wait_seconds=self.lock_wait_seconds,
            blocked_attempts=self.blocked_attempts,
            database_size_bytes=self.database_size_bytes,
            **facts,
        )


def _ending(code: ExitCode) -> Ending:
    if code.kind == "signal" or code is ExitCode.DEADLINE:
        return Ending.STOPPED
    if code.is_retryable:
        return Ending.UNLUCKY
    refused = {
        ExitCode.SETTINGS_INVALID,
        ExitCode.REVISIONS_INVALID,
        ExitCode.STATE_REFUSED,
        ExitCode.POLICY_REFUSED,
        ExitCode.ACCESS_DENIED,
    }
    return Ending.REFUSED if code in refused else Ending.FAILED
