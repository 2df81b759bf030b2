"""Everything that forbids a backup, found out in seconds and before anything is written."""

from collections.abc import Sequence

from migrator.backup.estimate import Estimate, estimated
from migrator.backup.moment import Moment
from migrator.backup.patterns import idle_patterns
from migrator.backup.readable import refuse_unreadable
from migrator.backup.scope import Scope
from migrator.backup.shelf import take_stock_of
from migrator.backup.stores import Store
from migrator.errors import DatabaseUnavailable, PolicyRefused
from migrator.postgres.session import Session
from migrator.telemetry.events import Events


def refuse_too_large(moment: Moment, most_bytes: int | None) -> None:
    """Raise `PolicyRefused` for a database above `MIGRATOR_BACKUP_MAX_SIZE`."""
    if most_bytes is not None and moment.database_size_bytes > most_bytes:
        raise PolicyRefused(
            f"the database has {moment.database_size_bytes} bytes, which is above MIGRATOR_BACKUP_MAX_SIZE "
            f"({most_bytes})",
            remedy="let MIGRATOR_BACKUP_COMMAND take a snapshot instead, or raise the limit",
        )


def refuse_unready(session: Session, scope: Scope, store: Store, events: Events) -> None:
    """Raise `PolicyRefused` where a dump in this session's snapshot would not hold everything, or not fit."""
    refuse_unreadable(session, scope.missing)
    expected = expected_size(session, scope, store)
    try:
        store.refuse_unusable(expected.most_bytes)
    except PolicyRefused as refusal:
        store.refuse_unusable(expected.least_bytes)
        events.record("hazard.found", f"the backup may not fit: {refusal.message}", level="warning")


def expected_size(session: Session, scope: Scope, store: Store) -> Estimate:
    """How large the backup may become, by those in the store, else by the tables."""
    alike = [one for one in take_stock_of(store).manifests if one.missing == scope.missing]
    return estimated(_table_bytes(session, scope), scope.moment.database_size_bytes, alike)


def tell_idle_patterns(moment: Moment, patterns: Sequence[str], events: Events) -> None:
    """Say which patterns leave nothing out: their tables were renamed, or never called so."""
    for pattern in idle_patterns(moment.tables, patterns):
        events.record(
            "hazard.found",
            f"MIGRATOR_BACKUP_EXCLUDE_DATA names {pattern}, and no table is called so",
            level="warning",
            pattern=pattern,
        )


def _table_bytes(session: Session, scope: Scope) -> int:
    """What the tables that are dumped, and large objects, take on the server's disk, without indexes.

    To measure a table Postgres locks it: where somebody holds one, the whole database is the measure.
    """
    session.rows("SAVEPOINT sizes; SET LOCAL lock_timeout = '200ms'")
    try:
        return int(
            session.value(
                "SELECT coalesce(sum(pg_table_size(to_regclass(one))), 0) "
                "FROM unnest(%s::text[] || 'pg_catalog.pg_largeobject'::text) one",
                [[one.shown for one in scope.dumped]],
            )
        )
    except DatabaseUnavailable:
        return scope.moment.database_size_bytes
    finally:
        session.rows("ROLLBACK TO sizes; RELEASE sizes")
