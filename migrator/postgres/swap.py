"""Put one database in the place of another, in one transaction: nobody ever finds neither, or both.

The renames are sent first: from then on they hold the lock that every new connection to the target needs.
While they wait for the sessions that are left, those are ended, ours last. So whoever is killed at whatever
moment leaves either the old state or the new one, and a busy app cannot slip in again.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import psycopg

from migrator.errors import InterruptedMidway, MigratorError, RecoveryFailed
from migrator.postgres.catalog import quoted
from migrator.postgres.databases import exists
from migrator.postgres.leader import LeaderLock
from migrator.postgres.session import Connector, Session, first_line

_LOCK_WAIT = "5s"
_TURN_SECONDS = 0.02
# Postgres itself waits 5 s for sessions to go: it may have met one that only looks, and leaves by itself.
_TRIES = 3
_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Occupant:
    """A session in a database, as far as our role may see it."""

    pid: int
    role: str | None
    application: str | None
    host: str | None
    kind: str
    may_be_ended: bool

    def __str__(self) -> str:
        """One line for a person."""
        where = f", host {self.host}" if self.host else ""
        kind = "" if self.kind == "client backend" else f", {self.kind}"
        return f"{self.application or 'unnamed'} (pid {self.pid}, role {self.role or 'unknown'}{where}{kind})"


def occupants(session: Session, database: str, besides: Iterable[int] = ()) -> tuple[Occupant, ...]:
    """Who is connected to it, seen from another database; whether we may end it, as either role of ours.

    Autovacuum, which is nobody's, is not counted: it leaves for a rename.
    """
    return tuple(Occupant(*row) for row in session.rows(_OCCUPANTS, [database, list(besides)]))


_MAY_END = """
coalesce(me.rolsuper OR NOT r.rolsuper AND (
    pg_has_role(me.oid, a.usesysid, 'USAGE') OR pg_has_role(me.oid, 'pg_signal_backend', 'USAGE')
), false)
"""
_OCCUPANTS = f"""
SELECT a.pid, a.usename, a.application_name, host(a.client_addr), coalesce(a.backend_type, 'hidden'),
    (SELECT bool_or({_MAY_END}) FROM pg_roles me WHERE me.rolname IN (session_user, current_user))
FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid
WHERE a.datname = %s AND a.pid <> ALL(%s) AND a.pid <> pg_backend_pid()
AND a.usesysid IS NOT NULL AND coalesce(a.backend_type, '') <> 'parallel worker' ORDER BY a.pid
"""  # noqa: S608 - only our own words
_END = f"""
SELECT pg_terminate_backend(a.pid)
FROM pg_roles me CROSS JOIN pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid
WHERE me.rolname = current_user AND a.pid = ANY(%s) AND {_MAY_END}
"""  # noqa: S608 - as above


@dataclass(frozen=True, slots=True)
class Swap:
    """What is renamed to what: the target to `aside`, `restored` to the target."""

    target: str
    restored: str
    aside: str

    @property
    def statements(self) -> str:
        """All of it, or nothing."""
        return (
            f"BEGIN; SET LOCAL lock_timeout = '{_LOCK_WAIT}'; SET LOCAL statement_timeout = 0; "
            f"ALTER DATABASE {quoted(self.target)} RENAME TO {quoted(self.aside)}; "
            f"ALTER DATABASE {quoted(self.restored)} RENAME TO {quoted(self.target)}; COMMIT"
        )


class Swapping:
    """One swap under way."""

    def __init__(self, server: Connector, names: Swap, lock: LeaderLock, *, disconnects: bool) -> None:
        """`server` leads to another database than the two; the leader lock's session is in the target."""
        self._server = server
        self._names = names
        self._lock = lock
        self._ours = lock.session.client_side_pid
        self._disconnects = disconnects
        self._leads = True

    def perform(self, renamer: Session) -> None:
        """Rename both through this session, whose role may; the leader lock is given up on the way.

        Raises `RecoveryFailed` when others stay connected, or when we are told to stop: then nothing was
        renamed.
        """
        with self._server.reopen("the sessions in the database") as watcher:
            reason: str | None = None
            for number in range(_TRIES):
                self._server.stop.wait(_PAUSE_SECONDS if number else 0)
                if (reason := self._try(renamer, watcher)) is None:
                    return
                if not self._leads:  # somebody else may have begun to migrate
                    break
            others = "; ".join(map(str, occupants(watcher, self._names.target, [self._ours])))
        raise RecoveryFailed(
            f"nothing was swapped: {others or reason}",
            remedy="end the sessions in the database, or let --disconnect do it",
        )

    def _try(self, renamer: Session, watcher: Session) -> str | None:
        """None when both are renamed, or why they could not be for now."""
        renamer.begin(self._names.statements)
        try:
            while not renamer.has_ended(within_seconds=_TURN_SECONDS):
                self._make_room(renamer, watcher)
        except (psycopg.errors.ObjectInUse, psycopg.errors.LockNotAvailable) as error:
            renamer.rows("ROLLBACK")
            return first_line(error)
        except (psycopg.Error, MigratorError) as error:  # among them the wish to stop
            renamer.cancel()
            if not self._is_done():
                raise _ours(error) from error
        return None

    def _make_room(self, renamer: Session, watcher: Session) -> None:
        """Once whoever connects has to wait: end who is there, if that was asked for, and leave last."""
        if not self._leads or not watcher.value(_IS_LOCKED, [renamer.client_side_pid, self._names.target]):
            return
        others = occupants(watcher, self._names.target, [self._ours])
        if self._disconnects:
            self._end(watcher, [one.pid for one in others])
        if not others:
            self._lock.release()
            self._leads = False

    def _end(self, watcher: Session, pids: list[int]) -> None:
        """Some are for the role to end that we work as, others for the one that logs in."""
        watcher.rows(_END, [pids])
        watcher.rows("RESET ROLE")
        watcher.rows(_END, [pids])
        watcher.rows("SELECT set_config('role', %s, false)", [self._server.role or "none"])

    def _is_done(self) -> bool:
        """Whether the renames were committed after all, seen on a fresh connection."""
        try:
            with self._server.reopen("the renamed databases") as session:
                return exists(session, self._names.aside)
        except MigratorError as error:
            raise InterruptedMidway(
                f"the connection was lost while {self._names.restored} took the place of "
                f"{self._names.target}: whether it did shows in whether {self._names.aside} exists"
            ) from error


_IS_LOCKED = """
SELECT EXISTS (SELECT FROM pg_locks WHERE pid = %s AND locktype = 'object' AND granted
AND classid = 'pg_database'::regclass AND mode = 'AccessExclusiveLock'
AND objid = (SELECT oid FROM pg_database WHERE datname = %s))
"""


def _ours(error: psycopg.Error | MigratorError) -> MigratorError:
    if isinstance(error, MigratorError):
        return error
    if not error.sqlstate:
        return InterruptedMidway(f"a session was lost, and nothing was swapped: {first_line(error)}")
    return RecoveryFailed(
        f"nothing was swapped: {first_line(error)}",
        remedy="correct what Postgres says, then restore again: the database is as it was",
    )
