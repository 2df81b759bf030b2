"""The event stream for people: a line a fact, and a moving one while something takes long."""

import logging
import sys
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.status import Status

_STYLES = {"warning": "yellow", "error": "bold red"}
_MARKS = {
    "revision.applied": "[green]✓[/]",
    "schema.verified": "[green]✓[/]",
    "backup.verified": "[green]✓[/]",
    "backup.taken": "[green]✓[/]",
    "revision.failed": "[red]✗[/]",
    "output.captured": "[dim]│[/]",
}
# Between these two events something is under way that a person would otherwise take for a hang.
_STARTS = {"backup.started", "revision.started", "attempt.started", "lock.waited", "wait.attempted"}
_ENDS = {
    "backup.taken",
    "revision.applied",
    "revision.failed",
    "lock.acquired",
    "wait.finished",
    "run.finished",
    "signal.received",
}


class HumanHandler(logging.Handler):
    """Prints events as text; on a terminal, a spinner with the seconds shows what is under way."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Write to standard output unless told otherwise."""
        super().__init__()
        self._console = Console(file=stream or sys.stdout, highlight=False, soft_wrap=True)
        self._status: Status | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Print one event."""
        facts: dict[str, Any] = getattr(record, "facts", {})
        event = str(facts.get("event", ""))
        message = escape(record.getMessage())
        if event == "run.finished":
            self._end_status()
            self._summary(facts, message)
            return
        if event == "backup.progressed":
            self._show_status(message, permanent=not self._console.is_terminal)
            return
        if event in _ENDS:
            self._end_status()
        if event == "revision.started" and self._console.is_terminal:
            self._show_status(message, permanent=False)
            return
        self._print(event, record.levelname.lower(), message)
        if event in _STARTS:
            self._show_status(message, permanent=False)

    def _print(self, event: str, level: str, message: str) -> None:
        mark = _MARKS.get(event, "[cyan]•[/]")
        style = _STYLES.get(level)
        body = f"[{style}]{message}[/]" if style else message
        self._console.print(f"  {mark} {body}")

    def _summary(self, facts: dict[str, Any], message: str) -> None:
        code, name = facts.get("exit_code", 0), facts.get("exit_name", "")
        colour = "green" if code == 0 else "red"
        self._console.print(f"[bold {colour}]{'✓' if code == 0 else '✗'} {message}[/]")
        if facts.get("error"):
            for problem in facts.get("problems") or ():
                self._console.print(f"    - {escape(str(problem))}")
            if facts.get("remedy"):
                self._console.print(f"    [bold]what to do:[/] {escape(str(facts['remedy']))}")
        phases = facts.get("phases") or {}
        spent = ", ".join(f"{phase} {seconds:.2f} s" for phase, seconds in phases.items())
        self._console.print(f"    [dim]exit {code} {name}{'; ' + spent if spent else ''}[/]")

    def _show_status(self, message: str, *, permanent: bool) -> None:
        if permanent:
            self._console.print(f"  [dim]…[/] {message}")
        elif self._console.is_terminal:
            if self._status is None:
                self._status = self._console.status(_Elapsed(message))
                self._status.start()
            else:
                self._status.update(_Elapsed(message))

    def _end_status(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


class _Elapsed:
    """A text that shows how long it has been standing there."""

    def __init__(self, message: str) -> None:
        self._message = message
        self._since: float | None = None

    def __rich_console__(self, console: Console, _options: Any) -> Any:
        from rich.text import Text  # noqa: PLC0415

        now = console.get_time()
        self._since = now if self._since is None else self._since
        yield Text.from_markup(f"{self._message} [dim]{now - self._since:.0f} s[/]")
