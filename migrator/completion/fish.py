"""Completion for fish."""

from collections.abc import Iterator

from migrator.completion.grammar import Flag, Grammar, Place


def fish(grammar: Grammar) -> str:
    """The script."""
    lines = [
        "# fish completion for migrator: migrator completion fish | source",
        "complete -c migrator -f",
    ]
    names = [place.path[0] for place in grammar.places if len(place.path) == 1]
    for place in grammar.places:
        lines += _place(place, names)
    takers = sorted({place.path[0] for place in grammar.places if place.takes_settings})
    lines += [
        _line(f"__fish_seen_subcommand_from {' '.join(takers)}", _flag(flag)) for flag in grammar.settings
    ]
    return "\n".join(lines) + "\n"


def _place(place: Place, names: list[str]) -> Iterator[str]:
    seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in place.path)
    here = seen or f"not __fish_seen_subcommand_from {' '.join(names)}"
    words = [word for word, _ in place.words]
    for word, told in place.words:
        nothing_yet = f"{here}; and not __fish_seen_subcommand_from {' '.join(words)}" if seen else here
        yield _line(nothing_yet, f"-a {word}" + (f" -d '{told}'" if told else ""))
    for flag in place.flags:
        yield _line(here, _flag(flag))


def _flag(flag: Flag) -> str:
    value = ""
    if flag.takes_file:
        value = " -r -F"
    elif flag.takes_value:
        value = " -x" + (f" -a '{' '.join(flag.words)}'" if flag.words else "")
    return f"-l {flag.name.removeprefix('--')}{value} -d '{flag.help}'"


def _line(condition: str, rest: str) -> str:
    return f"complete -c migrator -n '{condition}' {rest}"
