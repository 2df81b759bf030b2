"""What a worker's failure means for the operator."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from migrator.errors import (
    AccessDenied,
    Blocked,
    InterruptedMidway,
    MigrationFailed,
    MigratorError,
    PolicyRefused,
    RevisionsInvalid,
    StateRefused,
)
from migrator.history.process import Report

READ_ONLY = "25006"
"""The SQLSTATE of user code that insists on writing where it may not."""

_BLOCKED = {"55P03", "40P01"}
_LOST = ("08", "57P01", "57P02", "57P03", "53", "58", "40001")
_REFUSED = ("28", "42501", "3D000")
# A refused connection has no SQLSTATE in some drivers.
_BUSY = re.compile(
    r"too many clients|too many connections|connection slots are reserved|starting up|shutting down"
    r"|not yet accepting|in recovery",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Failure:
    """How an attempt failed: in which revision if any, and what the server said."""

    message: str
    revision: str | None = None
    sqlstate: str | None = None
    statement: str | None = None
    where: str | None = None
    type: str | None = None
    refused: str | None = None
    is_driver_error: bool = False
    has_exited: bool = False

    @classmethod
    def reported(cls, report: Report) -> "Failure":
        """From the worker's last report."""
        return cls(
            message=report["message"],
            revision=report.get("revision"),
            sqlstate=report.get("sqlstate"),
            statement=report.get("statement"),
            where=report.get("where"),
            type=report.get("type"),
            refused=report.get("refused"),
            is_driver_error=bool(report.get("is_driver_error")),
            has_exited=bool(report.get("exit")),
        )

    @property
    def is_blocked(self) -> bool:
        """Whether a table lock could not be had; only then is trying again sound."""
        return self.sqlstate in _BLOCKED

    @property
    def is_session_lost(self) -> bool:
        """Whether the driver lost its session, or got none, and the server had no chance to say why."""
        return self.is_driver_error and not self.sqlstate

    @property
    def is_server_busy(self) -> bool:
        """Whether a session was refused by a server that may grant one later."""
        return _BUSY.search(self.message) is not None


def judged(  # noqa: PLR0911 - a table: the first line that applies decides
    failure: Failure, *, reached: bool = True, blockers: Iterable[str] = (), **facts: Any
) -> MigratorError:
    """The error that tells the operator what to do differently; `reached` is whether there was a session."""
    details: dict[str, Any] = {
        "revision": failure.revision,
        "sqlstate": failure.sqlstate,
        "statement": failure.statement,
        "where": failure.where,
        **facts,
    }
    state = failure.sqlstate or ""
    at = f"revision {failure.revision}" if failure.revision else "env.py"
    said = f"{failure.message} ({state})" if state else failure.message
    if failure.refused == "cluster":
        return StateRefused(
            f"{at}: the proof stops here: {failure.message}",
            remedy="compare by hand what this revision does; `adopt --at REV --accept-differences` records "
            "what you found",
            **details,
        )
    if failure.refused == "offline":
        return RevisionsInvalid(
            failure.message,
            remedy="let env.py pass a connection to context.configure() in online mode",
            **details,
        )
    if failure.refused == "leader":
        return InterruptedMidway(f"{at}: {failure.message}", **details)
    if failure.refused:
        return PolicyRefused(failure.message, remedy=_UNWATCHED[failure.refused], **details)
    if failure.is_blocked:
        who = ", ".join(blockers)
        return Blocked(f"{at}: {said}; blocked by {who or 'sessions that have ended meanwhile'}", **details)
    if failure.is_session_lost and not reached and not failure.is_server_busy:
        return PolicyRefused(f"env.py reached no database: {said}", remedy=_UNWATCHED["database"], **details)
    if state.startswith(_LOST) or failure.is_session_lost:
        return InterruptedMidway(f"{at}: the session was lost: {said}", **details)
    if state.startswith(_REFUSED):
        return AccessDenied(f"{at}: Postgres refused: {said}", **details)
    if failure.revision is None:
        return RevisionsInvalid(f"{at} failed: {said}", remedy=_loading_remedy(failure), **details)
    return MigrationFailed(f"{at} failed: {said}", **details)


_UNWATCHED = {
    "database": "let env.py use the URL it is given (sqlalchemy.url or DATABASE_URL), or set the variable it "
    "reads to the same database",
    "pooler": "set MIGRATOR_DIRECT_DATABASE_URL to Postgres itself, and let env.py use the URL it is given "
    "(sqlalchemy.url or DATABASE_URL)",
    "several": "let env.py configure the one database it is given, and run migrator once per database; "
    "several databases in one run are not supported yet",
    "scratch": "let env.py open its sessions through an SQLAlchemy engine, without a creator of its own",
}


def _loading_remedy(failure: Failure) -> str:
    if failure.type == "builtins.ModuleNotFoundError":
        return "point MIGRATOR_PYTHON at the interpreter that has the project's packages"
    if failure.has_exited:
        return "env.py must not end the process: nothing was migrated"
    return (
        "see the line that is named: `alembic current` with the same variables should fail there as well; a "
        "project that only its own command can load needs MIGRATOR_UPGRADE_COMMAND"
    )
