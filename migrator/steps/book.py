"""Book: what this run does goes into the ledger, from its beginning to its end, however it ends."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

from migrator.account import Account
from migrator.clock import STOPS, utc_now
from migrator.errors import ExitCode, MigratorError
from migrator.history.attempt import Attempt
from migrator.history.circumstances import circumstances
from migrator.history.reader import source_digest
from migrator.ledger import Ledger, RunEnd, RunStart
from migrator.model import VersionTable
from migrator.steps.keep import record_lineage, record_version_tables, tell_unproven, written
from migrator.steps.leadership import Leadership
from migrator.steps.progress import Progress


@dataclass
class Entry:
    """What the body of a booked run learns for the book: each attempt, which fills while it lasts.

    `run_id` is under what the ledger has it; None where there is no ledger.
    """

    run_id: str | None = None
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def tables(self) -> tuple[VersionTable, ...]:
        """The version tables that were really used; empty while nobody told."""
        return next((one.tables for one in reversed(self.attempts) if one.tables), ())

    @property
    def left_unvalidated(self) -> frozenset[str | None]:
        """Tables for which a statement of a revision said NOT VALID; None is any table."""
        return frozenset(name for one in self.attempts for name in one.left_unvalidated)

    @property
    def half_applied(self) -> tuple[str, ...]:
        """Revisions of which a part was committed, by whatever attempt."""
        return tuple(sorted({id_ for one in self.attempts for id_ in one.half_applied}))

    def all_tables(self, known: tuple[VersionTable, ...], *, is_whole: bool) -> tuple[VersionTable, ...]:
        """All that this history is known to use; empty where an attempt that failed may not have told all.

        A tenant whose table is forgotten would pass for migrated.
        """
        if is_whole:
            return self.tables
        found = {one.name for one in self.tables}
        others = [one for one in known if one.schema is not None or one.name not in found]
        return tuple(dict.fromkeys((*others, *self.tables))) if known else ()


@contextmanager
def booked(leadership: Leadership, account: Account, *, remembers: bool = True) -> Iterator[Entry]:
    """Record that this run is about to change something, how far it is, and how it ended.

    `remembers`: a failure is to be remembered as that of the deploy.
    """
    entry = Entry()
    begin = partial(_begin, leadership=leadership, account=account, remembers=remembers)
    if not written(leadership.desk, begin):
        yield entry
        return
    entry.run_id = leadership.desk.run_id
    try:
        with Progress(leadership.desk, entry.attempts, leadership.release.graph.revisions):
            yield entry
    except MigratorError as failure:
        error = failure
        with suppress(*STOPS):  # what happened first is what counts
            written(leadership.desk, lambda ledger: _end(ledger, leadership, account, entry, error))
        raise
    written(leadership.desk, lambda ledger: _end(ledger, leadership, account, entry, None))


def _begin(ledger: Ledger, leadership: Leadership, account: Account, *, remembers: bool) -> None:
    desk, release, state = leadership.desk, leadership.release, leadership.sight.state
    heads = state.heads if state else ()
    digest = source_digest(release.graph.revisions)
    tell_unproven(ledger, desk, heads)
    ledger.begin(
        RunStart(
            id=desk.run_id,
            app=desk.settings.app,
            release=desk.settings.release,
            release_digest=digest,
            heads_before=heads,
            circumstances=circumstances(release, desk.settings, digest) if remembers else None,
            began_empty=leadership.is_empty,
            backup_location=account.backup.location if account.backup else None,
            backup_sha256=account.backup.sha256 if account.backup else None,
        )
    )


def _end(
    ledger: Ledger, leadership: Leadership, account: Account, entry: Entry, error: MigratorError | None
) -> None:
    desk, code, now = leadership.desk, error.exit_code if error else ExitCode.OK, utc_now()
    release, heads = leadership.release, account.heads_after or ()
    applied = {id_: account.applied_at.get(id_, now) for id_ in account.applied}
    tables = entry.all_tables(leadership.sight.tables, is_whole=error is None)
    record_version_tables(ledger, release, tables, heads)
    record_lineage(ledger, release, heads, run_id=desk.run_id, applied=applied)
    if error is None:
        ledger.settle(release.graph.ancestors(heads))
    ledger.end(
        desk.run_id,
        RunEnd(
            outcome=code.name.lower(),
            exit_code=int(code),
            heads_after=heads,
            backup_location=account.backup.location if account.backup else None,
            backup_sha256=account.backup.sha256 if account.backup else None,
            error=desk.redact(error.message) if error else None,
            remedy=desk.redact(error.remedy) if error else None,
            half_applied=entry.half_applied,
        ),
    )
