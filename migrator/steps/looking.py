"""Looking: what a gate asks in each of its short sessions, and what it can do without."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from migrator.history.release import Release
from migrator.history.sight import Seen, Sight, judge
from migrator.history.state import StateName
from migrator.ledger.runs import Leading, who_leads
from migrator.model import VersionRows
from migrator.postgres.glance import Trouble, glance, rows_now
from migrator.postgres.session import Session
from migrator.steps.desk import Desk
from migrator.steps.peek import peek

_THOROUGH_EVERY_SECONDS = 10.0
_NEWS_EVERY_SECONDS = 4.0

PASSING = frozenset({StateName.PENDING, StateName.FRESH, StateName.UNVERSIONED})
"""States that a run may be about to change: with a version table that is empty, it may be about to begin."""


@dataclass(frozen=True, slots=True)
class View:
    """What is known of the database: its state, and who led when we last asked."""

    sight: Sight
    leading: Leading | None


class Looker:
    """Looks once at a time, and remembers what it saw.

    As long as the version rows are what they were, a waiting state is what it was: two statements tell. All
    is looked through every 10 s, for tables that the ledger has come to know; who leads is asked every 4 s,
    or each time while the answer matters.
    """

    def __init__(self, desk: Desk, release: Release, reached: Callable[[str], None]) -> None:
        """Nothing was seen yet; `reached` hears the database's name."""
        self._desk, self._release, self._reached = desk, release, reached
        self._view: View | None = None
        self._thorough_at = self._asked_at = float("-inf")

    def look(self, *, must_know_leader: bool) -> View | Trouble:
        """Look in a session of its own. What was seen is judged when it is closed: others wait for a slot."""
        now = self._desk.clock.monotonic()
        asks = must_know_leader or now - self._asked_at >= _NEWS_EVERY_SECONDS
        found = glance(self._desk.connector, lambda session: self._see(session, now, asks=asks))
        if isinstance(found, Trouble):
            return found
        seen, leading = found
        if asks:
            self._asked_at = now
        if seen is not None:
            self._thorough_at = now
            self._view = View(judge(seen, self._release), leading)
        assert self._view is not None  # noqa: S101 - the first look is a thorough one
        self._view = replace(self._view, leading=leading)
        return self._view

    def _see(self, session: Session, now: float, *, asks: bool) -> tuple[Seen | None, Leading | None]:
        self._reached(session.database)
        before = self._view
        if before is None or not self._can_compare(before.sight, now):
            return peek(session, self._release), who_leads(session) if asks else None
        rows = rows_now(session, before.sight.rows)
        if rows is not None and self._fits(rows):
            return Seen(before.sight.tables, rows), before.leading  # nothing more need be asked
        is_same = rows == before.sight.rows
        seen = None if is_same else peek(session, self._release)
        return seen, who_leads(session) if asks else before.leading

    def _fits(self, rows: tuple[VersionRows, ...]) -> bool:
        graph, targets = self._release.graph, self._release.targets
        return all(graph.fits(one.rows, targets) and not graph.redundant(one.rows) for one in rows)

    def _can_compare(self, sight: Sight, now: float) -> bool:
        is_passing = sight.state is not None and sight.state.name in PASSING
        return is_passing and now - self._thorough_at < _THOROUGH_EVERY_SECONDS
