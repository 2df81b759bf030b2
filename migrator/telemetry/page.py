"""A page for people: lines with a mark and a hanging indent."""

import io
import os
import re
import textwrap
from typing import Final, TextIO

from rich.console import Console
from rich.text import Text

_STYLES: Final = {"✓": "green", "!": "yellow", "✗": "red", "•": "cyan"}
_STILL: Final = {"dumb", "unknown"}  # terminals without a cursor to move
_NARROWEST: Final = 20
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Page(Console):
    """Lines with a mark and a hanging indent, in plain text: user code and the server wrote some of it.

    They are folded on a terminal only, so that elsewhere a fact is one line; long words, such as paths, stay
    whole and can be copied.
    """

    def __init__(self, stream: TextIO) -> None:
        """Write to this stream: in colours on a terminal or for `FORCE_COLOR`, never with `NO_COLOR`."""
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # where there is no ✓, a question mark will do
        self.folds = stream.isatty()
        super().__init__(
            file=stream,
            highlight=False,
            soft_wrap=True,
            color_system=None if os.environ.get("NO_COLOR") else "auto",
            force_terminal=self.folds or bool(os.environ.get("FORCE_COLOR")),
            force_interactive=self.folds and os.environ.get("TERM") not in _STILL,
        )

    def fact(self, mark: str, text: str) -> None:
        """One thing that is true."""
        self._write(f"  {mark} ", text, _STYLES.get(mark, "dim"))

    def heading(self, mark: str, text: str) -> None:
        """How it ended."""
        self._write(f"{mark} ", text, f"bold {_STYLES[mark]}", text_style="bold")

    def border(self, mark: str) -> None:
        """A line across a terminal; what stands between two can be copied, unlike out of a box with sides."""
        if self.folds:
            self.print(Text("─" * self.width, _STYLES[mark]))

    def title(self, text: str) -> None:
        """What the entries below are about."""
        self._write("", text, "", text_style="bold")

    def entry(self, label: str, text: str) -> None:
        """A line with a label before it."""
        self._write(label, text, "dim")

    def detail(self, label: str, text: str) -> None:
        """What belongs to the heading above."""
        self._write(f"    {label:<12} ", text, "dim")

    def quote(self, line: str) -> None:
        """A line that somebody else laid out."""
        self.print(Text.assemble(("  │ ", "dim"), plain(line.expandtabs(), "")))

    def on_broken_pipe(self) -> None:
        """Go on silently: rich would end the process, and with it the migration."""
        self.quiet = True

    def _write(self, start: str, text: str, style: str, *, text_style: str = "") -> None:
        text = plain(text).rstrip()
        if self.folds:
            room = max(self.width - len(start), _NARROWEST)
            indent = " " * (len(text) - len(text.lstrip()))
            lines = textwrap.wrap(
                text, room, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
            )
            text = f"\n{' ' * len(start)}".join(lines)
        self.print(Text.assemble((start, style), (text, text_style)))


def plain(text: str, instead: str = " ") -> str:
    """Leave out what would move the cursor or change the terminal."""
    return _CONTROL.sub(instead, text)
