"""Back up: before the first change, unless there is nothing to lose or the policy says no."""

from functools import partial

from migrator.account import Account
from migrator.backup.client import find_client
from migrator.backup.dump import About, Dumper
from migrator.backup.lasting import Surroundings
from migrator.backup.stores import open_store
from migrator.errors import PolicyRefused
from migrator.history.state import State
from migrator.model import Backup
from migrator.steps.leadership import Leadership
from migrator.telemetry.events import Events

_MEGA = 1_000_000


def back_up(leadership: Leadership, account: Account, state: State | None) -> None:
    """Take a proven backup, or say why there is none.

    Raises `BackupFailed` or `PolicyRefused`; nothing was changed then.
    """
    if reason := _reason_to_skip(leadership, state):
        leadership.desk.events.record("backup.skipped", f"no backup: {reason}", reason=reason)
        return
    refuse_dump_through_pooler(leadership, state)
    dumper = _dumper(leadership, account)
    desk, size = leadership.desk, account.database_size_bytes or 0
    desk.events.record(
        "backup.started",
        f"backing up {account.database} ({size / _MEGA:.1f} MB on disk) with pg_dump {dumper.client.version}",
        database_size_bytes=size,
        client_version=dumper.client.version,
    )
    heads = state.heads if state else ()
    account.backup = backup = dumper.take(
        About(desk.run_id, desk.settings.app, desk.settings.release, account.database, heads)
    )
    desk.events.record("backup.verified", f"backup proven: {backup.location}", **backup.facts)


def refuse_dump_through_pooler(leadership: Leadership, state: State | None) -> None:
    """Raise `PolicyRefused` if a backup is to be taken, and only a pooler leads to the database.

    pg_dump empties the search path of its session: a pooler that hands it on breaks the app.
    """
    if leadership.lock.way_through_pooler is None or _reason_to_skip(leadership, state):
        return
    raise PolicyRefused(
        "a backup is due, and pg_dump never goes through a pooler",
        remedy="set MIGRATOR_DIRECT_DATABASE_URL to Postgres itself, or MIGRATOR_BACKUP=off",
    )


def _dumper(leadership: Leadership, account: Account) -> Dumper:
    """The folder, the programs and the connection, each of which may be refused."""
    desk = leadership.desk
    url = desk.settings.backup_url
    assert url is not None  # noqa: S101 - settings were refused without it
    return Dumper(
        connector=desk.connector,
        dsn=desk.dsn,
        store=open_store(
            url,
            account.database,
            Surroundings(desk.environ),
            while_waiting=partial(_keep_leading, leadership),
            warn=lambda message: desk.events.record("hazard.found", message, level="warning"),
        ),
        client=find_client(desk.settings.pg_bin, leadership.server_version),
        clock=desk.clock,
        stop=desk.stop,
        prove_leadership=leadership.lock.keep_proving,
        progressed=partial(_tell_progress, desk.events),
        taken=partial(_tell_taken, desk.events),
    )


def _keep_leading(leadership: Leadership) -> None:
    """Leave a store that is slow as soon as we are told to, or lead no more."""
    leadership.desk.stop.check()
    leadership.lock.keep_proving()


def _tell_progress(events: Events, size_bytes: int, seconds: float) -> None:
    events.record(
        "backup.progressed",
        f"backing up: {size_bytes / _MEGA:.1f} MB written",
        size_bytes=size_bytes,
        seconds=round(seconds, 3),
    )


def _tell_taken(events: Events, backup: Backup) -> None:
    message = f"backup taken in {backup.seconds:.2f} s: {backup.size_bytes / _MEGA:.1f} MB"
    events.record("backup.taken", message, **backup.facts)


def _reason_to_skip(leadership: Leadership, state: State | None) -> str | None:
    policy = leadership.desk.settings.backup
    if policy == "off":
        return "MIGRATOR_BACKUP=off"
    if policy == "auto" and leadership.is_empty:
        return "the database is empty"
    if policy == "auto" and state is not None and not state.pending:
        return "nothing is pending"
    return None
