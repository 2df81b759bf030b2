"""How large a backup may become, told before it is taken."""

from collections.abc import Sequence
from dataclasses import dataclass

from migrator.backup.manifest import Manifest

# Of rows and TOAST. Text and numbers were measured at a third, pictures and bloat lie on either side: below
# the first no archive is likely to come out, above the second none. A refusal that was wrong would hold up
# every deploy, a dump that was tried in vain costs a disk its room for some minutes.
_LEAST, _MOST = 0.1, 1.0
# Of what the last one of the same database would have become at today's size.
_LEAST_AGAIN, _MOST_AGAIN = 0.5, 1.3


@dataclass(frozen=True, slots=True)
class Estimate:
    """Where there is less room than `least_bytes` a dump is not tried; less than `most_bytes` is a hazard."""

    least_bytes: int
    most_bytes: int


def estimated(table_bytes: int, database_bytes: int, earlier: Sequence[Manifest]) -> Estimate:
    """From the newest of the earlier backups that left out the same, else from the size of the tables."""
    if earlier and (last := earlier[-1]).database_size_bytes:
        again = last.size_bytes * database_bytes / last.database_size_bytes
        return Estimate(round(again * _LEAST_AGAIN), round(again * _MOST_AGAIN))
    return Estimate(round(table_bytes * _LEAST), round(table_bytes * _MOST))
