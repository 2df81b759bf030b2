"""The leader lock: at most one migrator migrates a database.

Three advisory locks of the target database:

- the *leader key*, held by the lock session of the one runner that leads;
- a random *token*, held by the same session: it names this run;
- the *fence key*, held shared by every migration session, so that a new leader can tell that one still lives.

A migration session takes the fence, then sees in `pg_locks` that one session holds leader key and token,
else it refuses. A new leader takes the fence exclusively, briefly, before it starts: then no session of the
old one is left, and one that connects later fails its look.

A session that *waits* in `pg_advisory_lock()` has a snapshot, for which `CREATE INDEX CONCURRENTLY` waits for
ever. So we only ever try, from a session that is in no transaction and is closed while we sleep.
"""

import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import psycopg

from migrator.clock import Clock
from migrator.errors import (
    AccessDenied,
    DatabaseUnavailable,
    InterruptedMidway,
    LeaderBusy,
)
from migrator.postgres.readiness import why_unwritable
from migrator.postgres.refusal import Verdict, verdict
from migrator.postgres.session import Session, Way, first_line

if TYPE_CHECKING:
    from migrator.postgres.pooler import Admission

# "MGRT": one constant key will do, since advisory locks belong to a database already.
_CLASS = 0x4D475254
_LEADER, _FENCE = 1, 2
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 2.0
_FENCE_PAUSE_SECONDS = 0.2
_TOLD_EVERY_SECONDS = 10.0
_PROOF_SECONDS = 5.0
_CROWDED_PAUSE_SECONDS, _SHARE_OF_TIME = 5.0, 20

FENCE_SQL = f"SELECT pg_try_advisory_lock_shared({_CLASS}, {_FENCE})"

_HOLDERS = f"""
SELECT a.pid, a.application_name, a.usename, host(a.client_addr), a.backend_start
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.classid = {_CLASS} AND l.objid = %s AND l.objsubid = 2
AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND a.pid <> pg_backend_pid()
"""  # noqa: S608 - only our own numbers


@dataclass(frozen=True, slots=True)
class Holder:
    """A session that holds one of our locks, as far as our role may see it."""

    pid: int
    application: str | None
    role: str | None
    host: str | None
    since: datetime | None

    def __str__(self) -> str:
        """One line for a person."""
        since = f", since {self.since:%Y-%m-%d %H:%M:%S}Z" if self.since else ""
        return f"{self.application or 'unknown'} (pid {self.pid}, host {self.host or 'local'}{since})"


class LeaderLock:
    """Leadership, for as long as its session lives."""

    def __init__(self, session: Session, token: int, clock: Clock, way: Way | None) -> None:
        """Take over the session that holds the locks."""
        self.way_through_pooler = way  # None where nothing stands between us and Postgres
        self._session = session
        self._token = token
        self._clock = clock
        self._proven_at = clock.monotonic()

    @property
    def session(self) -> Session:
        """The lock session, to learn which server it reached; it must do nothing else."""
        return self._session

    @property
    def look_sql(self) -> str:
        """A statement any session can run to see whether this run still leads: one row, one boolean."""
        high, low = self._token >> 32, self._token & 0xFFFFFFFF
        return (
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted "  # noqa: S608
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
            f"AND (classid = {_CLASS} AND objid = {_LEADER} AND objsubid = 2 "
            f"OR classid = {high} AND objid = {low} AND objsubid = 1) "
            "GROUP BY pid HAVING count(*) = 2)"
        )

    def prove(self) -> None:
        """See that we still lead. Raises `InterruptedMidway` when the session or its locks are gone."""
        try:
            still = self._session.value(self.look_sql)
        except InterruptedMidway as error:
            raise InterruptedMidway(f"the leader lock was lost: {error.message}") from error
        if not still:
            raise InterruptedMidway("the leader lock was lost: its session no longer holds it")
        self._proven_at = self._clock.monotonic()

    def keep_proving(self) -> None:
        """Prove it again if the last proof is some seconds old: for whoever asks often."""
        if self._clock.monotonic() - self._proven_at >= _PROOF_SECONDS:
            self.prove()

    def release(self) -> None:
        """Let another runner lead; the server frees the locks when the session ends."""
        self._session.close()


def current_leader(session: Session) -> tuple[Holder, ...]:
    """Who leads now; nobody where we may not look, and on a standby, where nothing can be seen of it."""
    return _holders(session, _LEADER)


def working_sessions(session: Session) -> tuple[int, ...]:
    """The pids of all that migrate here, or back up for a run of ours."""
    fenced = {one.pid for one in _holders(session, _FENCE)}
    named = session.rows(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name ~ '^migrator .* run [0-9a-f]+ (worker|backup)$'"
    )
    return tuple(sorted(fenced | {pid for (pid,) in named}))


def take_leadership(
    admission: "Admission",
    patience: timedelta,
    *,
    is_needless: Callable[[Session], bool],
    told: Callable[[tuple[Holder, ...], float], None],
) -> LeaderLock | None:
    """Lead, or return None as soon as `is_needless` says that another leader did all there is to do.

    Each try has a session of its own. `told` hears who leads and how many seconds we waited, every 10 s.

    Raises:
        LeaderBusy: patience ended. DatabaseUnavailable: it ended while Postgres did not answer.
        PolicyRefused: a pooler stands in between, not allowed or not proven. AccessDenied: we are refused.
    """
    clock = admission.clock
    started = clock.monotonic()
    limit = patience.total_seconds()
    number = 0
    told_at = float("-inf")
    while True:
        tried_at = clock.monotonic()
        waited = tried_at - started
        is_loud = waited - told_at >= _TOLD_EVERY_SECONDS or waited >= limit
        found = _try_to_lead(admission, None if number == 0 else is_needless, names_holders=is_loud)
        if found is None:
            return None
        if isinstance(found, Session):
            return _lead(found, admission, limit - (clock.monotonic() - started))
        if is_loud:
            told_at = waited
            told(found.holders, clock.monotonic() - started)
        if waited >= limit:
            raise found.error(waited)
        number += 1
        pause = _pause(number, tried_seconds=clock.monotonic() - tried_at)
        clock.sleep(min(pause, max(limit - waited, 0.01)))


@dataclass(frozen=True, slots=True)
class _InVain:
    """A try that did not give us the lock: somebody has it, or Postgres is not ready."""

    holders: tuple[Holder, ...] = ()
    reason: str | None = None

    def error(self, waited_seconds: float) -> LeaderBusy | DatabaseUnavailable:
        """What it means once patience has ended."""
        if self.reason is not None:
            return DatabaseUnavailable(
                f"Postgres was not ready for {waited_seconds:.0f} s while we waited to lead: {self.reason}"
            )
        return LeaderBusy(f"another runner still leads after {waited_seconds:.0f} s: {_named(self.holders)}")


def _try_to_lead(
    admission: "Admission", is_needless: Callable[[Session], bool] | None, *, names_holders: bool
) -> Session | _InVain | None:
    """The session that now holds the leader key, or who holds it; None when nothing is left to do.

    A hundred runners may be trying: the session asks for no more than is needed, and is closed at once. A
    server that is full, restarting or out of reach is busy, not broken: patience for the leader covers it.
    """
    try:
        session = admission.connector.open()
    except psycopg.OperationalError as error:
        if verdict(error) is Verdict.REFUSED:
            raise AccessDenied(f"Postgres refused the connection: {first_line(error)}") from error
        return _InVain(reason=first_line(error))
    leads = False
    try:
        if not admission.is_given:  # later tries go the same way
            admission.examine(session)
        if admission.way is not None:  # whoever looks does not dare to set it through a pooler
            session.rows("SELECT set_config('lock_timeout', '2s', false)")
        if is_needless is not None and is_needless(session):  # at first the state was read a moment ago
            return None
        if _try(session, "pg_try_advisory_lock", _LEADER):
            # A standby gives away advisory locks of its own; it may have taken a primary's place meanwhile.
            if kind := why_unwritable(session):
                return _InVain(reason=f"it is {kind}")
            leads = True
            return session
        return _InVain(_holders(session, _LEADER) if names_holders else ())
    except InterruptedMidway as error:
        return _InVain(reason=error.message)
    finally:
        if not leads:
            session.close()


def _lead(session: Session, admission: "Admission", left_seconds: float) -> LeaderLock:
    """Hold the token, keep the session alive, and wait until no session of an earlier leader is left."""
    clock = admission.clock
    try:
        admission.examine(session)  # this very one, which may have waited for long
        session.hold_on()
        token = secrets.randbits(62)
        session.rows("SELECT pg_advisory_lock(%s)", [token])
        _wait_for_fence(session, clock, left_seconds)
    except BaseException:  # or we would go on leading without doing anything
        session.close()
        raise
    return LeaderLock(session, token, clock, admission.way)


def _wait_for_fence(session: Session, clock: Clock, left_seconds: float) -> None:
    end = clock.monotonic() + left_seconds
    while not _try(session, "pg_try_advisory_lock", _FENCE):
        holders = _holders(session, _FENCE)
        if clock.monotonic() >= end:
            raise LeaderBusy(
                f"a migration session of an earlier run is still alive: {_named(holders)}",
                remedy="see what it does; it ends with its statement, or by pg_terminate_backend",
            )
        clock.sleep(_FENCE_PAUSE_SECONDS)
    session.rows(f"SELECT pg_advisory_unlock({_CLASS}, {_FENCE})")


def _try(session: Session, function: str, key: int) -> bool:
    return bool(session.value(f"SELECT {function}({_CLASS}, {key})"))


def _holders(session: Session, key: int) -> tuple[Holder, ...]:
    """Who holds a key; nobody where we may not look: it is only a view."""
    try:
        return tuple(Holder(*row) for row in session.rows(_HOLDERS, [key]))
    except (AccessDenied, DatabaseUnavailable):
        return ()


def _named(holders: tuple[Holder, ...]) -> str:
    return ", ".join(map(str, holders)) or "it just ended"


def _pause(number: int, *, tried_seconds: float) -> float:
    """Longer with every try, and where tries are slow: a crowd of waiting runners must not starve the leader.

    A runner is connected for about a twentieth of the time it waits: a hundred hold some five connections.
    """
    usual = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 1.5 ** min(number - 1, 12))
    crowded = min(_CROWDED_PAUSE_SECONDS, 2 * _SHARE_OF_TIME * tried_seconds)
    return max(usual, crowded) * random.uniform(0.5, 1.0)  # noqa: S311 - spreads runners, hides nothing
