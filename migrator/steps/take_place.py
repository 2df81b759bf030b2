"""Take place: the restored database becomes the target, and the old one is kept beside it."""

from dataclasses import dataclass

from migrator.account import Account
from migrator.clock import utc_now
from migrator.postgres.catalog import quoted
from migrator.postgres.databases import name_beside
from migrator.postgres.standing import carry_over
from migrator.postgres.swap import Swap, Swapping
from migrator.steps.restoration import Restoration


@dataclass(frozen=True, slots=True)
class Aside:
    """The database that was the target, under its new name."""

    name: str
    not_carried_over: tuple[str, ...]

    @property
    def drop_statement(self) -> str:
        """How it goes for good."""
        return f"DROP DATABASE {quoted(self.name)}"


def take_place(restoration: Restoration, account: Account, *, disconnects: bool) -> Aside:
    """Give the new database what stands outside of it, then swap the names.

    Raises `RecoveryFailed`; nothing was swapped then.
    """
    assert restoration.lock is not None  # noqa: S101 - nobody swaps without it
    restoration.lock.prove()
    aside = name_beside(restoration.target, "before", f"{utc_now():%Y%m%d%H%M%S}")
    names = Swap(restoration.target, restoration.name, aside)
    swapping = Swapping(restoration.server, names, restoration.lock, disconnects=disconnects)
    with account.phase("swap"), restoration.acting() as session:
        lost = carry_over(session, restoration.standing, restoration.name)
        for one in lost:
            restoration.desk.events.record(
                "hazard.found",
                f"the role may not carry this over to the restored database: {one} (with its value)",
                level="warning",
            )
        swapping.perform(session)
    found = Aside(aside, lost)
    restoration.desk.events.record(
        "database.swapped",
        f"{restoration.target} is the restored database; what it was is now {aside}",
        database=restoration.target,
        aside=aside,
        drop=found.drop_statement,
    )
    return found
