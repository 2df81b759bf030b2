"""Completion for zsh: sourced after `compinit`, or as the file `_migrator` in a folder of `fpath`."""

from collections.abc import Iterator

from migrator.completion.grammar import Flag, Grammar, Place

_SCRIPT = """\
#compdef migrator
# zsh completion for migrator: source <(migrator completion zsh)
_migrator() {
    local curcontext=$curcontext state line
    local -A opt_args
    local -a settings
    settings=(
%(settings)s
    )
    case "${(j: :)words[2,CURRENT-1]}" in
%(places)s
    esac
}
if [[ ${funcstack[1]} == _migrator ]]; then
    _migrator "$@"
else
    compdef _migrator migrator
fi
"""


def zsh(grammar: Grammar) -> str:
    """The script."""
    deepest_first = sorted(grammar.places, key=lambda place: -len(place.path))
    return _SCRIPT % {
        "settings": "\n".join(f"        {_spec(flag)}" for flag in grammar.settings),
        "places": "\n".join(line for place in deepest_first for line in _place(place)),
    }


def _place(place: Place) -> Iterator[str]:
    path = " ".join(place.path)
    yield f"        '{path}' | '{path} '*)" if path else "        *)"
    if place.path:  # `_arguments` is to see the last of these words as the command
        yield f"            shift {len(place.path)} words; (( CURRENT -= {len(place.path)} ))"
    parts = [_spec(flag) for flag in place.flags]
    if place.takes_settings:
        parts.append('"${settings[@]}"')
    if place.words:
        words = " ".join(f"{word}\\:{_escaped(told)}" if told else word for word, told in place.words)
        parts.append(f"'1:word:(({words}))'")
    yield f"            _arguments {' '.join(parts)} ;;"


def _spec(flag: Flag) -> str:
    value = ""
    if flag.takes_value:
        follows = "_files" if flag.takes_file else f"({' '.join(flag.words)})" if flag.words else " "
        value = f":value:{follows}"
    return f"'{flag.name}{'=' if flag.takes_value else ''}[{flag.help}]{value}'"


def _escaped(text: str) -> str:
    return text.replace(" ", "\\ ")
