"""Whole databases: one to work from, one made beside the target, and what a role may do with them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import psycopg

from migrator.clock import STOPS
from migrator.errors import AccessDenied, MigratorError, RecoveryFailed
from migrator.postgres.catalog import quoted
from migrator.postgres.session import Connector, Session

MOST_NAME_BYTES = 63


@dataclass(frozen=True, slots=True)
class Rights:
    """What the role of a session may do with databases."""

    creates: bool
    owns: bool  # the target, so that it may be renamed
    takes_owner: bool  # a new database may be given to the target's owner


def maintenance(connector: Connector, session: Session) -> Connector:
    """A connector to another database of the server than the session's: nobody renames the one he is in.

    Raises `RecoveryFailed` when none lets us in.
    """
    for name in _others(session):
        other = replace(connector, dsn=replace(connector.dsn, database=name))
        try:
            other.open().close()
        except (psycopg.OperationalError, AccessDenied):
            continue
        return other
    raise RecoveryFailed(
        "nothing was swapped: there is no other database on the server that this role may connect to, and a "
        "database cannot be renamed from inside",
        remedy="GRANT CONNECT ON DATABASE postgres to it",
    )


def _others(session: Session) -> Iterator[str]:
    rows = session.rows(
        "SELECT datname FROM pg_database WHERE datallowconn AND datname <> current_database() "
        "AND has_database_privilege(oid, 'CONNECT') "
        "ORDER BY datname <> 'postgres', datname <> 'template1', datname LIMIT 20"
    )
    yield from (name for (name,) in rows)


def name_beside(database: str, purpose: str, stamp: str) -> str:
    """A name for a database that is made of another one, as long as Postgres allows."""
    end = f"_{purpose}_{stamp}"
    return database.encode()[: MOST_NAME_BYTES - len(end)].decode(errors="ignore") + end


def exists(session: Session, database: str) -> bool:
    """Whether there is a database of this name, on the server of this session."""
    return bool(session.rows("SELECT FROM pg_database WHERE datname = %s", [database]))


def rights(session: Session, database: str) -> Rights:
    """What the role of this session may do; the login role is tried where the other one may do less."""
    found = Rights(*session.row(_RIGHTS, [database]))
    if all((found.creates, found.owns, found.takes_owner)):
        return found
    before = session.value("SELECT current_user")
    session.rows("RESET ROLE")
    others = Rights(*session.row(_RIGHTS, [database]))
    if (others.creates, others.owns) > (found.creates, found.owns):
        return others
    session.rows("SELECT set_config('role', %s, false)", [before])
    return found


_RIGHTS = """
SELECT me.rolsuper OR me.rolcreatedb, pg_has_role(current_user, d.datdba, 'USAGE'),
    me.rolsuper OR pg_has_role(
        current_user, d.datdba,
        CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END
    )
FROM pg_database d, pg_roles me WHERE d.datname = %s AND me.rolname = current_user
"""


def may_become(session: Session, roles: tuple[str, ...]) -> frozenset[str]:
    """Which of these roles exist and can be given objects by this session's role."""
    return frozenset(name for (name,) in session.rows(_MAY_BECOME, [list(roles)]))


_MAY_BECOME = """
SELECT r.rolname FROM pg_roles r, pg_roles me WHERE me.rolname = current_user AND r.rolname = ANY(%s)
AND (me.rolsuper OR pg_has_role(
    current_user, r.oid,
    CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END
))
"""


def create_database(session: Session, name: str, options: str, owner: str | None = None) -> None:
    """Make an empty database of template0: nobody may be connected to what is copied. Raises our errors."""
    statement = f"CREATE DATABASE {quoted(name)} TEMPLATE template0 {options}"
    session.rows(f"{statement} OWNER {quoted(owner)}" if owner else statement)


def drop_database(connector: Connector, name: str) -> bool:
    """Drop it with whatever session is left in it: all of them are ours. Whether it is gone.

    The sessions are the login role's, the database may be the other role's: neither may do both.
    """
    statement = f"DROP DATABASE IF EXISTS {quoted(name)}"
    try:
        with connector.open() as session:
            session.rows("RESET ROLE")
            session.rows(_END_SESSIONS, [name])
            try:
                session.rows(statement)  # waits for sessions that are just ending
            except STOPS:
                raise
            except MigratorError:
                session.rows("SELECT set_config('role', %s, false)", [connector.role or "none"])
                session.rows(statement)
    except (MigratorError, psycopg.Error):
        return False
    return True


_END_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = %s AND usename = session_user AND backend_type = 'client backend'
"""
