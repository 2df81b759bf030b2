"""The command line as a value, for those who write it down in a shell's language."""

import re
from argparse import SUPPRESS, Action, ArgumentParser
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from migrator.settings.definition import ROWS

_SETTINGS = {row.flag: row for row in ROWS}
_FIRST_CLAUSE = re.compile(r".{12,}?(?=[;:(])|.+")
_APOSTROPHE = "\N{RIGHT SINGLE QUOTATION MARK}"  # the other one ends a text in every shell
_AMISS = re.compile(rf"[^\w\s.,/@=%{_APOSTROPHE}-]")


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag: whether a value follows, the words it may be, and whether it is a file's name."""

    name: str
    help: str
    takes_value: bool
    words: tuple[str, ...] = ()
    takes_file: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where one stands after some words (`ledger accept`; nothing at first), and what may follow."""

    path: tuple[str, ...]
    flags: tuple[Flag, ...]
    takes_settings: bool
    words: tuple[tuple[str, str], ...]  # each with its meaning


@dataclass(frozen=True, slots=True)
class Grammar:
    """Every place, from the outermost; the settings are the same wherever they are taken."""

    places: tuple[Place, ...]
    settings: tuple[Flag, ...]

    @property
    def flags_with_values(self) -> dict[str, Flag]:
        """All that are followed by a value; one name means the same everywhere."""
        own = (flag for place in self.places for flag in place.flags)
        return {flag.name: flag for flag in (*own, *self.settings) if flag.takes_value}


def grammar(parser: ArgumentParser) -> Grammar:
    """Read it off the parser."""
    settings = tuple(
        Flag(name, _clause(row.meaning), takes_value=True, words=row.words, takes_file=row.is_path)
        for name, row in _SETTINGS.items()
    )
    return Grammar(tuple(_places(parser, ())), settings)


def _places(parser: ArgumentParser, path: tuple[str, ...]) -> Iterator[Place]:
    actions = parser._actions  # noqa: SLF001 - argparse has no other way to ask
    flags = [one for one in actions if one.option_strings]
    below = [one for one in actions if not one.option_strings and one.choices is not None]
    yield Place(
        path,
        tuple(_flag(one) for one in flags if one.option_strings[-1] not in _SETTINGS),
        takes_settings=any(one.option_strings[-1] in _SETTINGS for one in flags),
        words=tuple(pair for one in below for pair in _words(one)),
    )
    for one in below:
        if isinstance(one.choices, dict):
            for name, child in one.choices.items():
                yield from _places(child, (*path, name))


def _flag(action: Action) -> Flag:
    words = tuple(map(str, action.choices or ()))
    told = "" if action.help in {None, SUPPRESS} else str(action.help)
    return Flag(action.option_strings[-1], _clause(told), takes_value=action.nargs != 0, words=words)


def _words(action: Action) -> Iterator[tuple[str, str]]:
    commands: Iterable[Action] = getattr(action, "_get_subactions", tuple)()  # which only commands have
    helps = {one.dest: _clause(one.help or "") for one in commands}
    for word in action.choices or ():
        yield str(word), helps.get(str(word), "")


def _clause(text: str) -> str:
    """The beginning of a sentence, since there is one line for it, without what shells take for their own."""
    found = _FIRST_CLAUSE.match(text.replace("'", _APOSTROPHE))
    return _AMISS.sub("", found[0]).strip() if found else ""
