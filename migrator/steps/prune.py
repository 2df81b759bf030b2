"""Prune: after a success, delete the backups that nobody needs any more."""

from migrator.account import Account
from migrator.backup.retention import Policy, superfluous
from migrator.backup.shelf import remove_backup, take_stock_of
from migrator.clock import STOPS
from migrator.errors import MigratorError
from migrator.ledger.runs import failed_runs
from migrator.postgres.catalog import database_identity
from migrator.steps.keep import asked
from migrator.steps.leadership import Leadership
from migrator.steps.shelving import store_of

_MEGA = 1_000_000


def prune(leadership: Leadership, account: Account) -> None:
    """Delete them, telling each; what stands in the way is only a warning."""
    desk, settings = leadership.desk, leadership.desk.settings
    if settings.backup_url is None or settings.backup_command:
        return
    try:
        with desk.connector.reopen("the database's name") as session:
            identity = database_identity(session)
        failed = asked(desk, failed_runs) or frozenset()
        in_use = account.backup.location.rpartition("/")[2] if account.backup else ""
        policy = Policy(settings.backup_keep, identity, failed - {desk.run_id}, in_use)
        store = store_of(desk, account.database)
        for one in superfluous(take_stock_of(store).manifests, policy):
            remove_backup(store, one)
            desk.events.record(
                "backup.pruned",
                f"old backup removed: {store.location(one.file)} ({one.size_bytes / _MEGA:.1f} MB)",
                location=store.location(one.file),
                size_bytes=one.size_bytes,
                finished=f"{one.finished:%Y-%m-%dT%H:%M:%SZ}",
                heads=list(one.heads),
            )
    except STOPS:
        raise
    except MigratorError as error:
        desk.events.record(
            "hazard.found",
            f"old backups could not be removed: {error.message}",
            level="warning",
            remedy="see that the role or key may list and delete there, or let the bucket's own rules do it",
        )
