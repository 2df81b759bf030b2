"""argparse, with help that fits a screen: the settings are flags, too, and shown when asked for."""

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from migrator.errors import UsageError
from migrator.settings.definition import ROWS

_WIDTH = 80
_Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse has no other way to ask


class Parser(argparse.ArgumentParser):
    """A command's parser."""

    def error(self, message: str) -> NoReturn:
        """Raise, instead of leaving: exit codes are ours."""
        raise UsageError(f"{message}; see `migrator --help`")

    def add_settings(self, prefix: str) -> None:
        """Take every setting as a flag; `--help` only says so."""
        self.add_argument(
            "--help-all", action=_HelpAll, nargs=0, help="the same with every setting, and exit"
        )
        group = self.add_argument_group(
            "settings",
            "Every setting is also a flag, which wins: see --help-all, or `migrator settings`.",
        )
        for row in ROWS:
            group.add_argument(row.flag, dest=prefix + row.field, metavar="VALUE", help=argparse.SUPPRESS)


class _HelpAll(argparse.Action):
    """`--help` with the settings."""

    def __init__(self, **facts: Any) -> None:
        super().__init__(**{**facts, "dest": argparse.SUPPRESS, "default": argparse.SUPPRESS})

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        _namespace: argparse.Namespace,
        _values: str | Sequence[Any] | None,
        _option: str | None = None,
    ) -> NoReturn:
        """Unveil them; the usage stays short."""
        parser.usage = parser.format_usage().removeprefix("usage: ").replace("%", "%%").rstrip()
        rows = {row.flag: row for row in ROWS}
        for action in parser._actions:  # noqa: SLF001 - as above
            if action.option_strings and (row := rows.get(action.option_strings[-1])):
                told = f"{row.meaning} [{row.names[0]}; default {row.default}]"
                action.help = told.replace("`", "").replace("%", "%%")
        parser.print_help()
        parser.exit()


class Top(Parser):
    """The parser of all: a line for each command."""

    def format_help(self) -> str:
        """Fit a terminal of 80 by 24."""
        (commands,) = (one._get_subactions() for one in self._actions if isinstance(one, _Commands))  # noqa: SLF001 - as above
        lines = [
            "usage: migrator [--help] [--version] COMMAND …",
            "Migrates a Postgres database with the project's own Alembic revisions.",
            "",
        ]
        lines += [_cut(f"    {one.dest:<11} {one.help}") for one in commands]
        lines += ["", "`migrator COMMAND --help` tells what it takes; `run` is the default."]
        return "\n".join(lines) + "\n"


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 2].rpartition(' ')[0]} …"
