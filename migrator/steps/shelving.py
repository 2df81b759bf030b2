"""Where the backups of a desk's database are."""

from collections.abc import Callable

from migrator.backup.lasting import Surroundings
from migrator.backup.stores import Store, open_store
from migrator.steps.desk import Desk


def store_of(desk: Desk, database: str, while_waiting: Callable[[], None] | None = None) -> Store:
    """The store that `MIGRATOR_BACKUP_URL` names; `while_waiting` is called while the network is waited for.

    Raises `PolicyRefused` where it cannot be used.
    """
    url = desk.settings.backup_url
    assert url is not None  # noqa: S101 - settings were refused without it
    return open_store(
        url,
        database,
        Surroundings(desk.environ),
        while_waiting=while_waiting or desk.stop.check,
        warn=lambda message: desk.events.record("hazard.found", message, level="warning"),
    )
