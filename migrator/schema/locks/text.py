"""The text of SQL, cut into statements, each in a plain spelling that patterns can be read against."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"(?P<space>\s+|--[^\n]*|/\*.*?\*/)"
    r"|(?P<literal>\$(?P<tag>[^\W\d]\w*|)\$.*?\$(?P=tag)\$|\bE'(?:[^'\\]|\\.|'')*'|(?:\b[BXN]|\bU&)?'(?:[^']|'')*')"
    r"|(?P<name>\"(?:[^\"]|\"\")+\")"
    r"|(?P<word>\w[\w$]*)"
    r"|(?P<sign>::|.)",
    re.IGNORECASE | re.DOTALL,
)
_OPENS, _CLOSES = "([", ")]"
_BINDS_NEXT = frozenset({".", "(", "[", "::"})
_BINDS_BEFORE = frozenset({".", ")", "]", ",", ";", "::"})


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: as it was written, and in single spaces, without comments and with `?` for literals."""

    text: str
    words: str


def statements_of(sql: str) -> tuple[Statement, ...]:
    """The statements of a script, without what separates them."""
    return tuple(_cut(sql))


def _cut(sql: str) -> Iterator[Statement]:
    words: list[str] = []
    start, depth, body = None, 0, 0
    for token in _TOKEN.finditer(sql):
        if token["space"]:
            continue
        if token["sign"] == ";" and depth <= 0 and not body:
            if start is not None:
                yield Statement(sql[start : token.start()].strip(), _joined(words))
            words, start, depth = [], None, 0
            continue
        start = token.start() if start is None else start
        depth += (token[0] in _OPENS) - (token[0] in _CLOSES)
        body = _deeper(body, words, token[0].upper())
        words.append("?" if token["literal"] else token[0])
    if start is not None:
        yield Statement(sql[start:].strip(), _joined(words))


def _deeper(body: int, words: list[str], word: str) -> int:
    """How deep we are in a function's body of bare SQL, whose semicolons end no statement."""
    if not body:
        return int(word == "ATOMIC" and bool(words) and words[-1].upper() == "BEGIN")
    return body + (word == "CASE") - (word == "END")


def _joined(words: list[str]) -> str:
    """In single spaces, but none around a dot, before a comma, and inside brackets."""
    text, before = "", "."
    for word in words:
        text += word if before in _BINDS_NEXT or word in _BINDS_BEFORE else f" {word}"
        before = word
    return text


def parts_of(words: str) -> tuple[str, ...]:
    """What stands between the commas that are in no brackets."""
    parts, depth, part = [], 0, ""
    for token in _TOKEN.finditer(words):
        depth += (token[0] in _OPENS) - (token[0] in _CLOSES)
        if token[0] == "," and not depth:
            parts.append(part.strip())
            part = ""
        else:
            part += token[0]
    return (*parts, part.strip())


def flat(words: str) -> str:
    """Without what stands in brackets."""
    last = ""
    while words != last:
        words, last = re.sub(r" ?\([^()]*\)", "", words), words
    return words
