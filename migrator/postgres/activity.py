"""Who blocks whom, seen from outside, and ending what our own sessions do."""

from collections.abc import Iterable
from dataclasses import dataclass

import psycopg

from migrator.errors import AccessDenied, DatabaseUnavailable, InterruptedMidway, MigratorError
from migrator.postgres.session import Connector, Session


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session that holds a lock we wait for, as far as our role may see it."""

    pid: int
    role: str | None
    application: str | None
    state: str | None
    age_seconds: float | None
    holds: str | None

    def __str__(self) -> str:
        """One line for a person."""
        age = f" for {self.age_seconds:.0f} s" if self.age_seconds is not None else ""
        does = f"{self.state or 'hidden'}{age}, {self.holds or 'a lock'}"
        return f"{self.application or 'unnamed'} (pid {self.pid}, role {self.role}, {does})"


class Observer:
    """Sees who blocks, on a session of its own: opened when first needed, anew when it was lost."""

    def __init__(self, connector: Connector) -> None:
        """Nothing is opened yet."""
        self._connector = connector
        self._session: Session | None = None

    def blockers(self, pids: Iterable[int]) -> tuple[Blocker, ...]:
        """Those who keep these backends waiting; empty when none waits, and when we cannot look.

        The migration matters more than the view of it.
        """
        try:
            self._session = self._session or self._connector.open(timeout_seconds=2.0)
            return blockers(self._session, pids)
        except (psycopg.Error, AccessDenied, DatabaseUnavailable, InterruptedMidway):
            self.close()
            return ()

    def close(self) -> None:
        """Let go of the session."""
        if self._session is not None:
            self._session.close()
            self._session = None


def blockers(session: Session, pids: Iterable[int]) -> tuple[Blocker, ...]:
    """The sessions that keep these backends waiting; empty when none waits."""
    rows = session.rows(
        """
        SELECT DISTINCT a.pid, a.usename, a.application_name, a.state,
            extract(epoch FROM clock_timestamp() - a.xact_start)::float8,
            (SELECT string_agg(DISTINCT l.mode || ' on ' || l.relation::regclass, ', ')
             FROM pg_locks l JOIN pg_locks m ON m.pid = w.pid AND NOT m.granted
             AND l.relation = m.relation AND l.database = m.database
             WHERE l.pid = a.pid AND l.granted AND l.locktype = 'relation')
        FROM unnest(%s::int[]) w(pid), unnest(pg_blocking_pids(w.pid)) b(pid)
        JOIN pg_stat_activity a ON a.pid = b.pid
        """,
        [list(pids)],
    )
    return tuple(Blocker(*row) for row in rows)


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
