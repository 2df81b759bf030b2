"""Reuse: the backup that a failed run of this release took a moment ago still serves."""

from migrator.backup.dump import backup_of
from migrator.backup.moment import tables_of, version_rows_of
from migrator.backup.patterns import tables_left_out
from migrator.backup.reuse import Wanted, reusable
from migrator.backup.shelf import take_stock_of
from migrator.backup.stores import Store
from migrator.clock import utc_now
from migrator.ledger.runs import last_runs
from migrator.model import Backup
from migrator.postgres.catalog import database_identity
from migrator.steps.keep import asked
from migrator.steps.leadership import Leadership
from migrator.telemetry.wording import counted

_RUNS = 50


def reused(leadership: Leadership, store: Store) -> Backup | None:
    """A backup to use again, told with its age; None if there is none. Raises `BackupFailed`."""
    desk, settings = leadership.desk, leadership.desk.settings
    if not settings.backup_reuse_within:
        return None
    runs = asked(desk, lambda session: last_runs(session, at_most=_RUNS))
    if not runs or runs[0].exit_code == 0 or runs[0].release != settings.release:
        return None  # so no store is asked after a success
    with desk.connector.reopen("the version rows") as session:
        rows = version_rows_of(session, leadership.sight.tables)
        left_out = tables_left_out(tables_of(session), settings.backup_exclude_data, keep=rows.keys())
        wanted = Wanted(
            database_id=database_identity(session),
            release=settings.release,
            version_rows=rows,
            within=settings.backup_reuse_within,
            verified=settings.backup_verify,
            missing=frozenset(one.shown for one in left_out),
            now=utc_now(),
        )
    found = reusable(take_stock_of(store).manifests, runs, wanted)
    if found is None or store.size_bytes(found.file) != found.size_bytes:
        return None
    backup = backup_of(found, store)
    age = wanted.now - found.finished
    desk.events.record(
        "backup.skipped",
        f"no backup: the one that failed run {found.run_id} took "
        f"{counted(int(age.total_seconds()), 'second')} ago is used again: {backup}",
        reason="a failed run took one of the same version rows",
        age_seconds=round(age.total_seconds(), 3),
        **backup.facts,
    )
    return backup
