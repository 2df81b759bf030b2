"""Completion for bash (3.2 or newer, without the package bash-completion)."""

from collections.abc import Iterable

from migrator.completion.grammar import Grammar

_SCRIPT = """\
# bash completion for migrator: source <(migrator completion bash)
_migrator() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} path= words= index
    # Bash takes --flag=value apart at the equals sign.
    if [[ $current == = ]]; then
        current=
    elif [[ $previous == = ]]; then
        previous=${COMP_WORDS[COMP_CWORD-2]}
    fi
    COMPREPLY=()
    case "$previous" in
%(values)s
    esac
    for ((index = 1; index < COMP_CWORD; index++)); do
        case "$path ${COMP_WORDS[index]}" in
            %(paths)s) path+=" ${COMP_WORDS[index]}" ;;
        esac
    done
    local settings=%(settings)s
    case "$path:$current" in
%(places)s
    esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _migrator migrator
"""
_FILES = """local IFS=$'\\n'; compopt -o filenames 2>/dev/null
            COMPREPLY=($(compgen -f -- "$current")); return ;;"""


def bash(grammar: Grammar) -> str:
    """The script."""
    return _SCRIPT % {
        "values": "\n".join(_values(grammar)),
        "paths": " | ".join(f"' {' '.join(place.path)}'" for place in grammar.places if place.path),
        "settings": _quoted(flag.name for flag in grammar.settings),
        "places": "\n".join(_places(grammar)),
    }


def _values(grammar: Grammar) -> Iterable[str]:
    flags = grammar.flags_with_values.values()
    for flag in flags:
        if flag.words:
            words = f'COMPREPLY=($(compgen -W {_quoted(flag.words)} -- "$current")); return ;;'
            yield f"        {flag.name}) {words}"
    yield f"        {' | '.join(flag.name for flag in flags if flag.takes_file)}) {_FILES}"
    others = [flag.name for flag in flags if not flag.takes_file and not flag.words]
    yield f"        {' | '.join(others)}) return ;;"


def _places(grammar: Grammar) -> Iterable[str]:
    for place in grammar.places:
        path = "".join(f" {word}" for word in place.path)
        flags = " ".join(flag.name for flag in place.flags) + (" $settings" if place.takes_settings else "")
        yield f"        '{path}':-*) words=\"{flags}\" ;;"
        if place.words:
            yield f"        '{path}':*) words={_quoted(word for word, _ in place.words)} ;;"


def _quoted(words: Iterable[str]) -> str:
    return f"'{' '.join(words)}'"
