"""Take back: downgrade under the leader lock, and see on a fresh connection that it is done."""

from migrator.account import Account
from migrator.errors import InterruptedMidway, MigrationFailed, MigratorError, VerificationFailed
from migrator.history.attempt import Attempt
from migrator.history.sight import judge, look
from migrator.history.way_back import WayBack
from migrator.model import RevisionId, VersionRows, VersionTable
from migrator.postgres.catalog import read_version_rows
from migrator.steps.leadership import Leadership


def take_back(leadership: Leadership, account: Account, way: WayBack, attempts: list[Attempt]) -> None:
    """Run the downgrades. Whatever it raises says what is taken back for good, and what stays."""
    settings = leadership.desk.settings
    try:
        leadership.upgrader.take_back(
            way, settings.lock_timeout, settings.lock_patience, begun=attempts.append
        )
    except MigratorError as error:
        _account_for_failure(leadership, account, way, attempts, error)
        raise
    finally:
        account.blocked_attempts = max(len(attempts) - 1, 0)


def verify_taken_back(leadership: Leadership, account: Account, way: WayBack) -> None:
    """Raise `VerificationFailed` unless every version table is where the way back leads."""
    desk, release = leadership.desk, leadership.release
    before = {one.table: one.rows for one in leadership.sight.rows}
    with desk.connector.reopen("the result") as session:
        if not session.value(leadership.lock.look_sql):
            raise InterruptedMidway("the leader lock was lost before the result could be verified")
        seen = look(session, release, tuple(before))
    account.heads_after = tuple(sorted({row for one in seen.rows for row in one.rows}))
    wrong = [one for one in seen.rows if one.rows != way.left_of(before.get(one.table, ()), release.graph)]
    if wrong:
        raise VerificationFailed(
            f"every downgrade ran, yet a fresh connection sees {_shown(wrong)}, not {way.target}",
            remedy="compare the version table with what the events say; nothing may start before it is right",
        )
    heads = ", ".join(account.heads_after) or "no revision"
    account.state = judge(seen, release).state
    desk.events.record("schema.verified", f"a fresh connection sees {heads}", heads=list(account.heads_after))


def _shown(wrong: list[VersionRows]) -> str:
    return "; ".join(f"{', '.join(sorted(one.rows)) or 'no version'} in {one.table}" for one in wrong)


def _account_for_failure(
    leadership: Leadership, account: Account, way: WayBack, attempts: list[Attempt], error: MigratorError
) -> None:
    """Look what is there now: the worker may have died between a commit and its report."""
    tables: tuple[VersionTable, ...] = tuple(one.table for one in leadership.sight.rows)
    try:
        with leadership.desk.connector.reopen("a look at what was taken back") as session:
            rows = read_version_rows(session, tables)
    except MigratorError:
        reported = sorted({id_ for attempt in attempts for id_ in attempt.committed})
        error.message += f"; taken back, as far as the worker said: {_listed(reported)}"
        return
    account.heads_after = tuple(sorted({row for table in rows for row in table.rows}))
    there = leadership.release.graph.ancestors(account.heads_after)
    gone = [one.id for one in way.revisions if one.id not in there]
    half = sorted({id_ for attempt in attempts for id_ in attempt.half_applied} - set(gone))
    heads = ", ".join(account.heads_after) or "no revision"
    error.message += f"; taken back: {_listed(gone)}; the database is at {heads}"
    error.facts |= {"taken_back": gone, "half_applied": half}
    backup = f"`migrator restore {account.backup.location}`" if account.backup else "a backup of before"
    if half:
        error.message += f"; of {_listed(half)} a part was committed outside the transaction and stays"
        error.remedy = f"{backup} goes back to what was there before: a run would find nothing to do"
    elif isinstance(error, MigrationFailed):
        error.remedy = f"correct the downgrade or the data it met, then roll back again; {backup} goes back"


def _listed(ids: list[RevisionId] | list[str]) -> str:
    return ", ".join(ids) or "nothing"
