"""A session to look with: it changes nothing and waits for no statement longer than some seconds.

Through a pooler nothing may stay set in it, since the server session is the app's next: there each statement
has a read-only transaction of its own.
"""

from collections.abc import Sequence
from typing import Any

import psycopg

from migrator.clock import STOPS
from migrator.errors import AccessDenied, DatabaseUnavailable, MigratorError
from migrator.postgres.pooler import is_pooled
from migrator.postgres.refusal import Verdict, verdict
from migrator.postgres.session import Connector, Session, first_line

_CONNECT_SECONDS = 4.0
_STATEMENT_MILLISECONDS = 4000


def open_to_look(connector: Connector) -> Session:
    """Connect, once. Raises `AccessDenied`, `DatabaseUnavailable`, or `SettingsInvalid` for the address."""
    try:
        session = connector.open(timeout_seconds=_CONNECT_SECONDS, longest_seconds=_CONNECT_SECONDS)
    except psycopg.OperationalError as error:
        said = first_line(error)
        if verdict(error) is Verdict.REFUSED:
            raise AccessDenied(f"Postgres refused the connection: {said}") from error
        raise DatabaseUnavailable(f"Postgres did not answer: {said}") from error
    try:
        if is_pooled(session):
            return _Pooled(session)
        session.rows(
            "SELECT set_config('default_transaction_read_only', 'on', false), "
            "set_config('statement_timeout', %s, false)",
            [str(_STATEMENT_MILLISECONDS)],
        )
    except MigratorError:
        session.close()
        raise
    return session


class _Pooled(Session):
    """Through a pooler: one read-only transaction for each statement."""

    def __init__(self, session: Session) -> None:
        super().__init__(session._connection, session._stop)  # noqa: SLF001 - it takes its place

    def rows(self, query: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Run one statement and fetch everything. Raises our errors."""
        super().rows(f"BEGIN READ ONLY; SET LOCAL statement_timeout = {_STATEMENT_MILLISECONDS}")
        try:
            found = super().rows(query, parameters)
        except STOPS:
            raise
        except MigratorError:
            self._end_quietly()
            raise
        super().rows("ROLLBACK")
        return found

    def _end_quietly(self) -> None:
        try:
            super().rows("ROLLBACK")
        except STOPS:
            raise
        except MigratorError:  # what went wrong before says more
            return
