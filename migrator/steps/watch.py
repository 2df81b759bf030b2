"""Watch: look again and again until the database has what this release needs; writes and holds nothing.

What a look shows is either what the release needs, or something that passes, or a refusal. A refusal counts
once it has stood for some seconds during which nobody led: while a newer release migrates, an older one's
gate sees rows that the ledger will explain only when that run ends.
"""

from datetime import timedelta

from migrator.account import Account
from migrator.errors import AccessDenied, DatabaseUnavailable, MigratorError, NotYet, StateRefused
from migrator.history.release import Release
from migrator.history.sight import tell
from migrator.history.state import State, StateName, refuse_state
from migrator.ledger.runs import Access, ledger_access
from migrator.postgres.glance import Trouble, glance
from migrator.steps.crowd import pause_seconds, rest, spread_seconds
from migrator.steps.desk import Desk
from migrator.steps.looking import PASSING, Looker, View
from migrator.steps.standing import Standing

_TOLD_EVERY_SECONDS = 10.0
_NAMED = 5
_GRANT = "GRANT USAGE ON SCHEMA migrator and SELECT ON ALL TABLES IN SCHEMA migrator to this role"
_TABLE_GRANT = "GRANT USAGE on the schema of the version table and SELECT on the table to this role"


def watch(desk: Desk, account: Account, release: Release) -> None:
    """Return once the database has what the release needs.

    Raises:
        StateRefused, AccessDenied: a person must act; it stood for some seconds, or for all our patience.
        NotYet: patience ended. DatabaseUnavailable: it ended before the database was seen even once.
    """
    patience = desk.settings.gate_timeout
    watcher = _Watcher(desk, account, release)
    began = desk.clock.monotonic()
    desk.clock.sleep(spread_seconds())
    number = 0
    looks: tuple[float, ...] = ()
    while True:
        looked_at = desk.clock.monotonic()
        if watcher.is_open():
            return
        number += 1
        now = desk.clock.monotonic()
        left = float("inf") if patience is None else patience.total_seconds() - (now - began)
        watcher.tell(number, now - began, is_last=left <= 0)
        if patience is not None and left <= 0:
            raise watcher.disappointment(patience)
        # One slow look may be chance, on the server's side or on ours.
        looks = (*looks[-1:], now - looked_at)
        pause = pause_seconds(number, looked_seconds=min(looks))
        rest(desk.clock, min(pause, max(left, 0.01)))


class _Watcher:
    """What was seen last, what of it stands in the way, and what has been told."""

    def __init__(self, desk: Desk, account: Account, release: Release) -> None:
        self._desk, self._account, self._release = desk, account, release
        self._looker = Looker(desk, release, account.reached)
        self._standing = Standing(desk.clock)
        self._view: View | None = None
        self._trouble: Trouble | None = None
        self._told, self._told_at = "", float("-inf")

    def is_open(self) -> bool:
        """Look once. Raises a refusal that has stood long enough."""
        found = self._looker.look(must_know_leader=self._standing.refusal is not None)
        self._trouble = found if isinstance(found, Trouble) else None
        if isinstance(found, View):
            self._take_in(found)
            state = found.sight.state
            if state is not None and state.opens_gate(self._desk.settings.on_ahead):
                self._warn_if_ahead(state)
                return True
        if self._standing.consider(self._refusal()):
            raise self._explained()
        return False

    def tell(self, number: int, waited_seconds: float, *, is_last: bool) -> None:
        """Tell what we wait for: when that changes, every 10 s, and at the end."""
        text = self._waits_for
        if text == self._told and not is_last and waited_seconds - self._told_at < _TOLD_EVERY_SECONDS:
            return
        self._told, self._told_at = text, waited_seconds
        is_refused = self._standing.refusal is not None
        leading = self._view.leading if self._view else None
        self._desk.events.record(
            "wait.attempted",
            text,
            level="warning" if is_refused else "info",
            attempt=number,
            verdict="refused" if is_refused else "worth waiting for",
            waited_seconds=round(waited_seconds, 3),
            waits_for="Postgres" if self._is_unreached else "the migration",
            leader=leading.facts if leading else None,
        )

    def disappointment(self, patience: timedelta) -> MigratorError:
        """What it means that patience has ended."""
        if self._standing.refusal is not None:
            return self._explained()
        limit = f"MIGRATOR_GATE_TIMEOUT ({patience.total_seconds():g} s)"
        if self._view is None:
            reason = self._trouble.reason if self._trouble else "it was not reached"
            return DatabaseUnavailable(
                f"the database could not be seen within {limit}: {reason}",
                remedy="see why Postgres is not up, or raise MIGRATOR_GATE_TIMEOUT",
            )
        return NotYet(f"still {self._waits_for} when {limit} ended")

    def _take_in(self, view: View) -> None:
        before, self._view = self._view, view
        state = view.sight.state
        if before is not None and before.sight.state == state:
            return
        self._account.saw(state)
        tell(view.sight, self._release, self._desk.events)
        if state is None:
            self._desk.events.record(
                "hazard.found",
                "only env.py knows its version table, and a gate does not run it: waiting for a run to "
                "record the table in the ledger; or set MIGRATOR_VERSION_TABLE",
                level="warning",
                remedy=f"set MIGRATOR_VERSION_TABLE; if there is a ledger, {_GRANT}",
            )

    def _refusal(self) -> MigratorError | None:
        """Why waiting does not seem to help; while somebody leads, it may."""
        if self._trouble is not None:
            return None if self._trouble.passes else self._trouble.error
        state = self._view.sight.state if self._view else None
        if state is None or state.name in PASSING or (self._view and self._view.leading):
            return None
        try:
            refuse_state(state, on_ahead=self._desk.settings.on_ahead)
        except StateRefused as error:
            return error
        return None

    def _explained(self) -> MigratorError:
        """The refusal, with what a gate's role may lack that a runner's has."""
        refusal = self._standing.refusal
        assert refusal is not None  # noqa: S101 - only called while one stands
        if isinstance(refusal, AccessDenied) and not self._is_unreached and "GRANT" not in refusal.remedy:
            refusal.remedy = _TABLE_GRANT
        if (
            isinstance(refusal, StateRefused)
            and refusal.facts.get("state") == StateName.AHEAD_UNPROVEN.value
            and glance(self._desk.connector, ledger_access) is Access.HIDDEN
        ):
            refusal.remedy = (
                f"let this role read the ledger, which may know them ({_GRANT}); {refusal.remedy}"
            )
        return refusal

    def _warn_if_ahead(self, state: State) -> None:
        if state.name is not StateName.CURRENT:
            message = f"the database is {state.name}: {state.reason}"
            self._desk.events.record("hazard.found", message, level="warning")

    @property
    def _is_unreached(self) -> bool:
        return self._trouble is not None and not self._trouble.reached

    @property
    def _waits_for(self) -> str:
        if self._is_unreached and self._trouble:
            return f"waiting for Postgres: {self._trouble.reason}"
        targets = sorted(self._release.targets)
        wanted = ", ".join(targets[:_NAMED]) + (" and others" if len(targets) > _NAMED else "")
        return f"waiting for {wanted or 'this release'}: {self._why}"

    @property
    def _why(self) -> str:
        if self._standing.refusal is not None:
            return self._standing.refusal.message
        view = self._view
        if view is not None and view.leading is not None:
            return str(view.leading)
        if self._trouble is not None:
            return self._trouble.reason
        if view is None or view.sight.state is None:
            return "its version table is not known yet"
        return f"the database is {view.sight.state.name}, and nobody is migrating it now"
