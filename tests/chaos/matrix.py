"""Which cells there are: all that can be, or the fixed subset of `make chaos`."""

import os
import secrets
from typing import Final

from tests.chaos.faults import FAULTS, Fault
from tests.chaos.points import POINTS, Point

# Kept in the environment: the processes that pytest-xdist starts inherit it.
SEED: Final = os.environ.setdefault("CHAOS_SEED", str(secrets.randbelow(1_000_000)))
IS_LONG: Final = os.environ.get("CHAOS", "short") == "long"
ROUNDS: Final = int(os.environ.get("CHAOS_ROUNDS", "1"))
# A silent network takes a minute and a half of waiting for each: these stand for all.
_SILENT_IN_SHORT: Final = frozenset({"waiting for Postgres", "lock held", "mid-dump", "mid-revision"})


def possible() -> tuple[tuple[Point, Fault], ...]:
    """Every cell that can be."""
    return tuple(
        (point, fault) for point in POINTS for fault in FAULTS if not isinstance(fault.codes(point), str)
    )


def impossible() -> tuple[tuple[Point, Fault, str], ...]:
    """Every other cell, with its reason."""
    return tuple(
        (point, fault, why)
        for point in POINTS
        for fault in FAULTS
        if isinstance(why := fault.codes(point), str)
    )


def short() -> tuple[tuple[Point, Fault], ...]:
    """The fixed subset: every point and every fault, without most of the silence."""
    return tuple(
        (point, fault)
        for point, fault in possible()
        if fault.name != "network silent" or point.name in _SILENT_IN_SHORT
    )
