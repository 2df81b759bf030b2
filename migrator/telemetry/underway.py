"""What is going on right now, so that nobody takes it for a hang."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from migrator.telemetry.page import Page, plain

_FRAMES: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_FRAMES_PER_SECOND: Final = 8


class Underway:
    """What is going on: a spinner with its seconds on a terminal, else one line once it is late."""

    def __init__(self, page: Page, late_seconds: float) -> None:
        """Show it on this page; where nothing can move, after so many seconds."""
        self._page = page
        self._late_seconds = late_seconds
        self._turn = threading.Lock()
        self.key: str | None = None  # of what is going on
        self._moving: _Moving | None = None
        self._live: Live | None = None
        self._timer: threading.Timer | None = None

    def begin(self, before: str, after: str = "", *, key: str, share: float | None = None) -> None:
        """Show this, in place of what was shown, until it ends; with a bar where the share done is known."""
        self.end()
        self.key = key
        if self._page.is_interactive:
            self._moving = _Moving(before, after, share)
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

    def update(self, text: str, share: float | None = None) -> None:
        """Word it anew; its seconds go on."""
        if self._moving is not None:
            self._moving.before = text
            self._moving.share = share

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
    """A spinner, perhaps a bar, and a text that shows how long it has been standing there."""

    def __init__(self, before: str, after: str, share: float | None) -> None:
        self.before = before
        self.share = share
        self._after = after
        self._since = time.monotonic()

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """One line, however narrow the terminal."""
        seconds = time.monotonic() - self._since
        frame = _FRAMES[int(seconds * _FRAMES_PER_SECOND) % len(_FRAMES)]
        text = f"{self.before}  {seconds:6.0f} s  {self._after}"
        bar = _bar(self.share, options.max_width // 5)
        start = (f"  {frame} ", "cyan")
        yield Text.assemble(start, *bar, plain(text), no_wrap=True, overflow="ellipsis")


def _bar(share: float | None, width: int) -> Iterator[tuple[str, str]]:
    """Two kinds of line, since not everybody sees two colours."""
    if share is None:
        return
    done = round(min(max(share, 0), 1) * width)
    yield "━" * done, "green"
    yield f"{'─' * (width - done)}  ", "dim"
