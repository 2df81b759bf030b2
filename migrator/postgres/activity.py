"""Who blocks whom, seen from outside, and ending what our own sessions do."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import psycopg

from migrator.errors import AccessDenied, DatabaseUnavailable, InterruptedMidway, MigratorError
from migrator.postgres.locks import Blocker, TableLock, awaited_locks, blockers, holders
from migrator.postgres.session import Connector, Session

Found = TypeVar("Found")


class Observer:
    """Sees who blocks, on a session of its own: opened when first needed, anew when it was lost."""

    def __init__(self, connector: Connector) -> None:
        """Nothing is opened yet."""
        self._connector = connector
        self._session: Session | None = None

    def blockers(self, pids: Iterable[int]) -> tuple[Blocker, ...]:
        """Those who keep these backends waiting; empty when none waits, and when we cannot look."""
        return self._seen(lambda session: blockers(session, pids), ())

    def awaited(self, pids: Iterable[int]) -> frozenset[TableLock]:
        """The table locks that these backends wait for; none when we cannot look."""
        return self._seen(lambda session: awaited_locks(session, pids), frozenset())

    def holders(self, wanted: Iterable[TableLock]) -> tuple[Blocker, ...]:
        """Those who hold what conflicts with these locks; nobody when we cannot look."""
        return self._seen(lambda session: holders(session, wanted), ())

    def _seen(self, look: Callable[[Session], Found], nothing: Found) -> Found:
        """The migration matters more than the view of it."""
        try:
            self._session = self._session or self._connector.open(timeout_seconds=2.0)
            return look(self._session)
        except (psycopg.Error, AccessDenied, DatabaseUnavailable, InterruptedMidway):
            self.close()
            return nothing

    def close(self) -> None:
        """Let go of the session."""
        if self._session is not None:
            self._session.close()
            self._session = None


@dataclass(frozen=True, slots=True)
class Backend:
    """A server process; its start tells it from a later one with the same pid."""

    pid: int
    start: str | None  # seconds since 1970, as the server writes them; None where it would not say


def cancel_statements(connector: Connector, application: str, backends: Iterable[Backend]) -> None:
    """Cancel what these backends, and those of this name, are doing; a server that is away does it itself."""
    _signal(connector, "pg_cancel_backend", application, backends)


def end_sessions(connector: Connector, application: str, backends: Iterable[Backend]) -> None:
    """End these sessions, and those of this name, as far as they are our own role's."""
    _signal(connector, "pg_terminate_backend", application, backends)


def _signal(connector: Connector, function: str, application: str, backends: Iterable[Backend]) -> None:
    known = list(backends)
    try:
        with connector.open(timeout_seconds=2.0) as session:
            session.rows("RESET ROLE")  # sessions belong to the login role
            session.rows(
                f"SELECT {function}(a.pid) FROM pg_stat_activity a "  # noqa: S608
                "WHERE a.usename = session_user AND a.datname = current_database() "
                "AND (a.application_name = %s OR (a.pid, extract(epoch FROM a.backend_start)::text) "
                "IN (SELECT * FROM unnest(%s::int[], %s::text[])))",
                [application, [one.pid for one in known], [one.start for one in known]],
            )
    except (psycopg.Error, MigratorError):
        # We are leaving anyway, and client_connection_check_interval ends them within a second.
        return
