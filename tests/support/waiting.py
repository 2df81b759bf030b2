"""Waiting for what another process does, where there is no event to wait for."""

import time
from collections.abc import Callable


def eventually(condition: Callable[[], object], seconds: float = 20) -> bool:
    """Ask again and again until it is true, for so many seconds."""
    deadline = time.monotonic() + seconds
    while not (happened := bool(condition())) and time.monotonic() < deadline:
        time.sleep(0.02)
    return happened
