"""`migrator wait`: wait until Postgres answers as a writable primary."""

from migrator.account import Account
from migrator.errors import MigratorError
from migrator.model import Outcome
from migrator.steps.begin import wait_for_postgres
from migrator.steps.desk import Desk


def wait(desk: Desk, account: Account) -> Outcome:
    """Wait; nothing is read but the server's readiness."""
    try:
        with account.phase("wait"):
            session = wait_for_postgres(desk)
        account.reached(session.database)
        session.close()
    except MigratorError as error:
        return account.failed(error)
    return account.concluded("Postgres is ready")
