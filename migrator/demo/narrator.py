"""How the demonstration speaks: titles, paragraphs, commands and a table, 80 columns wide."""

import io
import textwrap
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Final, TextIO

from rich.console import Console
from rich.text import Text

_WIDTH: Final = 80


class Narrator:
    """Writes plain text; styles and a spinner only where there is a terminal to show them."""

    def __init__(self, stream: TextIO) -> None:
        """Speak to this stream."""
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # where there is no rule to draw, question marks will do
        self._console = Console(file=stream, highlight=False, soft_wrap=True, force_terminal=stream.isatty())
        self._width = min(self._console.width, _WIDTH) if self._console.is_terminal else _WIDTH

    def title(self, text: str) -> None:
        """Open a section."""
        rule = "━" * max(self._width - len(text) - 4, 2)
        self._print(f"\n━━ {text} {rule}", "bold cyan")

    def say(self, text: str) -> None:
        """Write a paragraph."""
        self._print(textwrap.fill(text, self._width, break_long_words=False, break_on_hyphens=False))

    def show(self, *lines: str) -> None:
        """Write what a person could type or look up, as it is."""
        for line in lines:
            self._print(f"  {line}", "cyan")

    def gap(self) -> None:
        """Leave a line empty."""
        self._print("")

    def conclude(self, text: str, *, is_good: bool) -> None:
        """Write what follows from a deploy."""
        indented = textwrap.fill(
            text, self._width, initial_indent="→ ", subsequent_indent="  ", break_on_hyphens=False
        )
        self._print(indented, "bold green" if is_good else "bold red")

    def table(self, *rows: Sequence[str]) -> None:
        """Write rows whose columns are as wide as they must be; the first row is the head."""
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for number, row in enumerate(rows):
            cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
            self._print("  ".join(cells).rstrip(), "" if number else "bold")

    def busy(self, text: str) -> AbstractContextManager[object]:
        """Show that something is going on; away from a terminal, say so."""
        if not self._console.is_interactive:
            self._print(f"{text} …")
        return self._console.status(f"{text} …")

    def _print(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style))
