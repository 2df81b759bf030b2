"""Rebuild: the backup becomes a new database beside the target, proven, or nothing of it stays."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from migrator.account import Account
from migrator.backup.comparison import Comparison, compare
from migrator.backup.restoring import Filling
from migrator.clock import STOPS
from migrator.errors import InterruptedMidway, MigratorError, RecoveryFailed
from migrator.ledger import Ledger, RunEnd, RunStart
from migrator.postgres.catalog import quoted
from migrator.postgres.databases import create_database, drop_database, name_beside
from migrator.postgres.session import Session
from migrator.steps.desk import Desk
from migrator.steps.keep import written
from migrator.steps.restoration import Restoration

_UNFINISHED = "migrator: a restore of "
_STAMP = "20260101000000"  # as long as any
_TOLD_EVERY_SECONDS = 1.0
_MEGA = 1_000_000


@contextmanager
def rebuilt(restoration: Restoration, account: Account) -> Iterator[None]:
    """The new database, filled and proven, for the block; dropped if anything fails, in the block as well.

    Raises `RecoveryFailed` when it is not what the manifest says.
    """
    _create(restoration)
    try:
        with account.phase("restore"):
            _fill(restoration)
        with account.phase("verify"):
            _prove(restoration)
        _record(restoration)
        yield
    except BaseException:
        _drop(restoration)
        raise


def _create(restoration: Restoration) -> None:
    about = f"{_UNFINISHED}{restoration.manifest.file}, run {restoration.desk.run_id}"
    with restoration.acting() as session:
        try:
            create_database(session, restoration.name, restoration.options, restoration.owner)
        except (*STOPS, InterruptedMidway):
            _drop(restoration)
            raise
        except MigratorError as error:
            raise RecoveryFailed(
                f"nothing was swapped: the database {restoration.name} could not be made: {error.message}",
                remedy="correct what Postgres says, then restore again: the database is as it was",
            ) from error
        say(session, restoration.name, about)


def say(session: Session, database: str, about: str) -> None:
    """Write it into the comment of a database."""
    text = about.replace("'", "''")
    session.rows(f"COMMENT ON DATABASE {quoted(database)} IS '{text}'")


def tell_leftovers(desk: Desk) -> None:
    """Name the databases that killed restores left behind: somebody may still want to look at them."""
    with desk.connector.reopen("the database to replace") as session:
        name = name_beside(session.database, "restore", _STAMP)
        left = session.rows(_LEFTOVERS, [_UNFINISHED, name.removesuffix(_STAMP), len(name)])
    for name, about in left:
        said = about.removeprefix("migrator: ") if about else "a restore that had just made it"
        desk.events.record(
            "hazard.found",
            f"{name} was left behind by {said}: DROP DATABASE {quoted(name)}",
            level="warning",
        )


_LEFTOVERS = """
SELECT datname, about FROM pg_database d, shobj_description(d.oid, 'pg_database') about
WHERE pg_has_role(datdba, 'MEMBER') AND (
    starts_with(about, %s)
    OR about IS NULL AND starts_with(datname, %s) AND length(datname) = %s AND datname ~ '_[0-9]{14}$'
)
AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid) ORDER BY 1
"""


def _fill(restoration: Restoration) -> None:
    filling = Filling(
        restoration.restorer,
        restoration.desk.stop,
        _progress(restoration),
        keeps_owners=restoration.keeps_owners,
        entries=restoration.entries,
    )
    filling.fill(restoration.new, restoration.archive)
    with restoration.new.reopen("the restored database") as session:
        session.rows("SET statement_timeout = 0")
        session.rows("ANALYZE")  # without statistics the app would meet the worst plans


def _progress(restoration: Restoration) -> Callable[[], None]:
    """Called all the time: sees that we still lead, and tells once a second how large it has become."""
    began = told = time.monotonic()
    keep_leading = restoration.lock.keep_proving if restoration.lock else (lambda: None)

    def progressed() -> None:
        nonlocal told
        keep_leading()
        if (now := time.monotonic()) - told < _TOLD_EVERY_SECONDS:
            return
        told = now
        with restoration.server.reopen("the server's other database") as session:
            size = session.value("SELECT pg_database_size(%s::name)", [restoration.name])
        restoration.desk.events.record(
            "restore.progressed",
            f"restoring: {size / _MEGA:.1f} MB of about {restoration.size_bytes / _MEGA:.1f} MB on disk",
            database_size_bytes=size,
            seconds=round(now - began, 3),
        )

    return progressed


def _prove(restoration: Restoration) -> None:
    with restoration.new.reopen("the restored database") as session:
        found = compare(session, restoration.manifest)
    _refuse_other(restoration, found)
    for unknown in found.unknown:
        _warn(restoration, f"not compared, since the manifest does not tell: {unknown}")
    manifest = restoration.manifest
    rows = sum(one.rows for one in manifest.tables.values())
    restoration.desk.events.record(
        "restore.verified",
        f"the restored database is what was backed up: {rows} rows in {len(manifest.tables)} tables",
        new_database=restoration.name,
        tables=len(manifest.tables),
        rows=rows,
        heads=list(manifest.heads),
        not_compared=list(found.unknown),
    )


def _refuse_other(restoration: Restoration, found: Comparison) -> None:
    """Whoever restores beside can look at a schema that Postgres may only print otherwise; rows are rows."""
    if found.contents or (found.schema and restoration.lock is not None):
        raise RecoveryFailed(
            f"nothing was swapped: the restored database is not what was backed up: "
            f"{'; '.join(found.differences)}",
            remedy="take another backup of the list, or look at this one: "
            f"`migrator restore {restoration.manifest.file} --into NAME`",
            differences=list(found.differences),
        )
    for difference in found.schema:
        _warn(restoration, f"{difference} than when it was backed up: compare it with `migrator verify`")


def _warn(restoration: Restoration, message: str) -> None:
    restoration.desk.events.record("hazard.found", message, level="warning")


def _record(restoration: Restoration) -> None:
    """Before anybody else is in there: the ledger in it is that of the day of the backup."""
    desk, manifest = restoration.desk, restoration.manifest
    start = RunStart(
        id=desk.run_id,
        app=desk.settings.app,
        release=desk.settings.release,
        release_digest="",
        heads_before=restoration.heads_before,
    )
    end = RunEnd(
        outcome="restored",
        exit_code=0,
        heads_after=manifest.heads,
        backup_location=restoration.archive.store.location(manifest.file),
        backup_sha256=manifest.sha256,
    )

    def write(ledger: Ledger) -> None:
        ledger.begin(start)
        ledger.end(desk.run_id, end)

    written(replace(desk, dsn=restoration.new.dsn), write)


def _drop(restoration: Restoration) -> None:
    if not drop_database(restoration.server, restoration.name):
        _warn(
            restoration,
            f"the half-restored database could not be dropped: DROP DATABASE {quoted(restoration.name)}",
        )
