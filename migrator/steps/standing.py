"""Standing: a refusal counts once it has stood for some seconds, since much of what refuses passes."""

from migrator.clock import Clock
from migrator.errors import AccessDenied, MigratorError

# Operators create roles and grant privileges moments after the server is up.
_ACCESS_SECONDS = 15.0
# A restore, or a run whose leader was just lost, is past such a state by then.
_STATE_SECONDS = 5.0


class Standing:
    """The refusal that stands now, and since when."""

    def __init__(self, clock: Clock) -> None:
        """Nothing stands in the way yet."""
        self._clock = clock
        self._since = 0.0
        self.refusal: MigratorError | None = None

    def consider(self, refusal: MigratorError | None) -> bool:
        """Note what this look was refused for, if anything; whether that counts by now."""
        before, self.refusal = self.refusal, refusal
        if refusal is None:
            return False
        now = self._clock.monotonic()
        if before is None or before.exit_code is not refusal.exit_code:
            self._since = now
        limit = _ACCESS_SECONDS if isinstance(refusal, AccessDenied) else _STATE_SECONDS
        return now - self._since >= limit
