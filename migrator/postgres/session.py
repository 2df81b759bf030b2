"""One connection to Postgres: autocommit, patient with no one, and translating the driver's errors."""

import select
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import psycopg
from psycopg import errors, pq

from migrator.clock import Stop
from migrator.errors import (
    AccessDenied,
    DatabaseUnavailable,
    InterruptedMidway,
    MigratorError,
    SettingsInvalid,
)
from migrator.postgres.keepalives import CLIENT, SERVER, UNENDING
from migrator.postgres.refusal import Verdict, verdict
from migrator.postgres.resolve import with_addresses
from migrator.settings import Dsn

# Postgres keeps 63 bytes of an application's name.
_NAME_BYTES = 63
_WATCHED_SQL = "SELECT " + ", ".join(
    f"set_config('{name}', '{value}', false)" for name, value in (UNENDING | SERVER).items()
)
# Slots that are all taken (53300) mean busy, not broken.
_REOPEN_PAUSES_SECONDS = (0.2, 0.4, 0.8, 1.6, 3.0)
# A server that does not even refuse us: a run that lost it has two or three sessions to try in vain.
_REOPEN_SECONDS = 10.0
_LEAVING_SECONDS = 3.0
_USUAL_SECONDS, _SHORTEST_SECONDS = 5.0, 2.0
# What the driver makes of a connect_timeout without an end.
_ENDLESS_SECONDS = 130
_LOST_SESSION = ("08", "57P", "53", "58")


class Way(NamedTuple):
    """How a client addresses its session: by this a pooler chooses the pool."""

    host: str
    port: int
    database: str
    user: str


@dataclass(frozen=True, slots=True)
class Connector:
    """Opens sessions to one database."""

    dsn: Dsn
    application: str
    stop: Stop
    role: str | None = None  # what `SET ROLE` makes of the login role
    trusts_pooler: bool = False  # to end what we set in a session together with it

    def open(
        self, *, timeout_seconds: float = _USUAL_SECONDS, longest_seconds: float | None = None
    ) -> "Session":
        """Connect. Raises the driver's error as it is: only readiness knows what a refusal means.

        The address may ask for another timeout than the usual one, but for none above the longest.

        A run that was told to stop has seconds: it tries once or twice more, then leaves what is left to the
        server, which ends the sessions of a dead client by itself. Raises `SettingsInvalid` for an address
        that the driver does not even try.
        """
        if self.stop.leaving_seconds > _LEAVING_SECONDS:
            raise psycopg.OperationalError("there was no time left to connect: the run was told to stop")
        try:
            with self.stop.interruptible():
                if self.stop.leaving_seconds:  # then the operator's patience is no longer ours
                    timeout_seconds = longest_seconds = _SHORTEST_SECONDS
                connection = self._connect(timeout_seconds, longest_seconds)
        except (psycopg.ProgrammingError, ValueError) as error:
            raise SettingsInvalid((f"the database's address cannot be used: {first_line(error)}",)) from error
        # A prepared statement would outlive its transaction in a pooler's hands.
        connection.prepare_threshold = None
        if self.role:
            self._set_role(connection, self.role)
        return Session(connection, self.stop)

    def _set_role(self, connection: psycopg.Connection[tuple[Any, ...]], role: str) -> None:
        try:
            # A role that stayed set in a pooler's hands would be the app's.
            connection.execute(
                "SELECT set_config('role', %s, false) WHERE %s OR pg_backend_pid() = %s",
                [role, self.trusts_pooler, connection.info.backend_pid],
            )
        except psycopg.OperationalError:
            connection.close()
            raise
        except psycopg.Error as error:
            connection.close()
            raise AccessDenied(
                f"the login role may not become MIGRATOR_ROLE: {first_line(error)}",
                remedy=f"GRANT {role} TO the role that logs in, or correct MIGRATOR_ROLE",
            ) from error

    def _connect(
        self, timeout_seconds: float, longest_seconds: float | None
    ) -> psycopg.Connection[tuple[Any, ...]]:
        words: dict[str, Any] = dict(self.dsn.libpq())
        seconds = int(words.get("connect_timeout", round(timeout_seconds)))
        seconds = seconds if seconds > 0 else _ENDLESS_SECONDS
        if longest_seconds is not None:
            seconds = min(seconds, round(longest_seconds))
        words = dict(with_addresses(words, seconds))
        words["connect_timeout"] = max(2, seconds)
        words.setdefault("client_encoding", "utf8")
        name = self.application.encode()[:_NAME_BYTES].decode(errors="ignore")
        return psycopg.connect(**words, **CLIENT, application_name=name, autocommit=True)

    def reopen(self, purpose: str) -> "Session":
        """Connect to a database that answered before; a server that is full or restarting gets some seconds.

        Whatever timeout the address asks for, trying ends in about ten seconds.

        Raises `InterruptedMidway` if it does not answer then, `AccessDenied` if it refuses us now.
        """
        pauses = () if self.stop.leaving_seconds else _REOPEN_PAUSES_SECONDS
        end = time.monotonic() + _REOPEN_SECONDS
        for pause in (*pauses, None):
            left = max(end - time.monotonic(), _SHORTEST_SECONDS)
            try:
                return self.open(timeout_seconds=min(_USUAL_SECONDS, left), longest_seconds=left)
            except psycopg.OperationalError as error:
                judged = verdict(error)
                if judged is Verdict.REFUSED:
                    raise AccessDenied(f"no connection to {purpose}: {first_line(error)}") from error
                if judged is not Verdict.PASSING or pause is None or time.monotonic() + pause >= end:
                    raise InterruptedMidway(f"no connection to {purpose}: {first_line(error)}") from error
            self.stop.wait(pause)
        raise AssertionError  # the last pause is None


class Session:
    """An open connection whose every statement is its own transaction."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]], stop: Stop) -> None:
        """Take over this connection."""
        self._connection = connection
        self._stop = stop
        self._failure: psycopg.Error | None = None  # of what was begun, until it is over

    @property
    def client_side_pid(self) -> int:
        """The backend's pid as the startup packet said it; a pooler says another one."""
        return self._connection.info.backend_pid

    @property
    def address(self) -> tuple[str, int]:
        """Host (or socket folder) and port that this session reached."""
        return self._connection.info.host, self._connection.info.port

    @property
    def numeric_address(self) -> str | None:
        """The one address, of perhaps several that the host's name has; none for a socket."""
        return self._connection.info.hostaddr or None

    @property
    def database(self) -> str:
        """The database as libpq names it, wherever it had the name from: URL, variables, service or user."""
        return self._connection.info.dbname

    @property
    def way(self) -> Way:
        """How this session was addressed, as libpq knows it."""
        info = self._connection.info
        return Way(info.host, info.port, info.dbname, info.user)

    @property
    def server_version(self) -> int:
        """The server's version number, as 160014."""
        return self._connection.info.server_version

    @property
    def in_transaction(self) -> bool:
        """Whether a statement of ours has begun a transaction that is not over."""
        return self._connection.info.transaction_status is not pq.TransactionStatus.IDLE

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

    def value_within(self, query: str, seconds: float) -> str | None:
        """The only value of an answer, as text; None if none came in time: then only `close` is left."""
        server = self._connection.pgconn
        try:
            server.send_query(query.encode())
            server.flush()
            while server.is_busy():
                if not self._has_news(seconds):
                    return None
                server.consume_input()
            result, *_ = iter(server.get_result, None)
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise errors.error_from_result(result)
        except psycopg.Error as error:
            raise translated(error) from error
        value = result.get_value(0, 0)
        return None if value is None else value.decode()

    def heard(self, seconds: float) -> str | None:
        """The next notification's payload, without a word to the server; None if none comes in time."""
        try:
            with self._stop.interruptible():
                found = list(self._connection.notifies(timeout=seconds, stop_after=1))
        except psycopg.Error as error:
            raise translated(error) from error
        return found[0].payload if found else None

    def _has_news(self, seconds: float) -> bool:
        """Wait for the server to say something."""
        socket = self._connection.fileno()
        ready, _, _ = select.select([socket, self._stop.wakeup], [], [], seconds)
        self._stop.check()
        return socket in ready

    def begin(self, query: str) -> None:
        """Send statements, separated by semicolons, without waiting for their end; see `has_ended`."""
        self._connection.pgconn.send_query(query.encode())

    def has_ended(self, *, within_seconds: float) -> bool:
        """Whether what was begun is over. Raises the driver's error as it is: the first of its statements."""
        connection = self._connection.pgconn
        select.select([connection.socket], [], [], within_seconds)
        connection.consume_input()
        while not connection.is_busy():
            result = connection.get_result()
            if result is None:
                failure, self._failure = self._failure, None
                if failure is not None:
                    raise failure
                return True
            if result.status == pq.ExecStatus.FATAL_ERROR:
                self._failure = self._failure or errors.error_from_result(result)
        return False

    def cancel(self) -> None:
        """Have the server give up what was begun, and wait until it has, for some seconds at most."""
        with suppress(psycopg.Error):
            self._connection.cancel_safe(timeout=_LEAVING_SECONDS)
            self.has_ended(within_seconds=_LEAVING_SECONDS)

    def hold_on(self) -> None:
        """Stay open for as long as we live, and no longer: a server hears nothing of a client it lost.

        For sessions that hold something others wait for. Raises our errors.
        """
        self.rows(_WATCHED_SQL)

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
    if not state or state.startswith(_LOST_SESSION):
        return InterruptedMidway(f"a session was lost: {text}")
    if state in {"25006", "55P03", "57014"}:
        return DatabaseUnavailable(f"Postgres did not let us look: {text}")
    return MigratorError(f"unexpected answer from Postgres ({state}): {text}")


def first_line(error: BaseException) -> str:
    """The primary message: DETAIL and CONTEXT can hold row values."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    lines = str(primary or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
