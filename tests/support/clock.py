"""Time that passes when somebody sleeps, and only then."""

from collections.abc import Callable


class HandClock:
    """A clock for whoever waits: a sleep takes no time, and lets the next thing happen meanwhile."""

    def __init__(self, *meanwhile: Callable[[], object]) -> None:
        """Begin at 0; `meanwhile` happens one by one, a sleep each."""
        self.now = 0.0
        self.slept: list[float] = []
        self._meanwhile = list(meanwhile)

    def monotonic(self) -> float:
        """Give the seconds that were slept so far."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let so many seconds pass at once."""
        self.now += seconds
        self.slept.append(seconds)
        if self._meanwhile:
            self._meanwhile.pop(0)()
