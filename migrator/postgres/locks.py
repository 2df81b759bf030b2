"""Table locks: what our sessions wait for, who holds it, and for how long."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from migrator.model import VersionTable
from migrator.postgres.session import Session

_QUERY_LENGTH = 80
# Outside of E'…' a backslash may escape a quote, or not: nobody can tell where such a literal ends, and all
# the rest is left out.
_VALUE = re.compile(
    r"(?<=\bE)'(?:[^'\\]|''|\\.)*(?:'|$)|'(?:[^'\\]|''|\\[^'])*(?:\\'.*|'|$)|\$(\w*)\$.*?(?:\$\1\$|$)|\b\d[\w.]*",
    re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session that holds a lock we wait for, as far as our role may see it."""

    pid: int
    role: str | None
    application: str | None
    host: str | None
    state: str | None
    age_seconds: float | None
    query: str | None
    holds: str | None

    def __str__(self) -> str:
        """One line for a person."""
        age = f" for {self.age_seconds:.0f} s" if self.age_seconds is not None else ""
        where = f", host {self.host}" if self.host else ""
        does = f"{self.state or 'hidden'}{age}, {self.holds or 'a lock'}"
        asked = "" if self.is_hidden or not self.query else f": {_without_values(self.query)}"
        return f"{self.application or 'unnamed'} (pid {self.pid}, role {self.role}{where}, {does}){asked}"

    @property
    def facts(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "pid": self.pid,
            "role": self.role,
            "application": self.application,
            "host": self.host,
            "state": self.state,
            "age_seconds": None if self.age_seconds is None else round(self.age_seconds, 1),
            "query": None if self.is_hidden or not self.query else _without_values(self.query),
            "holds": self.holds,
        }

    @property
    def is_hidden(self) -> bool:
        """Whether the server keeps from our role what it does, and since when."""
        return self.state is None


def _without_values(query: str) -> str:
    """The query without what can be a row's value, shortened; a literal that was cut off goes to its end."""
    return _VALUE.sub("?", query)[:_QUERY_LENGTH]


@dataclass(frozen=True, slots=True, order=True)
class TableLock:
    """A lock on a table that one of our sessions waited for."""

    relation: int  # its oid
    mode: str  # as in pg_locks


def blockers(session: Session, pids: Iterable[int]) -> tuple[Blocker, ...]:
    """The sessions that keep these backends waiting; empty when none waits."""
    rows = session.rows(
        f"""
        SELECT DISTINCT {_BLOCKER},
            (SELECT string_agg(DISTINCT l.mode || ' on ' || l.relation::regclass, ', ')
             FROM pg_locks l JOIN pg_locks m ON m.pid = w.pid AND NOT m.granted
             AND l.relation = m.relation AND l.database = m.database
             WHERE l.pid = a.pid AND l.granted AND l.locktype = 'relation')
        FROM unnest(%s::int[]) w(pid), unnest(pg_blocking_pids(w.pid)) b(pid)
        JOIN pg_stat_activity a ON a.pid = b.pid
        """,  # noqa: S608 - our own texts
        [list(pids)],
    )
    return tuple(Blocker(*row) for row in rows)


_BLOCKER = """a.pid, a.usename, a.application_name, host(a.client_addr), a.state,
            extract(epoch FROM clock_timestamp() - a.xact_start)::float8,
            left(regexp_replace(a.query, '\\s+', ' ', 'g'), 400)"""


def transactions(session: Session, at_least: timedelta) -> tuple[Blocker, ...]:
    """The client sessions of this database that are in a transaction for so long, the oldest first."""
    rows = session.rows(
        f"""
        SELECT {_BLOCKER},
            (SELECT string_agg(DISTINCT l.mode || ' on ' || l.relation::regclass, ', ')
             FROM pg_locks l WHERE l.pid = a.pid AND l.granted AND l.locktype = 'relation'
             AND l.database = a.datid
             AND l.relation IN (SELECT oid FROM pg_class WHERE relkind IN ('r', 'p', 'm')
                                AND relnamespace <> 'pg_catalog'::regnamespace))
        FROM pg_stat_activity a
        WHERE a.datname = current_database() AND a.backend_type = 'client backend'
        AND a.pid <> pg_backend_pid() AND a.xact_start < clock_timestamp() - %s::interval
        ORDER BY a.xact_start
        """,  # noqa: S608 - our own texts
        [at_least],
    )
    return tuple(Blocker(*row) for row in rows)


def awaited_locks(session: Session, pids: Iterable[int]) -> frozenset[TableLock]:
    """The locks on tables that these backends wait for right now."""
    rows = session.rows(
        "SELECT relation::bigint, mode FROM pg_locks WHERE pid = ANY(%s) AND NOT granted "
        "AND locktype = 'relation'",
        [list(pids)],
    )
    return frozenset(TableLock(*row) for row in rows)


def locks_to_read(session: Session, tables: Iterable[VersionTable]) -> frozenset[TableLock]:
    """The locks that whoever reads these tables must have."""
    named = [(one.schema, one.name) for one in tables]
    rows = session.rows(
        "SELECT to_regclass(concat_ws('.', quote_ident(s), quote_ident(t)))::oid::bigint "
        "FROM unnest(%s::text[], %s::text[]) n(s, t)",
        [[schema for schema, _ in named], [name for _, name in named]],
    )
    return frozenset(TableLock(oid, "AccessShareLock") for (oid,) in rows if oid is not None)


def holders(session: Session, wanted: Iterable[TableLock]) -> tuple[Blocker, ...]:
    """The sessions that hold a lock that conflicts with one of these."""
    pairs = [(one.relation, mode) for one in wanted for mode in _CONFLICTS[one.mode]]
    rows = session.rows(
        f"""
        SELECT {_BLOCKER}, string_agg(DISTINCT l.mode || ' on ' || l.relation::regclass, ', ')
        FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
        WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_backend_pid()
        AND a.usename IS NOT NULL  -- autovacuum leaves by itself, once somebody queues
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (l.relation::bigint, l.mode) IN (SELECT * FROM unnest(%s::bigint[], %s::text[]))
        GROUP BY a.pid, a.usename, a.application_name, a.client_addr, a.state, a.xact_start, a.query
        """,  # noqa: S608 - our own texts
        [[relation for relation, _ in pairs], [mode for _, mode in pairs]],
    )
    return tuple(Blocker(*row) for row in rows)


_MODES = (
    "AccessShareLock RowShareLock RowExclusiveLock ShareUpdateExclusiveLock ShareLock ShareRowExclusiveLock "
    "ExclusiveLock AccessExclusiveLock"
).split()
# Source: PostgreSQL, "Explicit Locking", table 13.2: for each mode, those it cannot be held beside.
_CONFLICTS = {
    "AccessShareLock": _MODES[7:],
    "RowShareLock": _MODES[6:],
    "RowExclusiveLock": _MODES[4:],
    "ShareUpdateExclusiveLock": _MODES[3:],
    "ShareLock": [*_MODES[2:4], *_MODES[5:]],
    "ShareRowExclusiveLock": _MODES[2:],
    "ExclusiveLock": _MODES[1:],
    "AccessExclusiveLock": _MODES,
}
