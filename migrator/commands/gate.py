"""`migrator gate`: wait until the database has what this release needs; for app pods' init containers."""

import gc

from migrator.account import Account
from migrator.errors import MigratorError
from migrator.model import Outcome
from migrator.steps.begin import load
from migrator.steps.desk import Desk
from migrator.steps.watch import watch


def gate(desk: Desk, account: Account) -> Outcome:
    """Wait; the outcome opens the gate or says why it stays shut."""
    try:
        with account.phase("load"):
            release = load(desk)
        gc.enable()  # from here on it may take long
        gc.freeze()  # and what was imported stays
        with account.phase("wait"):
            watch(desk, account, release)
    except MigratorError as error:
        return account.failed(error)
    return account.opened()
