"""Stamp: write the version rows of what is there, and see that they are."""

from migrator.account import Account
from migrator.errors import VerificationFailed
from migrator.model import VersionTable
from migrator.postgres.catalog import read_version_rows
from migrator.steps.leadership import Leadership
from migrator.steps.prove import Candidate
from migrator.steps.switched import switch_told_apart


def stamp(leadership: Leadership, account: Account, candidate: Candidate) -> tuple[VersionTable, ...]:
    """Have Alembic stamp it, through the project's own `env.py`; return where the row now is.

    Raises `VerificationFailed` when a fresh connection does not see it, and whatever a worker's end means.
    """
    with account.phase("stamp"):
        with switch_told_apart(leadership.desk):
            tables = leadership.upgrader.stamp(candidate.heads).tables
        with leadership.desk.connector.reopen("the version table") as session:
            rows = read_version_rows(session, tables)
    seen = {row for table in rows for row in table.rows}
    if seen != set(candidate.heads):
        raise VerificationFailed(
            f"revision {candidate} was stamped, yet a fresh connection sees "
            f"{', '.join(sorted(seen)) or 'no version'}",
            remedy="see what else changes the version table: `migrator status` shows it",
        )
    account.heads_after = candidate.heads
    return tables
