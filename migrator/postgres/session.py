"""One connection to Postgres: autocommit, patient with no one, and translating the driver's errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import psycopg

from migrator.clock import Stop
from migrator.errors import AccessDenied, DatabaseUnavailable, InterruptedMidway, MigratorError
from migrator.settings import Dsn

# Postgres keeps 63 bytes of an application's name.
_NAME_BYTES = 63
# A network that dies in silence is noticed within these limits. Source: PostgreSQL, "Database Connection
# Control Functions"; an ordinary role may set all of them.
_KEEPALIVES: dict[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
_SHARE_OF_LOST_SESSIONS = ("08", "57P", "53", "58")


@dataclass(frozen=True, slots=True)
class Connector:
    """Opens sessions to one database."""

    dsn: Dsn
    application: str
    stop: Stop

    def open(self, *, timeout_seconds: float = 5.0) -> "Session":
        """Connect. Raises the driver's error as it is: only readiness knows what a refusal means."""
        words: dict[str, Any] = dict(self.dsn.libpq())
        words.setdefault("connect_timeout", max(2, round(timeout_seconds)))
        words.setdefault("client_encoding", "utf8")
        name = self.application.encode()[:_NAME_BYTES].decode(errors="ignore")
        with self.stop.interruptible():
            connection = psycopg.connect(**words, **_KEEPALIVES, application_name=name, autocommit=True)
        # A prepared statement would outlive its transaction in a pooler's hands.
        connection.prepare_threshold = None
        return Session(connection, self.stop)

    def reopen(self, purpose: str) -> "Session":
        """Connect to a database that answered before. Raises `InterruptedMidway` if it no longer does."""
        try:
            return self.open()
        except psycopg.OperationalError as error:
            raise InterruptedMidway(f"no connection to {purpose}: {first_line(error)}") from error


class Session:
    """An open connection whose every statement is its own transaction."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]], stop: Stop) -> None:
        """Take over this connection."""
        self._connection = connection
        self._stop = stop

    @property
    def client_side_pid(self) -> int:
        """The backend's pid as the startup packet said it; a pooler says another one."""
        return self._connection.info.backend_pid

    @property
    def address(self) -> tuple[str, int]:
        """Host (or socket folder) and port that this session reached."""
        return self._connection.info.host, self._connection.info.port

    @property
    def server_version(self) -> int:
        """The server's version number, as 160014."""
        return self._connection.info.server_version

    def rows(self, query: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Run one statement and fetch everything. Raises our errors."""
        try:
            with self._stop.interruptible():
                cursor = self._connection.execute(query.encode(), parameters)
                return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise translated(error) from error

    def row(self, query: str, parameters: Sequence[Any] | None = None) -> tuple[Any, ...]:
        """The only row of an answer."""
        return self.rows(query, parameters)[0]

    def value(self, query: str, parameters: Sequence[Any] | None = None) -> Any:
        """The only value of an answer."""
        return self.row(query, parameters)[0]

    def close(self) -> None:
        """Let go of the connection, whatever state it is in."""
        self._connection.close()

    def __enter__(self) -> Self:
        """Use it as a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close at the end of the block."""
        self.close()


def translated(error: psycopg.Error) -> MigratorError:
    """Our error for a statement of ours that failed; statements of revisions are judged elsewhere."""
    state = error.sqlstate or ""
    text = first_line(error)
    if state in {"42501", "28000", "28P01"}:
        return AccessDenied(
            f"Postgres refused: {text}", remedy="grant the privilege to the role that migrates"
        )
    if not state or state.startswith(_SHARE_OF_LOST_SESSIONS):
        return InterruptedMidway(f"a session was lost: {text}")
    if state in {"25006", "55P03", "57014"}:
        return DatabaseUnavailable(f"Postgres did not let us look: {text}")
    return MigratorError(f"unexpected answer from Postgres ({state}): {text}")


def first_line(error: BaseException) -> str:
    """The primary message: DETAIL and CONTEXT can hold row values."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    lines = str(primary or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
