"""`migrator restore`: a backup becomes a fresh database, is proven, and takes the target's place.

    settings → wait → leader lock → manifest → digest → examine → restore → prove → swap

With `--into NAME` it stays beside the target, which is then neither locked nor touched.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC

from migrator.account import Account
from migrator.backup.archive import fetched
from migrator.backup.choosing import choose
from migrator.backup.manifest import Manifest
from migrator.backup.program import CORRECT
from migrator.backup.shelf import take_stock_of
from migrator.clock import utc_now
from migrator.errors import (
    BackupFailed,
    ExitCode,
    MigratorError,
    PolicyRefused,
    RecoveryFailed,
    StateRefused,
    UsageError,
)
from migrator.ledger.runs import last_runs
from migrator.model import Outcome
from migrator.postgres.catalog import database_identity
from migrator.postgres.databases import MOST_NAME_BYTES
from migrator.postgres.leader import LeaderLock
from migrator.steps.begin import wait_for_postgres
from migrator.steps.desk import Desk
from migrator.steps.examine import examine
from migrator.steps.lead import lead_anyway
from migrator.steps.rebuild import rebuilt, say, tell_leftovers
from migrator.steps.restoration import Restoration
from migrator.steps.shelving import store_of
from migrator.steps.take_place import take_place

_MEGA = 1_000_000
_RUNS = 20


def restore(desk: Desk, account: Account, *, backup: str, into: str | None, disconnect: bool) -> Outcome:
    """Restore this backup in the target's place, or into a new database beside it."""
    try:
        _refuse_senseless(into, disconnect=disconnect)
        return _restore(desk, account, backup=backup, into=into, disconnects=disconnect)
    except (BackupFailed, PolicyRefused, StateRefused) as error:
        said = f"nothing was swapped: {error.message}"
        remedy = _ANOTHER if error.remedy in {ExitCode.BACKUP_FAILED.remedy, CORRECT} else error.remedy
        return account.failed(RecoveryFailed(said, remedy=remedy, **error.facts))
    except MigratorError as error:
        return account.failed(error)


# What helps a dump that broke is not what helps here.
_ANOTHER = (
    "see to what the message names (a role that is gone: CREATE ROLE, some extensions want a superuser), "
    "or take another backup of those that `migrator backups` lists"
)


def _refuse_senseless(into: str | None, *, disconnect: bool) -> None:
    if into is None:
        return
    if disconnect:
        raise UsageError("--disconnect is for taking the target's place, which --into leaves alone")
    if not 0 < len(into.encode()) <= MOST_NAME_BYTES:  # Postgres would cut it, and meet another database
        raise UsageError(f"--into must be the name of a database, of at most {MOST_NAME_BYTES} bytes")


def _restore(desk: Desk, account: Account, *, backup: str, into: str | None, disconnects: bool) -> Outcome:
    with account.phase("wait"):
        session = wait_for_postgres(desk)
    with session:
        account.reached(session.database)
        identity = database_identity(session)
        desk = desk.at(session)
    store = store_of(desk, account.database)
    tell_leftovers(desk)
    manifest = choose(take_stock_of(store), backup, store.location, database_id=identity)
    _tell_origin(desk, manifest, identity)
    with (
        _leadership(desk, account, is_needed=into is None) as lock,
        fetched(store, manifest, lambda _: _keep_leading(desk, lock)) as archive,
    ):
        with account.phase("examine"):
            restoration = examine(desk, archive, lock, into=into, disconnects=disconnects)
        _tell_start(restoration, into)
        with rebuilt(restoration, account):
            if into is not None:
                return _kept_beside(restoration, account)
            aside = take_place(restoration, account, disconnects=disconnects)
    account.heads_before, account.heads_after = restoration.heads_before, manifest.heads
    return account.concluded(
        f"{account.database} is what it was at {_when(manifest)}; what it was until now is kept as "
        f"{aside.name}: {aside.drop_statement} when it is not needed any more",
        restored=manifest.file,
        aside=aside.name,
        drop=aside.drop_statement,
        not_carried_over=list(aside.not_carried_over),
    )


def _tell_origin(desk: Desk, manifest: Manifest, identity: str) -> None:
    """Whoever gave a name may mean another database's backup, as on a new server; but let him know."""
    if manifest.database_id != identity:
        desk.events.record(
            "hazard.found",
            f"{manifest.file} was not taken of this very database: it is of {manifest.database}, on another "
            "server or with another name",
            level="warning",
        )


@contextmanager
def _leadership(desk: Desk, account: Account, *, is_needed: bool) -> Iterator[LeaderLock | None]:
    """Nobody may migrate what is about to be replaced; a database beside it keeps nobody waiting."""
    if not is_needed:
        yield None
        return
    with account.phase("lock"):
        lock = lead_anyway(desk, account)
    try:
        yield lock
    finally:
        lock.release()


def _keep_leading(desk: Desk, lock: LeaderLock | None) -> None:
    desk.stop.check()
    if lock is not None:
        lock.keep_proving()


def _tell_start(restoration: Restoration, into: str | None) -> None:
    desk, manifest, events = restoration.desk, restoration.manifest, restoration.desk.events
    events.record(
        "restore.started",
        f"restoring {manifest.file} into {restoration.name} with pg_restore "
        f"{restoration.restorer.client.version}; the server needs room for about "
        f"{restoration.size_bytes / _MEGA:.1f} MB, which cannot be looked at from here",
        location=restoration.archive.store.location(manifest.file),
        taken=_when(manifest),
        new_database=restoration.name,
        size_bytes=manifest.size_bytes,
        database_size_bytes=restoration.size_bytes,
        client_version=restoration.restorer.client.version,
    )
    if manifest.is_partial:
        missing = ", ".join(manifest.missing)
        events.record(
            "hazard.found", f"the backup is partial, these tables will be empty: {missing}", level="warning"
        )
    if not restoration.keeps_owners:
        events.record(
            "hazard.found", "everything will belong to the role that restores: --no-owner", level="warning"
        )
    if into is None:
        _tell_losses(desk, restoration)


def _tell_losses(desk: Desk, restoration: Restoration) -> None:
    """What was written after the snapshot is in the old database alone."""
    manifest = restoration.manifest
    with desk.connector.reopen("the ledger") as session:
        runs = [
            one for one in last_runs(session, at_most=_RUNS) if one.started and one.started > manifest.started
        ]
        slots = session.rows(
            "SELECT slot_name FROM pg_replication_slots WHERE database = current_database() ORDER BY 1"
        )
    since = "; ".join(
        f"release {one.release} {one.outcome or 'did not end'} at {one.started:%Y-%m-%d %H:%M}Z"
        for one in runs
    )
    desk.events.record(
        "hazard.found",
        f"what was written since {_when(manifest)}, {_age(manifest)} ago, will not be in it"
        f"{f'; runs since then: {since}' if since else ''}",
        level="warning",
        runs=[one.id for one in runs],
    )
    if slots:
        names = ", ".join(name for (name,) in slots)
        desk.events.record(
            "hazard.found",
            f"logical replication slots stay with the old database, and keep WAL for it: {names}; their "
            "subscribers need new ones",
            level="warning",
        )


def _kept_beside(restoration: Restoration, account: Account) -> Outcome:
    manifest = restoration.manifest
    with restoration.acting() as session:
        say(session, restoration.name, f"restored by migrator from {manifest.file}")
    return account.concluded(
        f"{manifest.file}, taken at {_when(manifest)}, is restored into {restoration.name}; "
        f"{restoration.target} is as it was",
        restored=manifest.file,
        new_database=restoration.name,
    )


def _when(manifest: Manifest) -> str:
    return f"{manifest.started.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def _age(manifest: Manifest) -> str:
    """How long ago it was, in the two largest units."""
    minutes = int((utc_now() - manifest.started).total_seconds()) // 60
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
