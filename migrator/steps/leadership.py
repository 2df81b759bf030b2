"""What the leader knows, handed from step to step."""

from dataclasses import dataclass, replace
from typing import Self

from migrator.history.release import Release
from migrator.history.sight import Sight
from migrator.history.upgrade import Upgrader
from migrator.postgres.catalog import InvalidIndex
from migrator.postgres.leader import LeaderLock
from migrator.postgres.unvalidated import UnvalidatedConstraint
from migrator.steps.desk import Desk


@dataclass(frozen=True, slots=True)
class Leadership:
    """What the leader knows before it changes anything. The desk is bound to the server that was reached."""

    desk: Desk
    lock: LeaderLock
    release: Release
    upgrader: Upgrader
    sight: Sight
    is_empty: bool
    invalid: frozenset[InvalidIndex]
    unvalidated: frozenset[UnvalidatedConstraint]
    server_version: int  # as 160014

    def at(self, sight: Sight) -> Self:
        """The same after another look."""
        return replace(self, sight=sight)
