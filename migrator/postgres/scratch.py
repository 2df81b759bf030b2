"""Scratch databases: made for one replay, like the target in all that shapes a schema, and dropped after it.

The name says whose it is: a hash of the target, when it was made, and a random word.
"""

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import psycopg

from migrator.clock import STOPS
from migrator.errors import AccessDenied, MigratorError, PolicyRefused, StateRefused
from migrator.postgres.catalog import quoted
from migrator.postgres.databases import create_database, drop_database
from migrator.postgres.pooler import is_pooled
from migrator.postgres.session import Connector, Session

_PREFIX = "migrator_scratch_"
# Between its creation and its first session a scratch database looks like a leftover.
_YOUNG_SECONDS = 120
_REMEDY = (
    "ALTER ROLE … CREATEDB for the role that migrates, or set MIGRATOR_SCRATCH_DATABASE_URL to a server of "
    "the same major version where it may create databases"
)


@dataclass(frozen=True, slots=True)
class Likeness:
    """What of the target shapes a schema before the first revision does."""

    owner: str
    options: str  # of CREATE DATABASE: encoding and collation
    settings: tuple[tuple[str, str], ...]  # ALTER DATABASE … SET
    extensions: tuple[tuple[str, str], ...]  # name and schema
    schemas: tuple[str, ...]
    has_public: bool
    major: int


def likeness(session: Session) -> Likeness:
    """What a scratch database for this one must be like."""
    owner, options = session.row(_DATABASE)
    settings = session.rows(
        "SELECT split_part(c, '=', 1), substr(c, strpos(c, '=') + 1) FROM pg_db_role_setting s "
        "JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) c "
        "WHERE d.datname = current_database() AND s.setrole = 0"
    )
    extensions = session.rows(
        "SELECT extname, extnamespace::regnamespace::text FROM pg_extension WHERE extname <> 'plpgsql' "
        "ORDER BY oid"
    )
    schemas = session.rows(
        "SELECT nspname FROM pg_namespace n WHERE nspname !~ '^pg_' AND NOT EXISTS ("
        "SELECT FROM pg_depend d WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid "
        "AND d.deptype = 'e') AND nspname NOT IN ('information_schema', 'public', 'migrator') ORDER BY oid"
    )
    return Likeness(
        owner,
        options,
        tuple(settings),
        tuple(extensions),
        tuple(name for (name,) in schemas),
        has_public=session.value("SELECT to_regnamespace('public') IS NOT NULL"),
        major=session.server_version // 10000,
    )


# Newer servers have more columns; a role that may not become the owner makes its own database.
_DATABASE = """
SELECT CASE WHEN pg_has_role(current_user, d.datdba, 'MEMBER') THEN r.rolname ELSE current_user END,
    format('ENCODING %L LC_COLLATE %L LC_CTYPE %L', pg_encoding_to_char(d.encoding), d.datcollate, d.datctype)
    || CASE to_jsonb(d) ->> 'datlocprovider'
        WHEN 'i' THEN format(' LOCALE_PROVIDER icu ICU_LOCALE %L',
            coalesce(to_jsonb(d) ->> 'daticulocale', to_jsonb(d) ->> 'datlocale'))
            || coalesce(' ICU_RULES ' || quote_literal(to_jsonb(d) ->> 'daticurules'), '')
        WHEN 'b' THEN format(' LOCALE_PROVIDER builtin BUILTIN_LOCALE %L', to_jsonb(d) ->> 'datlocale')
        WHEN 'c' THEN ' LOCALE_PROVIDER libc'
        ELSE '' END
FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE d.datname = current_database()
"""


def scratch_prefix(target: Session) -> str:
    """How the names of this target's scratch databases begin."""
    which = "SELECT concat_ws('/', datname, oid) FROM pg_database WHERE datname = current_database()"
    identity = [target.value(which)]
    with suppress(AccessDenied):  # some services keep it to themselves
        identity.append(target.value("SELECT system_identifier::text FROM pg_control_system()"))
    return f"{_PREFIX}{hashlib.sha256('/'.join(identity).encode()).hexdigest()[:12]}_"


def leftovers(session: Session, prefix: str) -> tuple[str, ...]:
    """Scratch databases of this target that killed runs left on the server, no session being open in them."""
    rows = session.rows(
        "SELECT datname FROM pg_database d WHERE starts_with(datname, %s) "
        "AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid)",
        [prefix],
    )
    made = {name: name[len(prefix) :].split("_")[0] for (name,) in rows}
    return tuple(
        name for name, when in made.items() if when.isdigit() and time.time() - int(when) > _YOUNG_SECONDS
    )


def drop_leftovers(connector: Connector, prefix: str) -> None:
    """Drop them. Only for the target's leader."""
    with suppress(MigratorError, psycopg.Error), connector.open() as session:
        for name in leftovers(session, prefix):
            with suppress(MigratorError):
                session.rows(f"DROP DATABASE {quoted(name)}")


@contextmanager
def scratch_database(
    connector: Connector, prefix: str, like: Likeness, told: Callable[[str], None]
) -> Iterator[Connector]:
    """A connector to a fresh database like the target, which is dropped at the end of the block.

    `connector` leads to any database of the server where it may be made; `told` hears what could not be had.

    Raises:
        StateRefused: the role may not create databases, the server has no such collation, or is of another
            major version. PolicyRefused: only a pooler leads there, which knows no databases but its own.
    """
    name = f"{prefix}{int(time.time())}_{secrets.token_hex(4)}"
    with connector.reopen("the server of the scratch database") as session:
        _create(session, name, like)
    scratch = replace(connector, dsn=replace(connector.dsn, database=name))
    try:
        with scratch.reopen("the scratch database") as keeper:  # an open session: it is not a leftover
            _furnish(keeper, like, told)
            yield scratch
    finally:
        drop_database(connector, name)


def _create(session: Session, name: str, like: Likeness) -> None:
    if is_pooled(session):
        raise PolicyRefused(
            "nothing can be proven through a pooler: it leads to no scratch database",
            remedy="set MIGRATOR_DIRECT_DATABASE_URL to Postgres itself, or MIGRATOR_SCRATCH_DATABASE_URL",
        )
    major = session.server_version // 10000
    if major != like.major:
        raise StateRefused(
            f"nothing can be proven: the scratch server is PostgreSQL {major}, the target {like.major}, and "
            "they describe one schema differently",
            remedy="set MIGRATOR_SCRATCH_DATABASE_URL to a server of the same major version",
        )
    if not session.value(_MAY_CREATE):
        session.rows("RESET ROLE")  # the login role may be the one that can
    if not session.value(_MAY_CREATE):
        raise StateRefused(
            "nothing can be proven: the role may not create a scratch database", remedy=_REMEDY
        )
    has_owner = session.value(
        "SELECT coalesce((SELECT pg_has_role(current_user, oid, 'MEMBER') FROM pg_roles WHERE rolname = %s), "
        "false)",
        [like.owner],
    )
    try:
        create_database(session, name, like.options, like.owner if has_owner else None)
    except STOPS:
        raise
    except MigratorError as error:
        raise StateRefused(
            f"nothing can be proven: a scratch database could not be created: {error.message}", remedy=_REMEDY
        ) from error


_MAY_CREATE = "SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user"


def _furnish(session: Session, like: Likeness, told: Callable[[str], None]) -> None:
    """Make what no revision makes; what cannot be had shows up as a difference, so it is only told."""
    database = quoted(session.database)
    wanted = [] if like.has_public else ["DROP SCHEMA IF EXISTS public"]
    wanted += [f"CREATE SCHEMA IF NOT EXISTS {quoted(name)}" for name in like.schemas]
    wanted += [
        f"CREATE EXTENSION IF NOT EXISTS {quoted(name)} SCHEMA {schema}" for name, schema in like.extensions
    ]
    for statement in wanted:
        _try(session, statement, told)
    for name, value in like.settings:
        with suppress(psycopg.Error, MigratorError):
            session.rows("SELECT set_config(%s, %s, false)", [name, value])
            session.rows(f"ALTER DATABASE {database} SET {name} FROM CURRENT")


def _try(session: Session, statement: str, told: Callable[[str], None]) -> None:
    try:
        session.rows(statement)
    except STOPS:
        raise
    except MigratorError as error:
        told(f"on the scratch database, {statement} failed: {error.message}")
