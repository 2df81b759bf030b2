"""The event stream for people: a line a fact, and a moving one while something takes long."""

import contextlib
import io
import logging
import os
import re
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TextIO

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from migrator.errors import ExitCode
from migrator.telemetry.wording import counted

Facts = Mapping[str, Any]

_SUCCESSES: Final = {"backup.taken", "backup.verified", "revision.applied", "schema.verified"}
_MARKS: Final = {"WARNING": "!", "ERROR": "✗", "CRITICAL": "✗"}
_STYLES: Final = {"✓": "green", "!": "yellow", "✗": "red", "•": "cyan"}
# What is under way after these events, and would otherwise be taken for a hang.
_BEGINS: Final = {
    "wait.attempted": "waiting for Postgres",
    "lock.waited": "waiting for the other runner",
    "backup.started": "backing up",
    "backup.taken": "reading the backup through to its end",
}
_ENDS: Final = {"wait.finished", "lock.acquired", "backup.verified", "revision.failed", "signal.received"}
# These come again and again while nothing changes.
_REPEATED: Final = {"wait.attempted", "lock.waited", "state.read"}
# Our own events say the same, with more in them.
_ALEMBIC_CHATTER: Final = re.compile(r"INFO +\[alembic\.runtime\.")
_KINDS: Final = {
    "permanent": ", permanent: the same release fails again",
    "retryable": ", retryable: time alone may cure it",
}
_LATE_SECONDS: Final = 2.0
_NOTABLE_SECONDS: Final = 0.1
_FRAMES: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_FRAMES_PER_SECOND: Final = 8
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


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


class HumanHandler(logging.Handler):
    """Prints events as text; what takes long moves on a terminal, and is told once elsewhere."""

    def __init__(self, stream: TextIO | None = None, *, late_seconds: float = _LATE_SECONDS) -> None:
        """Write to standard output unless told otherwise.

        Where nothing can move, what is still going on after so many seconds gets a line.
        """
        super().__init__()
        self._page = _Page(stream or sys.stdout)
        self._underway = _Underway(self._page, late_seconds)
        self._said: dict[str, str] = {}
        self._revisions: dict[str, tuple[str, str]] = {}  # id → what stands before its time, and after it
        self._id_width = 0
        self._is_debugging = False
        self._tellers: Mapping[str, Callable[[_Told], None]] = {
            "run.started": self._tell_debugging,
            "plan.made": self._tell_plan,
            "output.captured": self._tell_output,
            "backup.progressed": self._tell_progress,
            "revision.started": self._tell_start,
            "revision.applied": self._tell_success,
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
        if told.event in _ENDS or (begun and begun != self._underway.key):
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
        self._page.fact(told.mark, f"{counted(len(ids), 'revision')} to apply" if ids else told.message)

    def _tell_output(self, told: _Told) -> None:
        if self._is_debugging or not _ALEMBIC_CHATTER.match(told.message):
            self._page.quote(told.message)

    def _tell_progress(self, told: _Told) -> None:
        self._underway.update(told.message)

    def _tell_start(self, told: _Told) -> None:
        of = str(told.facts.get("of", "?"))
        number = f"{told.facts.get('number', '?')!s:>{len(of)}}/{of}  {told.revision:<{self._id_width}}"
        doc = told.message.partition(": ")[2]
        self._revisions[told.revision] = number, doc
        self._underway.begin(number, doc, key=told.revision)

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
        self._page.heading("✗" if told.facts.get("exit_code") else "✓", _summary(told))
        for label, text in _details(told.facts):
            self._page.detail(label, text)
        for line in str(told.facts.get("traceback") or "").splitlines():
            self._page.quote(line)


def _summary(told: _Told) -> str:
    """The last event's sentence, without what gets a line of its own."""
    problems = told.facts.get("problems") or ()
    if len(problems) > 1:
        return f"{told.facts.get('exit_name')}: {len(problems)} problems"
    return told.message.partition("; committed: ")[0] if "committed" in told.facts else told.message


def _seconds(facts: Facts) -> float:
    return float(facts.get("seconds") or 0)


def _details(facts: Facts) -> Iterator[tuple[str, str]]:
    """What the last event adds to its sentence, in the order a person asks."""
    if facts.get("error"):
        yield from _failure(facts)
    number = facts.get("exit_code", 0)
    kind = next((one.kind for one in ExitCode if one == number), "")
    yield "exit", f"{number} {facts.get('exit_name', '')}{_KINDS.get(kind, '')}"
    phases: Mapping[str, float] = facts.get("phases") or {}
    notable = ", ".join(f"{name} {spent:.2f}" for name, spent in phases.items() if spent >= _NOTABLE_SECONDS)
    yield "took", f"{_seconds(facts):.2f} s" + (f": {notable}" if notable else "")


def _failure(facts: Facts) -> Iterator[tuple[str, str]]:
    problems = facts.get("problems") or ()
    if len(problems) > 1:
        yield from (("problem", str(problem)) for problem in problems)
    if facts.get("statement"):
        yield "statement", str(facts["statement"])
    if facts.get("where"):
        yield "at", str(facts["where"]).removeprefix(f"{os.path.realpath(os.curdir)}{os.sep}")
    for name, label in (("committed", "committed"), ("rolled_back", "rolled back")):
        if name in facts:
            yield label, _listed(facts[name])
    if facts.get("half_applied"):
        yield "in part", f"{_listed(facts['half_applied'])}: what it committed by itself stays"
    if facts.get("invalid_indexes"):
        yield "left INVALID", _listed(facts["invalid_indexes"])
    if facts.get("backup"):
        yield "backup", str(facts["backup"].get("location"))
    if facts.get("remedy"):
        yield "what to do", str(facts["remedy"])


def _listed(names: Any) -> str:
    return ", ".join(map(str, names or ())) or "nothing"


class _Page(Console):
    """Lines with a mark and a hanging indent, in plain text: user code and the server wrote some of it.

    They are folded on a terminal only, so that elsewhere a fact is one line; long words, such as paths, stay
    whole and can be copied.
    """

    def __init__(self, stream: TextIO) -> None:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # where there is no ✓, a question mark will do
        super().__init__(file=stream, highlight=False, soft_wrap=True, force_terminal=stream.isatty())

    def fact(self, mark: str, text: str) -> None:
        self._write(f"  {mark} ", text, _STYLES.get(mark, "dim"))

    def heading(self, mark: str, text: str) -> None:
        self._write(f"{mark} ", text, f"bold {_STYLES[mark]}", is_bold=True)

    def detail(self, label: str, text: str) -> None:
        self._write(f"    {label:<12} ", text, "dim")

    def quote(self, line: str) -> None:
        """A line that somebody else laid out."""
        self.print(Text.assemble(("  │ ", "dim"), _CONTROL.sub("", line.expandtabs())))

    def on_broken_pipe(self) -> None:
        """Go on silently: rich would end the process, and with it the migration."""
        self.quiet = True

    def _write(self, start: str, text: str, style: str, *, is_bold: bool = False) -> None:
        text = _CONTROL.sub(" ", text).rstrip()
        if self.is_terminal:
            room = max(self.width - len(start), 20)
            lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
            text = f"\n{' ' * len(start)}".join(lines)
        self.print(Text.assemble((start, style), (text, "bold" if is_bold else "")))


class _Underway:
    """What is going on: a spinner with its seconds on a terminal, else one line once it is late."""

    def __init__(self, page: _Page, late_seconds: float) -> None:
        self._page = page
        self._late_seconds = late_seconds
        self._turn = threading.Lock()
        self.key: str | None = None  # of what is going on
        self._moving: _Moving | None = None
        self._live: Live | None = None
        self._timer: threading.Timer | None = None

    def begin(self, before: str, after: str = "", *, key: str) -> None:
        """Show this, in place of what was shown, until it ends."""
        self.end()
        self.key = key
        if self._page.is_interactive:
            self._moving = _Moving(before, after)
            self._live = Live(
                self._moving,
                console=self._page,
                transient=True,
                refresh_per_second=_FRAMES_PER_SECOND,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start(refresh=True)
            return
        told = f"{before}  {'running':>8}  {after}" if after else before
        self._timer = threading.Timer(self._late_seconds, self._tell_late, [told])
        self._timer.daemon = True
        self._timer.start()

    def update(self, text: str) -> None:
        """Word it anew; its seconds go on."""
        if self._moving is not None:
            self._moving.before = text

    def end(self, *, key: str | None = None) -> None:
        """Show nothing any more; with a key, only if that is what is shown."""
        if key is not None and key != self.key:
            return
        self.key = self._moving = None
        if self._live is not None:
            self._live.stop()
            self._live = None
        with self._turn:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _tell_late(self, text: str) -> None:
        with self._turn, contextlib.suppress(OSError):
            if threading.current_thread() is self._timer:
                self._page.fact("…", text)


class _Moving:
    """A spinner, and a text that shows how long it has been standing there."""

    def __init__(self, before: str, after: str) -> None:
        self.before = before
        self._after = after
        self._since = time.monotonic()

    def __rich_console__(self, _console: Console, _options: ConsoleOptions) -> RenderResult:
        """One line, however narrow the terminal."""
        seconds = time.monotonic() - self._since
        frame = _FRAMES[int(seconds * _FRAMES_PER_SECOND) % len(_FRAMES)]
        text = f"{self.before}  {seconds:6.0f} s  {self._after}"
        yield Text.assemble(
            (f"  {frame} ", "cyan"), _CONTROL.sub(" ", text), no_wrap=True, overflow="ellipsis"
        )
