"""Book: keep the ledger. Losing an entry is a warning; the migration matters more than its record."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from migrator.account import Account
from migrator.clock import STOPS, utc_now
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
            with suppress(*STOPS):  # what happened first is what counts
                _end(leadership, account, entry, error)
        raise
    if begun:
        _end(leadership, account, entry, None)


def remember(leadership: Leadership, account: Account) -> None:
    """Record version tables and lineage that were found, so that the next run need not execute `env.py`."""
    tables = tuple(one.table for one in leadership.sight.rows if one.exists)
    _write(leadership, lambda ledger: _record(ledger, leadership, account, tables))


def _write(leadership: Leadership, write: Callable[[Ledger], None]) -> bool:
    """Write to the ledger, unless it is off; a failure is told, not raised. Whether it was written."""
    desk = leadership.desk
    if not desk.settings.ledger:
        return False
    try:
        with desk.connector.reopen("the ledger") as session:
            write(Ledger.open(session))
    except STOPS:
        raise
    except MigratorError as error:
        desk.events.record(
            "hazard.found",
            f"the ledger could not be written: {error.message}",
            level="warning",
            remedy="GRANT CREATE ON DATABASE to the role that migrates, or set MIGRATOR_LEDGER=off",
        )
        return False
    return True


def _begin(leadership: Leadership) -> bool:
    desk, state = leadership.desk, leadership.sight.state
    start = RunStart(
        id=desk.run_id,
        app=desk.settings.app,
        release=desk.settings.release,
        release_digest=source_digest(leadership.release.graph.revisions),
        started=utc_now(),
        heads_before=state.heads if state else (),
    )
    return _write(leadership, lambda ledger: ledger.begin(start))


def _end(leadership: Leadership, account: Account, entry: Entry, error: MigratorError | None) -> None:
    code = error.exit_code if error else ExitCode.OK
    end = RunEnd(
        outcome=code.name.lower(),
        exit_code=int(code),
        heads_after=account.heads_after or (),
        backup_location=account.backup.location if account.backup else None,
        backup_sha256=account.backup.sha256 if account.backup else None,
        error=leadership.desk.redact(error.message) if error else None,
    )

    def write(ledger: Ledger) -> None:
        _record(ledger, leadership, account, entry.tables)
        ledger.end(leadership.desk.run_id, end)

    _write(leadership, write)


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
