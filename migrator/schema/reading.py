"""A snapshot of the schema through a session of ours; the worker takes its own with the same texts."""

from migrator.postgres.session import Session
from migrator.schema.queries import QUERIES, SETUP
from migrator.schema.snapshot import Snapshot


def read_snapshot(session: Session) -> Snapshot:
    """Read the catalogs in one read-only transaction, which is over afterwards, whatever happened.

    Raises `DatabaseUnavailable` if somebody holds a table: to print a view, Postgres locks what it reads.
    """
    session.rows("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        return _read(session)
    finally:
        session.rows("ROLLBACK")


def read_snapshot_within(session: Session) -> Snapshot:
    """The same in the transaction that is open, which stays as it was; raises likewise."""
    session.rows("SAVEPOINT schema_snapshot")
    try:
        return _read(session)
    finally:  # it also undoes the settings
        session.rows("ROLLBACK TO schema_snapshot; RELEASE schema_snapshot")


def _read(session: Session) -> Snapshot:
    for setting in (*SETUP, "SET LOCAL lock_timeout = '2s'"):
        session.rows(setting)
    return Snapshot.of(row for query in QUERIES for row in session.rows(query.sql))
