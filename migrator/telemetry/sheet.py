"""What a command prints for people, as values: where it goes to a terminal, it is laid out for it."""

import contextlib
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_LABEL_WIDTH = 11


@dataclass(frozen=True, slots=True)
class Entry:
    """A line with a label; without one it belongs to the line above."""

    label: str
    text: str

    def __str__(self) -> str:
        """One line, whatever somebody wrote into the database: nothing moves the cursor."""
        return f"{self.label:<{_LABEL_WIDTH}}{plain(self.text)}".rstrip()


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows below a head; away from a terminal each is one line, however long."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        """Columns as wide as they must be."""
        rows = [tuple(map(plain, row)) for row in (self.head, *self.rows)]
        widths = self.widths
        return "\n".join(
            "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )

    @property
    def widths(self) -> tuple[int, ...]:
        """Of the columns, if nothing is folded."""
        rows = [tuple(map(plain, row)) for row in (self.head, *self.rows)]
        return tuple(max(map(len, column)) for column in zip(*rows, strict=True))


Block = Entry | Grid | str


def show(blocks: Sequence[Block], stream: TextIO | None = None) -> None:
    """Print them, for a terminal of whatever width, or a line each."""
    stream = stream or sys.stdout
    if stream.isatty() or os.environ.get("FORCE_COLOR"):
        from migrator.telemetry.layout import lay_out  # noqa: PLC0415 - only people need it

        lay_out(blocks, stream)
        return
    write("\n".join(_lines(blocks)), stream)


def write(text: str, stream: TextIO | None = None) -> None:
    """Print a text; whoever has stopped reading it, such as `head`, has seen enough."""
    with contextlib.suppress(BrokenPipeError):
        print(text, file=stream or sys.stdout, flush=True)


def _lines(blocks: Iterable[Block]) -> Iterator[str]:
    for block in blocks:
        yield str(block) if not isinstance(block, str) else plain(block)


def plain(text: str) -> str:
    """Leave out what would move the cursor or change the terminal."""
    return _CONTROL.sub(" ", text)
