"""The server: its version, room for our sessions, and what role and database make of a session."""

from collections.abc import Iterator

from migrator.diagnosis.finding import Check, Finding, failed, passed, warned
from migrator.diagnosis.patient import Patient
from migrator.postgres.catalog import quoted
from migrator.postgres.leader import current_leader

_SUPPORTED = range(14, 19)
# A run holds the lock, migrates, dumps and reports, each in a session of its own.
_NEEDED_SLOTS = 5
_FEW_SLOTS = 15


def _version(patient: Patient) -> Iterator[Finding]:
    number = patient.session().server_version
    major = number // 10000
    seen = f"PostgreSQL {major}.{number % 10000}"
    if major in _SUPPORTED:
        yield passed(seen, major=major)
    elif major < _SUPPORTED.start:
        yield failed(
            f"{seen}: no longer supported",
            why="migrator needs what 14 brought, and is tested with 14 to 18",
            remedy="upgrade the server",
            major=major,
        )
    else:
        yield warned(
            f"{seen}: newer than this migrator",
            why="it is tested with 14 to 18",
            remedy="upgrade migrator",
            major=major,
        )


def _size(patient: Patient) -> Iterator[Finding]:
    size, pretty = patient.session().row(
        "SELECT s, pg_size_pretty(s) FROM (SELECT pg_database_size(current_database()) s) one"
    )
    yield passed(f"the database takes {pretty}", size_bytes=size)


def _encoding(patient: Patient) -> Iterator[Finding]:
    encoding = patient.session().value("SELECT current_setting('server_encoding')")
    if encoding == "UTF8":
        yield passed(encoding, encoding=encoding)
        return
    yield warned(
        encoding,
        why="it cannot hold every text, and what SQL_ASCII holds nobody ever checked",
        remedy="move to a database made by: CREATE DATABASE new ENCODING 'UTF8' TEMPLATE template0",
        encoding=encoding,
    )


# PostgreSQL 14 keeps versions of collations only, not of the database.
_DATABASE_COLLATION = """
SELECT quote_ident(datname), datcollversion, pg_database_collation_actual_version(oid),
    'REINDEX DATABASE ' || quote_ident(datname) || ';'
FROM pg_database
WHERE datname = current_database() AND datcollversion <> pg_database_collation_actual_version(oid)
"""
_COLLATIONS = """
SELECT c.oid::regcollation::text, collversion, pg_collation_actual_version(c.oid),
    string_agg(DISTINCT 'REINDEX TABLE ' || a.attrelid::regclass || ';', E'\n')
FROM pg_collation c JOIN pg_attribute a ON a.attcollation = c.oid
JOIN pg_class t ON t.oid = a.attrelid AND t.relkind IN ('r', 'm', 'p')
WHERE collversion <> pg_collation_actual_version(c.oid) AND t.oid >= 16384 GROUP BY c.oid, collversion
"""
_WITH_DATABASE_COLLATION = 150000


def _collation(patient: Patient) -> Iterator[Finding]:
    session = patient.session()
    has_own = session.server_version >= _WITH_DATABASE_COLLATION
    database = session.rows(_DATABASE_COLLATION) if has_own else []
    found = [("DATABASE", "COLLATION VERSION", *row) for row in database]
    found += [("COLLATION", "VERSION", *row) for row in session.rows(_COLLATIONS)]
    if not found:
        yield passed("collations are of the version the database was built with")
    for kind, what, name, recorded, actual, rebuild in found:
        yield warned(
            f"{kind.lower()} {name} was built with collation version {recorded}, and the server has {actual}",
            why="indexes on texts may be in another order than the server expects: rows are missed, and "
            "duplicates let in",
            remedy=f"{rebuild}\nALTER {kind} {name} REFRESH {what};",
            recorded=recorded,
            actual=actual,
        )


# What kind of session another role's is, is hidden from an ordinary role.
_SLOTS = """
WITH clients AS (
    SELECT datid, usesysid FROM pg_stat_activity WHERE datid IS NOT NULL AND usesysid IS NOT NULL
    AND backend_type IS DISTINCT FROM 'parallel worker'
)
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true)::int, 0),
    (SELECT count(*) FROM clients),
    d.datconnlimit, (SELECT count(*) FROM clients WHERE datid = d.oid),
    r.rolconnlimit, (SELECT count(*) FROM clients WHERE usesysid = r.oid),
    quote_ident(d.datname), quote_ident(r.rolname), r.rolsuper
FROM pg_database d, pg_roles r WHERE d.datname = current_database() AND r.rolname = session_user
"""


def _connections(patient: Patient) -> Iterator[Finding]:
    row = patient.session().row(_SLOTS)
    most, used, of_database, in_database, of_role, by_role, database, role, is_superuser = row
    show = "SELECT usename, application_name, state, count(*) FROM pg_stat_activity GROUP BY 1, 2, 3;"
    limits = [("the server", most, used, show)]
    if of_database >= 0 and not is_superuser:
        raised = f"ALTER DATABASE {database} CONNECTION LIMIT -1;"
        limits.append((f"database {database}", of_database, in_database, raised))
    if of_role >= 0 and not is_superuser:
        limits.append((f"role {role}", of_role, by_role, f"ALTER ROLE {role} CONNECTION LIMIT -1;"))
    for whose, limit, taken, remedy in limits:
        free = limit - taken
        facts = {"limit": limit, "used": taken}
        seen = f"{taken} of {limit} connections of {whose} are taken"
        if free < _NEEDED_SLOTS:
            yield failed(
                seen,
                why=f"a run needs up to {_NEEDED_SLOTS} at once: it waits for them",
                remedy=remedy,
                **facts,
            )
        elif free < _FEW_SLOTS and whose == "the server":
            yield warned(
                seen, why="the pods of a deploy, old and new at once, may need more", remedy=remedy, **facts
            )
        else:
            yield passed(seen, **facts)


_EXTENSIONS = """
SELECT a.name, a.default_version, a.installed_version,
    rolsuper OR coalesce((
        SELECT bool_or(v.trusted) AND has_database_privilege(current_database(), 'CREATE')
        FROM pg_available_extension_versions v WHERE v.name = a.name AND v.version = a.default_version
    ), false)
FROM pg_available_extensions a, pg_roles WHERE rolname = current_user AND a.name = ANY(%s)
"""


def _extensions(patient: Patient) -> Iterator[Finding]:
    """Those which the text of some revision creates."""
    wanted = sorted(patient.release().extensions())
    if not wanted:
        yield passed("no revision creates an extension")
        return
    rows = patient.session().rows(_EXTENSIONS, [wanted])
    found = {name: rest for name, *rest in rows}
    for name in wanted:
        yield (
            _of_extension(name, *found[name])
            if name in found
            else failed(
                f"the server does not have the extension {name}, which a revision creates",
                why="CREATE EXTENSION fails there, and with it the revision",
                remedy=f"install its package on the server's machine, or choose an image that has {name}",
                extension=name,
            )
        )


def _of_extension(  # what follows the name is a row
    name: str, offered: str, installed: str | None, may_create: object
) -> Finding:
    if installed is None and not may_create:
        return failed(
            f"extension {name} is not installed, and this role may not install it",
            why="it is not trusted, or the role lacks CREATE on the database: the revision fails, exit 16",
            remedy=f"as a superuser, in this database: CREATE EXTENSION {quoted(name)};",
            extension=name,
        )
    if installed is not None and installed != offered:
        return warned(
            f"extension {name} is at {installed}, and the server has {offered}",
            why="the server was upgraded without it: functions may be missing or slow",
            remedy=f"ALTER EXTENSION {quoted(name)} UPDATE;",
            extension=name,
        )
    seen = f"at {installed}" if installed else "can be created"
    return passed(f"extension {name}: {seen}", extension=name)


_SET = """
SELECT split_part(c, '=', 1), split_part(c, '=', 2), CASE
    WHEN s.setrole = 0 THEN 'DATABASE ' || quote_ident(d.datname)
    WHEN s.setdatabase = 0 THEN 'ROLE ' || quote_ident(r.rolname)
    ELSE 'ROLE ' || quote_ident(r.rolname) || ' IN DATABASE ' || quote_ident(d.datname) END
FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) c
LEFT JOIN pg_database d ON d.oid = s.setdatabase LEFT JOIN pg_roles r ON r.oid = s.setrole
WHERE (s.setdatabase = 0 OR d.datname = current_database())
AND (s.setrole = 0 OR r.rolname IN (session_user, current_user))
AND split_part(c, '=', 1) = ANY(%s) ORDER BY 3, 1
"""
_TIMEOUTS = (
    "lock_timeout",
    "statement_timeout",
    "transaction_timeout",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
)


def _timeouts(patient: Patient) -> Iterator[Finding]:
    rows = patient.session().rows(_SET, [list(_TIMEOUTS)])
    found = [(name, value, whose) for name, value, whose in rows if value not in {"0", "0ms", "0s"}]
    if not found:
        yield passed("neither role nor database sets a timeout")
    for name, value, whose in found:
        yield warned(
            f"{name} is {value}, by ALTER {whose}",
            why="migrator's own sessions set theirs; sessions that env.py opens by itself, and whatever "
            "somebody repairs by hand, end with it",
            remedy=f"ALTER {whose} RESET {name};",
            setting=name,
            value=value,
        )


def _leader(patient: Patient) -> Iterator[Finding]:
    holders = current_leader(patient.session())
    if not holders:
        yield passed("nobody leads: the advisory lock is free")
    for one in holders:
        yield warned(
            f"a run leads right now: {one}",
            why="another run waits for it, for MIGRATOR_LEADER_TIMEOUT at most",
            remedy=f"SELECT pg_terminate_backend({one.pid});  -- only if nobody knows that run",
            pid=one.pid,
            application=one.application,
        )


CHECKS = (
    Check("server.version", _version),
    Check("server.size", _size),
    Check("server.encoding", _encoding),
    Check("server.collation", _collation),
    Check("server.connections", _connections),
    Check("server.extensions", _extensions),
    Check("server.timeouts", _timeouts),
    Check("server.leader", _leader),
)
