"""Wait until Postgres answers as a writable primary."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import psycopg

from migrator.clock import Clock
from migrator.errors import AccessDenied, DatabaseUnavailable, InterruptedMidway
from migrator.postgres.refusal import Verdict, verdict
from migrator.postgres.session import Connector, Session

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 3.0
# Operators create roles and databases moments after the server is up.
_LATE_ROLE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One failed attempt, for whoever reports it."""

    number: int
    verdict: Verdict
    reason: str
    waited_seconds: float


def wait_until_ready(
    connector: Connector, clock: Clock, patience: timedelta, told: Callable[[Attempt], None]
) -> Session:
    """Return an open session to a writable primary.

    Raises `AccessDenied` when role, password or database are refused for 15 s (or for all our patience, if
    that is shorter), `DatabaseUnavailable` when patience ends.
    """
    started = clock.monotonic()
    limit = patience.total_seconds()
    refused_since: float | None = None
    number = 0
    while True:
        number += 1
        try:
            return _primary(connector, limit - (clock.monotonic() - started))
        except psycopg.OperationalError as error:
            judged, reason = verdict(error), _reason(error)
        now = clock.monotonic()
        waited = now - started
        refused_since = (refused_since or now) if judged is Verdict.REFUSED else None
        told(Attempt(number, judged, reason, waited))
        if refused_since is not None and (now - refused_since >= _LATE_ROLE_SECONDS or waited >= limit):
            raise AccessDenied(f"Postgres refused the connection for {waited:.0f} s: {reason}")
        if waited >= limit:
            raise DatabaseUnavailable(f"Postgres was not ready within {limit:g} s: {reason}")
        clock.sleep(min(_pause(number), max(limit - waited, 0.01)))


def _primary(connector: Connector, left_seconds: float) -> Session:
    session = connector.open(timeout_seconds=min(10.0, max(left_seconds, 1.0)))
    try:
        _refuse_unwritable(session)
    except BaseException:
        session.close()
        raise
    return session


def why_unwritable(session: Session) -> str | None:
    """What keeps the server from taking a change, if anything does: a failover may be under way."""
    recovering, read_only = session.row(
        "SELECT pg_is_in_recovery(), current_setting('transaction_read_only')::bool"
    )
    if recovering:
        return "in recovery (a standby, or a failover is under way)"
    return "read-only (a failover may be under way)" if read_only else None


def _refuse_unwritable(session: Session) -> None:
    try:
        kind = why_unwritable(session)
    except (DatabaseUnavailable, InterruptedMidway) as error:
        # It accepted us, then died, as a server does that is just starting or going down.
        raise psycopg.errors.ConnectionFailure(error.message) from error
    if kind is not None:
        raise psycopg.OperationalError(f"the server is {kind}: not read-write")


def _reason(error: psycopg.OperationalError) -> str:
    """The first line says why; those after it are hints, and how other hosts failed."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return lines[0] if lines else "no reason given"


def _pause(number: int) -> float:
    longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(number - 1, 10))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads pods, hides nothing
