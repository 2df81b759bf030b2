"""Back up: before the first change, unless there is nothing to lose or the policy says no."""

from typing import Any

from migrator.account import Account
from migrator.backup.client import find_client
from migrator.backup.command import BackupCommand, environment_for
from migrator.backup.dump import About, Dumper
from migrator.backup.restore_point import mark_restore_point
from migrator.backup.watch import Watch
from migrator.errors import PolicyRefused
from migrator.history.state import State
from migrator.model import Backup, RevisionId
from migrator.settings.definition import ROWS
from migrator.steps.leadership import Leadership
from migrator.steps.proving import proof_by_restoring
from migrator.steps.reuse import reused
from migrator.steps.shelving import store_of

_OFF = "MIGRATOR_BACKUP=off"


def back_up(leadership: Leadership, account: Account, state: State | None) -> None:
    """Take a backup, or say why there is none.

    Raises `BackupFailed` or `PolicyRefused`; nothing was changed then.
    """
    if reason := _reason_to_skip(leadership, state):
        _tell_skipped(leadership, reason)
        return
    account.backup = _reused(leadership, account)
    if account.backup is None:
        take_backup(leadership, account, state)


def _reused(leadership: Leadership, account: Account) -> Backup | None:
    """After a failed run, the backup it took; what a program of the operator's took is not ours to judge."""
    if leadership.desk.settings.backup_command:
        return None
    return reused(leadership, store_of(leadership.desk, account.database, _watch(leadership).look))


def back_up_anyway(leadership: Leadership, account: Account, state: State | None) -> None:
    """The same for what always changes something: only the policy may say no."""
    if leadership.desk.settings.backup == "off":
        _tell_skipped(leadership, _OFF)
        return
    take_backup(leadership, account, state)


def _tell_skipped(leadership: Leadership, reason: str) -> None:
    leadership.desk.events.record("backup.skipped", f"no backup: {reason}", reason=reason)


def refuse_dump_through_pooler(leadership: Leadership, state: State | None) -> None:
    """Raise `PolicyRefused` if a dump is to be taken, and only a pooler leads to the database."""
    if not (leadership.desk.settings.backup_command or _reason_to_skip(leadership, state)):
        _refuse_pooler(leadership)


def _refuse_pooler(leadership: Leadership) -> None:
    """pg_dump empties the search path of its session: a pooler that hands it on breaks the app."""
    if leadership.lock.way_through_pooler is not None:
        raise PolicyRefused(
            "a backup is due, and pg_dump never goes through a pooler",
            remedy="set MIGRATOR_DIRECT_DATABASE_URL to Postgres itself, or MIGRATOR_BACKUP=off",
        )


def take_backup(leadership: Leadership, account: Account, state: State | None) -> None:
    """Take one now: a proven dump, or what `MIGRATOR_BACKUP_COMMAND` makes."""
    heads = state.heads if state else ()
    if leadership.desk.settings.backup_command:
        account.backup = _commanded(leadership, account, heads)
    else:
        account.backup = _dumped(leadership, account, heads)


def _dumped(leadership: Leadership, account: Account, heads: tuple[RevisionId, ...]) -> Backup:
    """The client, the folder and the connection, each of which may be refused; then the dump."""
    _refuse_pooler(leadership)
    desk, settings = leadership.desk, leadership.desk.settings
    client = find_client(settings.pg_bin, leadership.server_version)
    watch = _watch(leadership)
    store = store_of(desk, account.database, watch.look)
    dumper = Dumper(
        connector=desk.connector,
        dsn=desk.dsn,
        client=client,
        store=store,
        watch=watch,
        events=desk.events,
        exclude=settings.backup_exclude_data,
        max_size_bytes=settings.backup_max_size,
        prove_further=proof_by_restoring(leadership, store) if settings.backup_verify == "restore" else None,
    )
    tables = leadership.sight.tables
    return dumper.take(About(desk.run_id, settings.app, settings.release, account.database, heads, tables))


def _commanded(leadership: Leadership, account: Account, heads: tuple[RevisionId, ...]) -> Backup:
    desk, settings = leadership.desk, leadership.desk.settings
    passwords = [
        dsn.password.reveal()
        for dsn in (settings.database_url, settings.direct_database_url, settings.scratch_database_url)
        if dsn is not None and dsn.password is not None
    ]
    names = {name for row in ROWS if row.secret for one in row.names for name in (one, f"{one}_FILE")}
    command = BackupCommand(
        words=settings.backup_command,
        environ=environment_for(desk.environ, secret_names=frozenset(names), secrets=tuple(passwords)),
        folder=desk.cwd,
        timeout=settings.backup_command_timeout,
        watch=_watch(leadership),
        events=desk.events,
    )
    facts = _facts(leadership, account, heads)
    desk.events.record(
        "backup.started",
        f"{command.name} is to back up {account.database}",
        by=command.name,
        database_size_bytes=facts["database_size_bytes"],
        restore_point=facts["restore_point"],
    )
    backup = command.take(facts)
    message = f"backup taken by {command.name} in {backup.seconds:.2f} s: {backup}"
    desk.events.record("backup.taken", message, by=command.name, **backup.facts)
    return backup


def _facts(leadership: Leadership, account: Account, heads: tuple[RevisionId, ...]) -> dict[str, Any]:
    """What another program is told; no password."""
    desk = leadership.desk
    with desk.connector.reopen("the backup") as session:
        host, port = session.address
        session.rows("BEGIN")
        restore_point = mark_restore_point(session, heads, desk.run_id)
        lsn = str(session.value("SELECT pg_current_wal_lsn()"))
        session.rows("COMMIT")
    return {
        "run_id": desk.run_id,
        "app": desk.settings.app,
        "release": desk.settings.release,
        "database": account.database,
        "host": host,
        "port": port,
        "server_version": f"{leadership.server_version // 10000}.{leadership.server_version % 10000}",
        "heads": list(heads),
        "database_size_bytes": account.database_size_bytes,
        "lsn": lsn,
        "restore_point": restore_point,
        "timeout_seconds": desk.settings.backup_command_timeout.total_seconds(),
    }


def _watch(leadership: Leadership) -> Watch:
    return Watch(leadership.desk.clock, leadership.desk.stop, leadership.lock.keep_proving)


def _reason_to_skip(leadership: Leadership, state: State | None) -> str | None:
    policy = leadership.desk.settings.backup
    if policy == "off":
        return _OFF
    if policy == "auto" and leadership.is_empty:
        return "the database is empty"
    if policy == "auto" and state is not None and not state.pending:
        return "nothing is pending"
    return None
