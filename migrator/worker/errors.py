"""Why user code may not go on; both are raised inside it, from below SQLAlchemy."""

from __future__ import annotations


class Refused(Exception):
    """A session may not migrate: it is not fenced in, or somebody else leads."""

    def __init__(self, why: str, message: str) -> None:
        """Say why in one word for the runner, and in a sentence."""
        super().__init__(message)
        self.why = why


class Stopped(Exception):
    """The runner told us to stop."""
