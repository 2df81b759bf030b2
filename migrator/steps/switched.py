"""Switched: a server that became read-only midway is a failover under way, not a revision's mistake."""

from collections.abc import Iterator
from contextlib import contextmanager

from migrator.errors import AccessDenied, DatabaseUnavailable, InterruptedMidway, MigratorError
from migrator.postgres.readiness import why_unwritable
from migrator.steps.desk import Desk

_READ_ONLY = "25006"


@contextmanager
def switch_told_apart(desk: Desk) -> Iterator[None]:
    """Raise `InterruptedMidway` where a refused write in the body was the server's doing.

    A revision may have made its own transaction read-only: then a fresh session may write, and the error
    stays as it is.
    """
    try:
        yield
    except MigratorError as error:
        if error.facts.get("sqlstate") != _READ_ONLY:
            raise
        why = _why_unwritable(desk)
        if why is None:
            raise
        raise InterruptedMidway(f"{error.message}; by now the server is {why}", **error.facts) from error


def _why_unwritable(desk: Desk) -> str | None:
    try:
        with desk.connector.reopen("a look at whether it may be written to") as session:
            return why_unwritable(session)
    except (AccessDenied, DatabaseUnavailable, InterruptedMidway):
        return "out of reach"  # it answered a moment ago
