"""Privileges: what the role that migrates needs, before anything is refused midway."""

from collections.abc import Iterator

from migrator.backup.moment import tables_of
from migrator.backup.patterns import tables_left_out
from migrator.backup.readable import Hidden, hidden_from_dump
from migrator.diagnosis.finding import Check, Finding, failed, impossible, passed, warned
from migrator.diagnosis.mentions import Table, altered_tables
from migrator.diagnosis.patient import Patient
from migrator.errors import AccessDenied, MigratorError
from migrator.history.state import StateName
from migrator.ledger import read_ledger
from migrator.model import VersionTable
from migrator.postgres.catalog import quoted
from migrator.postgres.session import Session

_MOST_NAMED = 20
_NOTHING_PENDING = frozenset({StateName.CURRENT, StateName.AHEAD})
_CHANGES = frozenset({StateName.PENDING, StateName.FRESH, StateName.UNVERSIONED})


def _connect(patient: Patient) -> Iterator[Finding]:
    try:
        role = _role(patient.session())
    except MigratorError as error:
        refusal = error if isinstance(error, AccessDenied) else error.__cause__
        # A wrong password looks alike but for its words, and is no privilege.
        if not (isinstance(refusal, AccessDenied) and "permission denied for database" in refusal.message):
            raise
        dsn = patient.desk.dsn
        database, user = quoted(dsn.database or dsn.user or ""), quoted(dsn.user or "")
        yield failed(
            refusal.message,
            why="without CONNECT the role does not even see the database",
            remedy=f"GRANT CONNECT ON DATABASE {database} TO {user}",
        )
        return
    yield passed(f"the role {role} may connect")


def _create(patient: Patient) -> Iterator[Finding]:
    """CREATE in the schema of the version table, or where one would be made."""
    tables, changes = _version_tables(patient)
    session = patient.session()
    role = _role(session)
    schemas = {one.schema for one in tables} or {None}
    found = {schema or session.value("SELECT current_schema()") for schema in schemas}
    refused = [one for one in sorted(map(str, found)) if not session.value(_MAY_CREATE, [one])]
    for schema in refused:
        yield (failed if changes else warned)(
            f"the role {role} may not create anything in schema {schema}",
            why="the version table and most of what revisions make stands there",
            remedy=f"GRANT USAGE, CREATE ON SCHEMA {quoted(schema)} TO {quoted(role)}",
        )
    if not refused:
        yield passed(f"the role {role} may create in schema {', '.join(sorted(map(str, found)))}")


def _version_tables(patient: Patient) -> tuple[tuple[VersionTable, ...], bool]:
    """Those of the history, and whether a run would change anything."""
    try:
        sight = patient.sight()
    except AccessDenied:
        release = patient.release()
        certain = release.named_table or release.static_table
        return ((certain,) if certain else ()), True
    return sight.tables, sight.state is None or sight.state.name in _CHANGES


_MAY_CREATE = """
SELECT coalesce((
    SELECT has_schema_privilege(oid, 'USAGE') AND has_schema_privilege(oid, 'CREATE')
    FROM pg_namespace WHERE nspname = %s
), has_database_privilege(current_database(), 'CREATE'))
"""


def _ownership(patient: Patient) -> Iterator[Finding]:
    state = patient.sight().state
    if state is None or (not state.pending and state.name not in _NOTHING_PENDING):
        yield impossible("which revisions are pending is not known, and so not which tables they alter")
        return
    if not state.pending:
        yield passed("no revision is pending: no table will be altered")
        return
    session = patient.session()
    role = _role(session)
    altered = altered_tables(session, state.pending)
    foreign = [one for one in altered.known if not one.is_ours]
    for one in foreign:
        yield failed(
            f"a pending revision alters {one.name}, which belongs to {one.owner} and not to {role}",
            why="only the owner may alter a table: the revision will fail, with 14 or 16",
            remedy=_giving(one, role),
            table=one.name,
            owner=one.owner,
        )
    unknown = ", ".join(altered.uncertain)
    beyond = f"; what {unknown} may alter besides cannot be read from its text" if unknown else ""
    if not foreign:
        number = len(altered.known)
        yield passed(
            f"the role {role} owns all {number} tables that pending revisions alter, as far as their text "
            f"tells{beyond}",
            tables=[one.name for one in altered.known],
            uncertain=list(altered.uncertain),
        )
    elif unknown:
        yield impossible(
            f"what {unknown} may alter besides cannot be read from its text",
            why="names are put together while it runs, or stand in a function of the database",
            uncertain=list(altered.uncertain),
        )


def _giving(table: Table, role: str) -> str:
    """Membership lets the app keep its tables; nobody is made a superuser for one."""
    if table.owner_is_superuser:
        return f"ALTER TABLE {table.name} OWNER TO {quoted(role)}"
    return f"GRANT {quoted(table.owner)} TO {quoted(role)}"


def _readable(patient: Patient) -> Iterator[Finding]:
    settings = patient.desk.settings
    if settings.backup == "off" or settings.backup_command:
        yield passed("no dump is to be taken: whatever the role cannot read does not matter")
        return
    session = patient.session()
    role = _role(session)
    out = tables_left_out(tables_of(session), settings.backup_exclude_data, keep=())
    hidden = hidden_from_dump(session, [one.shown for one in out])
    if not hidden:
        yield passed(f"the role {role} can read all that a backup must hold")
        return
    more = f" and {len(hidden) - _MOST_NAMED} more" if len(hidden) > _MOST_NAMED else ""
    yield failed(
        f"the role {role} cannot read all that a backup must hold: "
        f"{', '.join(map(str, hidden[:_MOST_NAMED]))}{more}",
        why="pg_dump would break there, or leave rows out without a word: the run refuses it with 13",
        remedy="; ".join(dict.fromkeys(_revealing(one, role) for one in hidden)),
        unreadable=[str(one) for one in hidden[:100]],
    )


def _revealing(hidden: Hidden, role: str) -> str:
    match hidden.reason:
        case "policy":
            return f"ALTER ROLE {quoted(role)} BYPASSRLS"
        case "object":
            return f"GRANT SELECT ON LARGE OBJECT {hidden.name} TO {quoted(role)}"
        case _:
            return f"GRANT pg_read_all_data TO {quoted(role)}"


def _ledger(patient: Patient) -> Iterator[Finding]:
    if not patient.desk.settings.ledger:
        yield passed("MIGRATOR_LEDGER=off: none is to be kept")
        return
    session = patient.session()
    role = _role(session)
    may_keep = read_ledger(session, "").may_keep
    owner = session.rows(
        "SELECT pg_get_userbyid(coalesce(c.relowner, n.nspowner))::text FROM pg_namespace n "
        "LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'version_table' "
        "WHERE n.nspname = 'migrator'"
    )
    database = session.database
    if may_keep:
        yield passed(f"the role {role} may keep the ledger")
        return
    remedy = (
        f"GRANT {quoted(owner[0][0])} TO {quoted(role)}"
        if owner
        else f"GRANT CREATE ON DATABASE {quoted(database)} TO {quoted(role)}"
    )
    yield warned(
        f"the role {role} may not keep the ledger",
        why="without it nobody can tell ahead from diverged, which revisions were edited, or what an "
        "interrupted one left half applied",
        remedy=remedy,
    )


def _scratch(patient: Patient) -> Iterator[Finding]:
    settings = patient.desk.settings
    if settings.scratch_database_url is not None:
        yield passed("scratch databases are made where MIGRATOR_SCRATCH_DATABASE_URL says")
        return
    session = patient.session()
    role = _role(session)
    may = session.value(
        "SELECT bool_or(rolsuper OR rolcreatedb) FROM pg_roles WHERE rolname IN (current_user, session_user)"
    )
    if may:
        yield passed(f"the role {role} may create scratch databases")
        return
    (failed_or_warned, needs) = (
        (failed, "MIGRATOR_BACKUP_VERIFY=restore, ")
        if settings.backup_verify == "restore" and settings.backup != "off"
        else (warned, "")
    )
    yield failed_or_warned(
        f"the role {role} may not create databases",
        why=f"{needs}`check`, `verify`, `adopt` and the proof of an unversioned database need a scratch "
        "database",
        remedy=f"ALTER ROLE {quoted(role)} CREATEDB",
    )


def _stats(patient: Patient) -> Iterator[Finding]:
    session = patient.session()
    role = _role(session)
    may = session.value(
        "SELECT pg_has_role('pg_read_all_stats', 'USAGE') OR rolsuper FROM pg_roles "
        "WHERE rolname = current_user"
    )
    if may:
        yield passed(f"the role {role} sees what other sessions do")
        return
    yield warned(
        f"the role {role} does not see what sessions of other roles do, and since when",
        why="a run cannot tell how old the transactions are that hold a table, nor what they do",
        remedy=f"GRANT pg_read_all_stats TO {quoted(role)}",
    )


def _role(session: Session) -> str:
    return str(session.value("SELECT current_user"))


CHECKS: tuple[Check, ...] = (
    Check("privileges.connect", _connect),
    Check("privileges.create", _create),
    Check("privileges.ownership", _ownership),
    Check("privileges.readable", _readable),
    Check("privileges.ledger", _ledger),
    Check("privileges.scratch", _scratch),
    Check("privileges.stats", _stats),
)
