"""What of a database stands outside of it, in the server's own catalogs: no dump of its content holds it."""

from collections.abc import Iterator
from dataclasses import dataclass

from migrator.clock import STOPS
from migrator.errors import MigratorError
from migrator.postgres.catalog import quoted
from migrator.postgres.session import Session

# Their value is a list of quoted names. Source: `GUC_LIST_QUOTE` in PostgreSQL's `guc_tables.c`.
_LISTS = frozenset(
    {"search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries"}
)


@dataclass(frozen=True, slots=True)
class Setting:
    """One `SET` of the database, for everybody or for one role."""

    role: str | None
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Grant:
    """One privilege on the database; without a role it is PUBLIC's."""

    role: str | None
    privilege: str
    is_grantable: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """Settings, privileges and the like of one database."""

    owner: str
    tablespace: str
    connection_limit: int
    comment: str | None
    settings: tuple[Setting, ...]
    grants: tuple[Grant, ...] | None  # None: as Postgres grants by itself


def read_standing(session: Session, database: str) -> Standing:
    """Read it, from any database of the server."""
    owner, tablespace, limit, comment, is_default = session.row(_DATABASE, [database])
    grants = None if is_default else tuple(Grant(*row) for row in session.rows(_GRANTS, [database]))
    settings = tuple(Setting(*row) for row in session.rows(_SETTINGS, [database]))
    return Standing(owner, tablespace, limit, comment, settings, grants)


_DATABASE = """
SELECT r.rolname, t.spcname, d.datconnlimit, shobj_description(d.oid, 'pg_database'), d.datacl IS NULL
FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba JOIN pg_tablespace t ON t.oid = d.dattablespace
WHERE d.datname = %s
"""
_GRANTS = """
SELECT DISTINCT r.rolname, a.privilege_type, a.is_grantable
FROM pg_database d CROSS JOIN aclexplode(d.datacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE d.datname = %s AND (a.grantee = 0 OR r.oid IS NOT NULL) ORDER BY 1, 2
"""
_SETTINGS = """
SELECT r.rolname, split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)
FROM pg_database d JOIN pg_db_role_setting s ON s.setdatabase = d.oid
LEFT JOIN pg_roles r ON r.oid = s.setrole
CROSS JOIN unnest(s.setconfig) c WHERE d.datname = %s
"""


def carry_over(session: Session, standing: Standing, database: str) -> tuple[str, ...]:
    """Give it all to another database of the server; return what this role may not give, without values."""
    name = quoted(database)
    lost = [said for said, statement in _plain(standing, name) if not _done(session, statement)]
    for one in standing.settings:
        whom = f"ROLE {quoted(one.role)} IN DATABASE {name}" if one.role else f"DATABASE {name}"
        if not _set(session, whom, one):
            lost.append(f"ALTER {whom} SET {one.name}")
    return tuple(lost)


def _plain(standing: Standing, name: str) -> Iterator[tuple[str, str]]:
    """Each statement, after what is said when it fails."""
    comment = _literal(standing.comment) if standing.comment is not None else "NULL"
    yield "its comment", f"COMMENT ON DATABASE {name} IS {comment}"
    if standing.connection_limit != -1:
        limit = f"ALTER DATABASE {name} CONNECTION LIMIT {standing.connection_limit}"
        yield limit, limit
    if standing.grants is None:
        return
    revoke = f"REVOKE ALL ON DATABASE {name} FROM PUBLIC, {quoted(standing.owner)}"
    yield revoke, revoke
    for one in standing.grants:
        whom = quoted(one.role) if one.role else "PUBLIC"
        more = " WITH GRANT OPTION" if one.is_grantable and one.role != standing.owner else ""
        grant = f"GRANT {one.privilege} ON DATABASE {name} TO {whom}{more}"
        yield grant, grant


def _set(session: Session, whom: str, one: Setting) -> bool:
    if one.name in _LISTS:  # a list as one literal would be one strange name
        return _done(session, "SELECT set_config(%s, %s, false)", [one.name, one.value]) and _done(
            session, f"ALTER {whom} SET {one.name} FROM CURRENT"
        )
    return _done(session, f"ALTER {whom} SET {_qualified(one.name)} = {_literal(one.value)}")


def _done(session: Session, statement: str, parameters: list[str] | None = None) -> bool:
    try:
        session.rows(statement, parameters)
    except STOPS:
        raise
    except MigratorError:
        return False
    return True


def _qualified(name: str) -> str:
    return ".".join(quoted(word) for word in name.split("."))


def _literal(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f" E'{escaped}'" if "\\" in value else f"'{escaped}'"
