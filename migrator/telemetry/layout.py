"""What a command prints, laid out on a terminal: folded below itself, tables as far as they fit."""

from collections.abc import Iterable
from typing import Final, TextIO

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from migrator.telemetry.page import Page
from migrator.telemetry.sheet import Block, Entry, Grid, plain

_GAP: Final = 2
_NARROWEST: Final = 18  # a column of sentences that is narrower is no table any more
_LABEL_WIDTH: Final = 11


def lay_out(blocks: Iterable[Block], stream: TextIO) -> None:
    """Print them on a page."""
    page = Page(stream)
    for block in blocks:
        if isinstance(block, Entry):
            page.entry(f"{block.label:<{_LABEL_WIDTH}}", block.text)
        elif isinstance(block, Grid):
            _grid(block, page)
        else:
            page.entry("", block)


def _grid(grid: Grid, page: Page) -> None:
    """As a table, if its widest column can be folded so that all fits; else a paragraph a row."""
    widths = grid.widths
    widest = widths.index(max(widths))
    room = page.width - sum(width + _GAP for place, width in enumerate(widths) if place != widest)
    if room < min(widths[widest], _NARROWEST):
        _paragraphs(grid, page)
        return
    table = Table(
        box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0)
    )  # and one of the box
    for place, title in enumerate(grid.head):
        if place == widest:
            table.add_column(title, overflow="fold", max_width=room)
        else:
            table.add_column(title, no_wrap=True, style="bold" if place == 0 else "")
    for row in grid.rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    page.print(table, soft_wrap=False)


def _paragraphs(grid: Grid, page: Page) -> None:
    indent = max(len(title) for title in grid.head[1:]) + _GAP
    for first, *others in grid.rows:
        page.title(first)
        for title, text in zip(grid.head[1:], others, strict=True):
            page.entry(f"  {title:<{indent}}", text)
