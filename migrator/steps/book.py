"""Book: keep the ledger. Losing an entry is a warning; the migration matters more than its record."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from migrator.account import Account
from migrator.clock import utc_now
from migrator.errors import ExitCode, MigratorError
from migrator.history.reader import source_digest
from migrator.ledger import Ledger, RunEnd, RunStart
from migrator.model import VersionTable
from migrator.steps.leadership import Leadership


@dataclass
class Entry:
    """What the body of a booked run learns for the book: the version tables that were really used."""

    tables: tuple[VersionTable, ...] = ()


@contextmanager
def booked(leadership: Leadership, account: Account) -> Iterator[Entry]:
    """Record that this run is about to change something and, however the body ends, how it ended."""
    entry = Entry()
    begun = _begin(leadership)
    try:
        yield entry
    except MigratorError as error:
        if begun:
            _end(leadership, account, entry, error)
        raise
    if begun:
        _end(leadership, account, entry, None)


def remember(leadership: Leadership, account: Account) -> None:
    """Record version tables and lineage that were found, so that the next run need not execute `env.py`."""
    with _open(leadership) as ledger:
        if ledger is not None:
            _record(ledger, leadership, account, tuple(one.table for one in leadership.sight.rows if one.exists))


@contextmanager
def _open(leadership: Leadership) -> Iterator[Ledger | None]:
    """The ledger, or None where it is off or cannot be; what fails inside is told, not raised."""
    desk = leadership.desk
    if not desk.settings.ledger:
        yield None
        return
    try:
        with desk.connector.reopen("the ledger") as session:
            yield Ledger.open(session)
    except MigratorError as error:
        desk.events.record(
            "hazard.found",
            f"the ledger could not be written: {error.message}",
            level="warning",
            remedy="GRANT CREATE ON DATABASE to the role that migrates, or set MIGRATOR_LEDGER=off",
        )


def _begin(leadership: Leadership) -> bool:
    desk, state = leadership.desk, leadership.sight.state
    with _open(leadership) as ledger:
        if ledger is None:
            return False
        ledger.begin(
            RunStart(
                id=desk.run_id,
                app=desk.settings.app,
                release=desk.settings.release,
                release_digest=source_digest(leadership.release.graph.revisions),
                started=utc_now(),
                heads_before=state.heads if state else (),
            )
        )
        return True
    return False


def _end(leadership: Leadership, account: Account, entry: Entry, error: MigratorError | None) -> None:
    code = error.exit_code if error else ExitCode.OK
    with _open(leadership) as ledger:
        if ledger is None:
            return
        _record(ledger, leadership, account, entry.tables)
        ledger.end(
            leadership.desk.run_id,
            RunEnd(
                outcome=code.name.lower(),
                exit_code=int(code),
                heads_after=account.heads_after or (),
                backup_location=account.backup.location if account.backup else None,
                backup_sha256=account.backup.sha256 if account.backup else None,
                error=leadership.desk.redact(error.message) if error else None,
            ),
        )


def _record(
    ledger: Ledger, leadership: Leadership, account: Account, tables: tuple[VersionTable, ...]
) -> None:
    graph, now = leadership.release.graph, utc_now()
    there = graph.ancestors(account.heads_after or ())
    ledger.record_version_tables(leadership.release.history, tables)
    ledger.record_revisions(
        {id_: graph.parents.get(id_, ()) for id_ in there},
        run_id=leadership.desk.run_id,
        applied={id_: account.applied_at.get(id_, now) for id_ in account.applied},
    )
