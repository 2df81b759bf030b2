"""A pooler between us and Postgres: that there is one, and the proof that it is in session mode.

A pooler shows itself: the pid of the startup packet is not the backend's. Only in session mode is a server
session its client's own until the client leaves; in transaction and statement mode a session lock belongs to
nobody. No pooler tells its mode to an ordinary client, so it is proven, by what the other modes cannot do:

- a session that is idle outside any transaction is sent a notification by Postgres itself. A server session
  that has gone back to its pool has nobody to hand it to. This holds whatever else the pool is busy with, in
  what order it hands out sessions, and whether the other session reached another process of the pooler;
- no other session, however many are open at once, is ever given its server session;
- its server session remains the same, and still listens: no pooler answered in its place;
- what a client leaves behind, a lock and a setting, is gone once it has left (`server_reset_query`).

Source: https://www.pgbouncer.org/features.html, the SQL feature map for pooling modes.
"""

import secrets
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Literal

from migrator.clock import STOPS, Clock
from migrator.errors import InterruptedMidway, MigratorError, PolicyRefused
from migrator.postgres.session import Connector, Session, Way

OnPooler = Literal["refuse", "session"]

# With the one that is proven, as many as a run has open at once: lock, worker, progress, and who looks on.
_OTHERS = 4
_PATIENCE_SECONDS = 3.0
_TRIES = 3
_PAUSE_SECONDS = 0.05
_DIRECT = "set MIGRATOR_DIRECT_DATABASE_URL to Postgres itself"


def is_pooled(session: Session) -> bool:
    """Whether a pooler stands between us and Postgres."""
    return bool(session.client_side_pid != session.value("SELECT pg_backend_pid()"))


@dataclass(slots=True)
class Admission:
    """Says whether a session may hold a lock: one to Postgres itself, or through a pooler as far as allowed.

    `way` is how the admitted session goes through a pooler that was proven to be in session mode.
    """

    connector: Connector
    clock: Clock
    on_pooler: OnPooler
    is_given: bool = False
    way: Way | None = None
    tries: int = 0

    def examine(self, session: Session) -> None:
        """See that this session may hold a lock, before it takes one.

        Raises `PolicyRefused`; `InterruptedMidway` if the pool had too few sessions for a proof, until that
        was so three times.
        """
        self.is_given = False
        self.way = session.way if is_pooled(session) else None
        if self.way is not None and self.on_pooler == "refuse":
            raise PolicyRefused(
                "the connection goes through a pooler, where a session lock belongs to nobody",
                remedy=f"{_DIRECT}; a pooler in session mode may be allowed by MIGRATOR_ON_POOLER=session",
            )
        if self.way is not None:
            self._prove(session)
        self.is_given = True

    def _prove(self, session: Session) -> None:
        self.tries += 1
        try:
            prove_session_mode(self.connector, session, self.clock)
        except InterruptedMidway as error:  # runs that start at once can take each other's sessions
            if self.tries < _TRIES:
                raise
            raise _unproven(error.message) from error


def prove_session_mode(connector: Connector, session: Session, clock: Clock) -> None:
    """Prove that this session has its server session to itself.

    Raises `PolicyRefused` where it has not, `InterruptedMidway` where the pool has too few sessions.
    """
    plain = replace(connector, role=None)  # setting a role would wait for a pool that has nothing to give
    proof = _Proof(plain, session, clock, secrets.token_hex(8), secrets.randbits(62))
    session.rows(f"LISTEN {proof.channel}")
    try:
        proof.see_that_it_is_ours()
        proof.see_that_nothing_stays()
    except PolicyRefused:
        _tidy(session)
        raise
    session.rows(f"UNLISTEN {proof.channel}")


def _tidy(session: Session) -> None:
    """Undo what we set: most likely it is still the server session that we set it in."""
    try:
        session.rows("RESET ROLE")
        session.rows("UNLISTEN *")
    except STOPS:
        raise
    except MigratorError:  # whoever stands between us and Postgres is refused anyway
        return


@dataclass(frozen=True, slots=True)
class _Proof:
    connector: Connector
    session: Session
    clock: Clock
    word: str
    lock: int

    @property
    def channel(self) -> str:
        return f"migrator_proof_{self.word}"

    def see_that_it_is_ours(self) -> None:
        """With others open beside it, which leave something behind."""
        with ExitStack() as others:
            pid = self._own_pid()
            if pid is None:
                raise _unproven("what is set in a session is gone with the next statement")
            for number in range(_OTHERS):
                other = others.enter_context(self.connector.reopen("prove the pooler's mode"))
                if self._greeted(other, number) == pid:
                    raise _unproven("two clients were given one server session")
                if self.session.heard(_PATIENCE_SECONDS) != str(number):
                    raise _unproven("between two statements the server session does not reach its client")
                if self._own_pid() != pid:
                    raise _unproven("the server session changed between two statements")
                other.rows(
                    "SELECT set_config('migrator.proof', %s, false), pg_advisory_lock_shared(%s)",
                    [self.word, self.lock],
                )

    def _greeted(self, other: Session, number: int) -> int:
        """Have this session notify ours; its pid."""
        pid = other.value_within(
            f"SELECT pg_backend_pid() FROM pg_notify('{self.channel}', '{number}')",  # noqa: S608 - our own
            _PATIENCE_SECONDS,
        )
        if pid is None:
            raise InterruptedMidway(
                f"it gave {number + 1} server sessions at once, and a run needs {_OTHERS + 1}"
            )
        return int(pid)

    def _own_pid(self) -> int | None:
        """The pid behind our session; None if that session is not the one which listens."""
        pid, listens = self.session.row(
            "SELECT pg_backend_pid(), %s IN (SELECT pg_listening_channels())", [self.channel]
        )
        return int(pid) if listens else None

    def see_that_nothing_stays(self) -> None:
        """After the others have left."""
        stays = (
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objid = %s)"
        )
        end = self.clock.monotonic() + _PATIENCE_SECONDS
        while self.session.value(stays, [self.lock >> 32, self.lock & 0xFFFFFFFF]):
            if self.clock.monotonic() >= end:
                raise _leaking("a lock")
            self.clock.sleep(_PAUSE_SECONDS)
        with self.connector.reopen("prove the pooler's mode") as next_one:
            if next_one.value("SELECT current_setting('migrator.proof', true)") == self.word:
                raise _leaking("a setting")


def _unproven(why: str) -> PolicyRefused:
    return PolicyRefused(f"the pooler could not be proven to be in session mode: {why}", remedy=_DIRECT)


def _leaking(what: str) -> PolicyRefused:
    return PolicyRefused(
        f"the pooler hands on {what} of a client that has left to the next one",
        remedy=f"{_DIRECT}, or let the pooler reset sessions (PgBouncer: server_reset_query = DISCARD ALL)",
    )
