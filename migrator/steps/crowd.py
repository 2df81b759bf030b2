"""A crowd: how long one of many steps back, so that together they leave the server its connections."""

import random
from pathlib import Path

from migrator.clock import Clock

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.3, 1.75
_CROWDED_PAUSE_SECONDS, _SHARE_OF_TIME = 30.0, 20
_CROWDED_SECONDS = 0.5
_LATE_SECONDS, _MOST_REPRIEVES = 0.04, 8


def pause_seconds(number: int, *, looked_seconds: float) -> float:
    """How long to rest after the look of this number: less than 2 s, unless looks are slow.

    Whoever looks is connected for about a fifteenth of the time at most, so two hundred hold some ten
    connections. Where looks are quick, chance takes off little: all are to see a commit within 2 s, and every
    look costs the server a connection. Where they are slow, many came at once, and are spread wide.
    """
    usual = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 1.5 ** min(number - 1, 12))
    crowded = min(_CROWDED_PAUSE_SECONDS, _SHARE_OF_TIME * looked_seconds)
    return max(usual * random.uniform(0.85, 1.0), crowded * random.uniform(0.5, 1.0))  # noqa: S311 - hides nothing


def rest(clock: Clock, seconds: float) -> None:
    """Sleep so long, and longer where the machine has no core to spare when that is over.

    Those who were all kept waiting for a core would else connect together once there is one. Nobody holds a
    connection meanwhile, and nobody waits for ever.
    """
    late = _slept_late(clock, seconds)
    for _ in range(_MOST_REPRIEVES):
        if late < _LATE_SECONDS:
            return
        late = _slept_late(clock, random.uniform(0.05, 0.4))  # noqa: S311 - as above


def _slept_late(clock: Clock, seconds: float) -> float:
    due = clock.monotonic() + seconds
    clock.sleep(seconds)
    return clock.monotonic() - due


def spread_seconds() -> float:
    """How long to step back where many processes start at once: at most as long as we had to wait for a core.

    A node that starts a hundred pods lets them reach this point together; then every connection lasts long,
    for the same want of a core. On a machine with a core to spare this is nothing.
    Source: Linux, sched-stats.rst: the second number is nanoseconds spent on a run queue.
    """
    try:
        waited = int(Path("/proc/self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0
    return random.uniform(0.0, waited) if waited >= _CROWDED_SECONDS else 0.0  # noqa: S311 - hides nothing
