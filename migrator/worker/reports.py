"""The reports: what the runner is told, a line of JSON each."""

from __future__ import annotations

import json
import os
import threading
from typing import Any


class Reports:
    """Writes what happens to the runner; threads of the user's code may be about."""

    def __init__(self, descriptor: int) -> None:
        """Write to this file descriptor."""
        self._descriptor: int | None = descriptor
        self._lock = threading.Lock()

    def __call__(self, kind: str, **facts: Any) -> None:
        """Report one fact, whole."""
        descriptor = self._descriptor
        if descriptor is None:
            return
        line = json.dumps(dict({"is": kind}, **facts), default=str).encode() + b"\n"
        with self._lock:
            while line:
                line = line[os.write(descriptor, line) :]

    def leave(self) -> None:
        """Say nothing any more, and let go of the pipe: this is a forked child."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
