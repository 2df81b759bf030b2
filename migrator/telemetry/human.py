"""The event stream for people: a line a fact, and a moving one while something takes long."""

import logging
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TextIO

from migrator.telemetry.ending import details, summary
from migrator.telemetry.page import Page
from migrator.telemetry.underway import Underway
from migrator.telemetry.wording import counted

Facts = Mapping[str, Any]

_SUCCESSES: Final = {
    "backup.taken",
    "backup.verified",
    "restore.verified",
    "database.swapped",
    "revision.applied",
    "revision.reverted",
    "schema.verified",
}
_MARKS: Final = {"WARNING": "!", "ERROR": "✗", "CRITICAL": "✗"}
# What is under way after these events, and would otherwise be taken for a hang.
_BEGINS: Final = {
    "wait.attempted": "waiting for Postgres",
    "lock.waited": "waiting for the other runner",
    "backup.started": "backing up",
    "backup.taken": "reading the backup through to its end",
    "restore.started": "restoring",
}
_ENDS: Final = {
    "wait.finished",
    "lock.acquired",
    "backup.verified",
    "restore.verified",
    "revision.failed",
    "signal.received",
}
# Nothing tells of its end.
_REPLAY: Final = "replaying"
_WITHIN_REPLAY: Final = {"replay.progressed", "output.captured"}
# These come again and again while nothing changes.
_REPEATED: Final = {"wait.attempted", "lock.waited", "state.read"}
# Our own events say the same, with more in them.
_ALEMBIC_CHATTER: Final = re.compile(r"INFO +\[alembic\.runtime\.")
_LATE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class _Told:
    """One event."""

    event: str
    level: str
    message: str
    facts: Facts

    @property
    def mark(self) -> str:
        """What stands before it."""
        return _MARKS.get(self.level) or ("✓" if self.event in _SUCCESSES else "•")

    @property
    def begins(self) -> str | None:
        """What is under way after it."""
        waits_for = self.facts.get("waits_for")
        return f"waiting for {waits_for}" if waits_for else _BEGINS.get(self.event)

    @property
    def revision(self) -> str:
        """The id of the revision it is about."""
        return str(self.facts.get("revision", "?"))

    def number(self, name: str) -> float:
        """A number among its facts; none is nothing."""
        return float(self.facts.get(name) or 0)


class HumanHandler(logging.Handler):
    """Prints events as text; what takes long moves on a terminal, and is told once elsewhere."""

    def __init__(
        self, stream: TextIO | None = None, *, next_step: str = "", late_seconds: float = _LATE_SECONDS
    ) -> None:
        """Write to standard output unless told otherwise; `next_step` is what a success allows.

        Where nothing can move, what is still going on after so many seconds gets a line.
        """
        super().__init__()
        self._page = Page(stream or sys.stdout)
        self._underway = Underway(self._page, late_seconds)
        self._said: dict[str, str] = {}
        self._revisions: dict[str, tuple[str, str]] = {}  # id → what stands before its time, and after it
        self._id_width = 0
        self._restored_size = 0.0
        self._next_step = next_step
        self._is_debugging = False
        self._tellers: Mapping[str, Callable[[_Told], None]] = {
            "run.started": self._tell_debugging,
            "plan.made": self._tell_plan,
            "output.captured": self._tell_output,
            "backup.progressed": self._tell_progress,
            "restore.started": self._tell_restoring,
            "restore.progressed": self._tell_progress,
            "replay.progressed": self._tell_replay,
            "revision.started": self._tell_start,
            "revision.applied": self._tell_success,
            "revision.reverted": self._tell_success,
            "revision.failed": self._tell_failure,
            "run.finished": self._tell_ending,
        }

    def emit(self, record: logging.LogRecord) -> None:
        """Print one event; that nobody can read it is no failure of the run."""
        facts: Facts = getattr(record, "facts", {})
        try:
            self._tell(_Told(str(facts.get("event")), record.levelname, record.getMessage(), facts))
        except OSError:
            self._page.quiet = True

    def _tell(self, told: _Told) -> None:
        if told.event in _REPEATED and self._said.get(told.event) == told.message:
            return
        self._said[told.event] = told.message
        begun = told.begins
        is_past = self._underway.key == _REPLAY and told.event not in _WITHIN_REPLAY
        if is_past or told.event in _ENDS or (begun and begun != self._underway.key):
            self._underway.end()
        self._tellers.get(told.event, self._tell_plainly)(told)
        if begun and begun != self._underway.key:
            self._underway.begin(begun, key=begun)

    def _tell_plainly(self, told: _Told) -> None:
        self._page.fact(told.mark, told.message)

    def _tell_debugging(self, told: _Told) -> None:
        """Only a run at debug level tells that it has started."""
        self._is_debugging = True
        self._tell_plainly(told)

    def _tell_plan(self, told: _Told) -> None:
        """Only how many: each gets a line of its own."""
        ids = [str(id_) for id_ in told.facts.get("revisions") or ()]
        self._id_width = max(map(len, ids), default=0)
        to_do = "take back" if told.facts.get("direction") == "down" else "apply"
        self._page.fact(told.mark, f"{counted(len(ids), 'revision')} to {to_do}" if ids else told.message)

    def _tell_output(self, told: _Told) -> None:
        if self._is_debugging or not _ALEMBIC_CHATTER.match(told.message):
            self._page.quote(told.message)

    def _tell_restoring(self, told: _Told) -> None:
        self._restored_size = told.number("database_size_bytes")
        self._tell_plainly(told)

    def _tell_progress(self, told: _Told) -> None:
        if told.event == "restore.progressed":
            done, of = told.number("database_size_bytes"), self._restored_size
        else:
            done, of = told.number("tables_done"), told.number("tables")
        self._underway.update(told.message, done / of if of else None)

    def _tell_replay(self, told: _Told) -> None:
        """There is no event at its beginning: many take less than a second."""
        of = told.number("of")
        share = told.number("replayed") / of if of else None
        if self._underway.key == _REPLAY:
            self._underway.update(told.message, share)
        else:
            self._underway.begin(told.message, key=_REPLAY, share=share)

    def _tell_start(self, told: _Told) -> None:
        of = str(told.facts.get("of", "?"))
        number = f"{told.facts.get('number', '?')!s:>{len(of)}}/{of}  {told.revision:<{self._id_width}}"
        doc = told.message.partition(": ")[2]
        self._revisions[told.revision] = number, doc
        all_ = told.number("of")
        share = (told.number("number") - 1) / all_ if all_ > 1 else None
        self._underway.begin(number, doc, key=told.revision, share=share)

    def _tell_success(self, told: _Told) -> None:
        """A commit tells of every revision in it; the one that is running may not be among them."""
        self._underway.end(key=told.revision)
        number, doc = self._revisions.get(told.revision, ("", ""))
        line = f"{number}  {_seconds(told.facts):6.2f} s  {doc}" if number else told.message
        self._page.fact(told.mark, line)

    def _tell_failure(self, told: _Told) -> None:
        """What the server said stands in the ending; where another attempt follows, it is told here."""
        number, doc = self._revisions.get(told.revision, ("", ""))
        is_last = number and told.level == "ERROR"
        self._page.fact(told.mark, f"{number}  {'failed':>8}  {doc}" if is_last else told.message)

    def _tell_ending(self, told: _Told) -> None:
        self._underway.end()
        mark = "✗" if told.facts.get("exit_code") else "✓"
        self._page.border(mark)
        self._page.heading(mark, summary(told.message, told.facts))
        for label, text in details(told.facts, self._next_step):
            self._page.detail(label, text)
        for line in str(told.facts.get("traceback") or "").splitlines():
            self._page.quote(line)
        self._page.border(mark)


def _seconds(facts: Facts) -> float:
    return float(facts.get("seconds") or 0)
