"""Activity: what stands in the way of a migration right now."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from migrator.diagnosis.finding import Check, Finding, passed, warned
from migrator.diagnosis.mentions import altered_tables
from migrator.diagnosis.patient import Patient
from migrator.ledger.runs import who_leads
from migrator.postgres.leader import working_sessions
from migrator.postgres.locks import Blocker, blockers, transactions
from migrator.postgres.session import Session
from migrator.telemetry.wording import counted

_LONG = timedelta(minutes=1)
# A run does not queue for a table behind a transaction of this age that holds it.
_IDLE = timedelta(seconds=5)
_MOST_WAL_BYTES = 1 << 30


def long_transactions(patient: Patient, longest: timedelta = _LONG) -> Iterator[Finding]:
    """Transactions at work for longer than this."""
    session = patient.session()
    found = [one for one in transactions(session, longest) if not _is_idle(one)]
    hidden = _hidden(session)
    for one in found:
        yield warned(
            f"a transaction runs for longer than {_shown(longest)}: {one}",
            why="a table it has read or written cannot be altered before it ends, and CREATE INDEX "
            "CONCURRENTLY waits for it whatever it has touched",
            remedy=_end(one),
            **one.facts,
        )
    if not found:
        yield passed(f"no transaction runs for longer than {_shown(longest)}{hidden}")


def idle_transactions(patient: Patient, longest: timedelta = _IDLE) -> Iterator[Finding]:
    """Transactions in which nothing happens."""
    session = patient.session()
    found = [one for one in transactions(session, longest) if _is_idle(one)]
    hidden = _hidden(session)
    for one in found:
        yield warned(
            f"a session is idle in a transaction: {one}",
            why="it keeps its locks and does nothing: its program forgot to commit, or hangs",
            remedy=_end(one),
            **one.facts,
        )
    if not found:
        yield passed(f"no session is idle in a transaction for longer than {_shown(longest)}{hidden}")


def _is_idle(one: Blocker) -> bool:
    return (one.state or "").startswith("idle in transaction")


def _end(one: Blocker) -> str:
    return f"SELECT pg_terminate_backend({one.pid})"


def _shown(duration: timedelta) -> str:
    return f"{duration.total_seconds():.0f} s"


def _hidden(session: Session) -> str:
    """What the role cannot see, as the end of a sentence."""
    number = session.value(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND backend_type IS NULL AND pid <> pg_backend_pid()"
    )
    return f"; {counted(number, 'session')} hidden from this role" if number else ""


def _prepared(patient: Patient) -> Iterator[Finding]:
    session = patient.session()
    rows = session.rows(
        "SELECT gid, owner::text, extract(epoch FROM clock_timestamp() - prepared)::float8, "
        "quote_literal(gid) FROM pg_prepared_xacts WHERE database = current_database() ORDER BY prepared"
    )
    for gid, owner, age, literal in rows:
        yield warned(
            f"transaction {gid} of {owner} is prepared for {age:.0f} s",
            why="it keeps its locks without any session, also over restarts, until somebody ends it",
            remedy=f"ROLLBACK PREPARED {literal}",
            owner=owner,
            age_seconds=round(age, 1),
        )
    if not rows:
        yield passed("no transaction is prepared")


def _wraparound(patient: Patient) -> Iterator[Finding]:
    session = patient.session()
    rows = session.rows(_VACUUMED)
    state = patient.sight().state
    altered = altered_tables(session, state.pending if state else ()).known
    found = [(pid, oid, name) for pid, oid, name in rows if oid in {one.oid for one in altered}]
    for pid, _, name in found:
        yield warned(
            f"autovacuum (pid {pid}) freezes {name}, which a pending revision alters",
            why="to prevent wraparound it does not step back for whoever queues, as autovacuum does "
            "otherwise: the revision waits for its end",
            remedy="SELECT pid, phase, heap_blks_scanned, heap_blks_total FROM pg_stat_progress_vacuum",
            pid=pid,
            table=name,
        )
    if not found:
        elsewhere = f", {counted(len(rows), 'other table')} elsewhere" if rows else ""
        yield passed(f"no table that a pending revision alters is being frozen{elsewhere}")


# The worker's locks are seen by everybody, what it does is not; only a freeze that must not be put off holds
# its lock while others queue, and its activity says so where we may read it.
_VACUUMED = """
SELECT a.pid, l.relation::bigint, l.relation::regclass::text
FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid AND l.locktype = 'relation'
WHERE a.query LIKE 'autovacuum: %(to prevent wraparound)%' AND l.mode = 'ShareUpdateExclusiveLock'
AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def slots(patient: Patient, most_bytes: int = _MOST_WAL_BYTES) -> Iterator[Finding]:
    """Replication slots for which the server keeps more WAL than this."""
    session = patient.session()
    rows = session.rows(_SLOTS, [most_bytes])
    for name, kind, active, size_bytes, drop in rows:
        use = "in use" if active else "used by nobody"
        yield warned(
            f"the {kind} replication slot {name}, {use}, keeps {size_bytes} bytes of WAL",
            why="the server's disk fills up, and a migration writes a lot; a full disk stops everything",
            remedy=drop,
            slot=name,
            wal_bytes=size_bytes,
        )
    if not rows:
        yield passed(f"no replication slot keeps more than {most_bytes} bytes of WAL")


# One that is in use cannot be dropped before its receiver is ended.
_SLOTS = """
SELECT slot_name::text, slot_type, active, behind::bigint,
    CASE WHEN active THEN 'SELECT pg_terminate_backend(' || active_pid || '); ' ELSE '' END
    || 'SELECT pg_drop_replication_slot(' || quote_literal(slot_name) || ')'
FROM (
    SELECT *, pg_wal_lsn_diff(
        CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, restart_lsn
    ) AS behind FROM pg_replication_slots
) s WHERE behind > %s ORDER BY behind DESC
"""


def _runners(patient: Patient) -> Iterator[Finding]:
    session = patient.session()
    leading = who_leads(session)
    working = working_sessions(session)
    if leading is not None:
        yield warned(
            f"another runner is at work: {leading}",
            why="a run that is started now waits for it, for MIGRATOR_LEADER_TIMEOUT",
            remedy="migrator status",
            **leading.facts,
        )
    elif working:
        named = ", ".join(map(str, working))
        yield warned(
            f"nobody leads, yet sessions of an earlier run are still alive: pid {named}",
            why="the next run waits until they have ended",
            remedy="; ".join(f"SELECT pg_terminate_backend({pid})" for pid in working),
            pids=list(working),
        )
    else:
        yield passed("no other runner is at work")


def _blocked(patient: Patient) -> Iterable[Finding]:
    session = patient.session()
    found = blockers(session, working_sessions(session))
    if not found:
        return [passed("no migration waits for a lock")]
    return [
        warned(
            f"a migration waits for a lock of {one}",
            why="it goes on when that session's transaction ends",
            remedy=_end(one),
            **one.facts,
        )
        for one in found
    ]


CHECKS: tuple[Check, ...] = (
    Check("activity.transactions", long_transactions),
    Check("activity.idle", idle_transactions),
    Check("activity.prepared", _prepared),
    Check("activity.wraparound", _wraparound),
    Check("activity.slots", slots),
    Check("activity.runners", _runners),
    Check("activity.blocked", _blocked),
)
