"""Migrate: learn what `env.py` configures, upgrade, and account for what was committed, whatever happened."""

from migrator.account import Account
from migrator.errors import Blocked, MigratorError
from migrator.history.attempt import Attempt
from migrator.history.failure import READ_ONLY
from migrator.model import RevisionId, VersionTable
from migrator.postgres.catalog import invalid_indexes, read_version_rows
from migrator.steps.leadership import Leadership
from migrator.steps.switched import switch_told_apart

# So many revisions are named in a sentence; the event's fields have all of them.
_NAMED = 10


def discover(leadership: Leadership) -> tuple[VersionTable, ...] | None:
    """The version tables `env.py` configures; None when user code insists on writing, after a backup."""
    try:
        return leadership.upgrader.discover_reading().tables
    except MigratorError as error:
        if error.facts.get("sqlstate") == READ_ONLY:
            return None
        raise


def discover_writing(leadership: Leadership) -> tuple[VersionTable, ...]:
    """The same, allowed to write."""
    with switch_told_apart(leadership.desk):
        return leadership.upgrader.discover_writing().tables


def migrate(
    leadership: Leadership, account: Account, attempts: list[Attempt], *, ledger_run: str | None
) -> tuple[VersionTable, ...]:
    """Upgrade to the target; return the version tables that were really used.

    Each attempt is added to the list before it runs. Whatever it raises says what is committed and what was
    rolled back. `ledger_run` is this run's id where the ledger has it.
    """
    settings = leadership.desk.settings
    try:
        with switch_told_apart(leadership.desk):
            attempt = leadership.upgrader.upgrade(
                settings.lock_timeout,
                settings.lock_patience,
                wanted=leadership.release.graph.ancestors(leadership.release.targets),
                ledger_run=ledger_run,
                begun=attempts.append,
            )
    except MigratorError as error:
        account.blocked_attempts = len(attempts) if isinstance(error, Blocked) else max(len(attempts) - 1, 0)
        _account_for_failure(leadership, account, attempts, error)
        if ledger_run is not None and (half := error.facts.get("half_applied")):
            told = f"`migrator status` shows what is committed of {_listed(half)}"
            error.remedy = f"{told}, and the next run says what to do about it; {error.remedy}"
        raise
    finally:
        for one in attempts:
            account.applied_at |= one.committed
    account.blocked_attempts = len(attempts) - 1
    return attempt.tables or leadership.sight.tables


def _account_for_failure(
    leadership: Leadership, account: Account, attempts: list[Attempt], error: MigratorError
) -> None:
    """Look what is there now: the worker may have died between a commit and its report."""
    committed = {id_ for attempt in attempts for id_ in attempt.committed}
    tables = next((one.tables for one in reversed(attempts) if one.tables), leadership.sight.tables)
    try:
        with leadership.desk.connector.reopen("a look at what was committed") as session:
            rows = read_version_rows(session, tables)
            leftovers = invalid_indexes(session) - leadership.invalid
    except MigratorError:
        account.applied = tuple(sorted(committed))
        error.message += f"; committed, as far as the worker said: {_listed(account.applied)}"
        return
    account.heads_after = tuple(sorted({row for table in rows for row in table.rows}))
    account.applied = leadership.release.graph.between(account.heads_before or (), account.heads_after)
    started = dict.fromkeys(RevisionId(id_) for attempt in attempts for id_ in attempt.started)
    rolled_back = [id_ for id_ in started if id_ not in account.applied]
    half = sorted({id_ for attempt in attempts for id_ in attempt.half_applied} - set(account.applied))
    error.message += f"; committed: {_listed(account.applied)}; rolled back: {_listed(rolled_back)}"
    error.facts |= {"committed": list(account.applied), "rolled_back": rolled_back, "half_applied": half}
    if half:
        error.message += f"; of {_listed(half)} a part was committed outside the transaction and stays"
    if leftovers:
        error.message += f"; left INVALID: {', '.join(map(str, sorted(leftovers)))}"
        error.remedy = f"{'; '.join(one.drop_statement for one in sorted(leftovers))}; {error.remedy}"
        error.facts["invalid_indexes"] = [str(one) for one in sorted(leftovers)]


def _listed(ids: list[RevisionId] | list[str] | tuple[RevisionId, ...]) -> str:
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return ", ".join(ids[:_NAMED]) + more or "nothing"
