"""No secret leaves, whoever wrote the text it stands in."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

_MASK = "***"
_URL_PASSWORD = re.compile(
    r"(\b[a-z][a-z0-9+.-]*://[^\s:/@'\"]*:)([^\s'\"]*?)(@)(?=[^\s@]*(?:[\s'\"]|$))", re.IGNORECASE
)
_WORD_PASSWORD = re.compile(r"(password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s'\"&;,)]+)", re.IGNORECASE)
# A shorter text would be found in innocent words, and would mask the whole log.
_SHORTEST = 4


class Redactor:
    """Replaces known secrets, in the spellings they travel in, and any password of a URL."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Know these secrets."""
        spellings = {one for secret in secrets if len(secret) >= _SHORTEST for one in _spellings(secret)}
        longest_first = sorted(spellings, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if spellings else None

    def text(self, text: str) -> str:
        """The text without secrets."""
        if self._known is not None:
            text = self._known.sub(_MASK, text)
        if "://" in text:
            text = _URL_PASSWORD.sub(rf"\1{_MASK}\3", text)
        if "assword" in text.lower():
            text = _WORD_PASSWORD.sub(rf"\1{_MASK}", text)
        return text

    def value(self, value: Any) -> Any:
        """The same for whatever an event carries, to any depth."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(item) for item in value]
        return value


def _spellings(secret: str) -> Iterator[str]:
    """As it travels in URLs, ini files, connection strings, Python, JSON and SQL."""
    quoted = quote(secret, safe="", errors="surrogateescape")
    by_path, by_form = quoted.replace("%2F", "/"), quote_plus(secret, errors="surrogateescape")
    yield from (secret, quoted, quoted.lower(), by_path, by_form)
    yield from (secret.replace("%", "%%"), quoted.replace("%", "%%"))
    yield from (repr(secret)[1:-1], secret.replace("\\", "\\\\").replace("'", "\\'"))
    yield from (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    yield secret.replace("'", "''")


def redacted(value: Any, redact: Callable[[str], str]) -> Any:
    """A document for programs, with every text in it redacted."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {name: redacted(one, redact) for name, one in value.items()}
    return [redacted(one, redact) for one in value] if isinstance(value, (list, tuple)) else value
