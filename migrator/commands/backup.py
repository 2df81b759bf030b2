"""`migrator backup`: take a proven backup now, whatever is pending."""

import gc

from migrator.account import Account
from migrator.errors import MigratorError
from migrator.model import Outcome
from migrator.steps.back_up import take_backup
from migrator.steps.begin import load, wait_for_postgres
from migrator.steps.desk import Desk
from migrator.steps.lead import lead_anyway, take_stock
from migrator.steps.prune import prune


def backup(desk: Desk, account: Account) -> Outcome:
    """Take one under the leader lock: beside a migration it would be of a moment that nobody can name."""
    gc.enable()  # it may take long
    try:
        _back_up(desk, account)
    except MigratorError as error:
        return account.failed(error)
    return account.concluded(f"backup taken: {account.backup}")


def _back_up(desk: Desk, account: Account) -> None:
    with account.phase("load"):
        release = load(desk)
    with account.phase("wait"):
        session = wait_for_postgres(desk)
    account.reached(session.database)
    with account.phase("state"), session:
        desk = desk.at(session)
    with account.phase("lock"):
        lock = lead_anyway(desk, account)
    try:
        with account.phase("state"):
            leadership = take_stock(desk, account, lock, release)
        state = leadership.sight.state
        if state is None:
            desk.events.record(
                "hazard.found",
                "only env.py knows the version tables, and no run has recorded them: the backup will not say "
                "at which version it is",
                level="warning",
                remedy="set MIGRATOR_VERSION_TABLE",
            )
        with account.phase("backup"):
            take_backup(leadership, account, state)
        with account.phase("prune"):
            prune(leadership, account)
    finally:
        lock.release()
