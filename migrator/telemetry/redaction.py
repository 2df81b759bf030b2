"""No secret leaves, whoever wrote the text it stands in."""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

_MASK = "***"
_URL_PASSWORD = re.compile(
    r"(\b[a-z][a-z0-9+.-]*://[^\s:/@'\"]*:)([^\s'\"]*?)(@)(?=[^\s@]*(?:[\s'\"]|$))", re.IGNORECASE
)
_WORD_PASSWORD = re.compile(r"(\bpassword\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s'\"&;,)]+)", re.IGNORECASE)
# A shorter text would be found in innocent words, and would mask the whole log.
_SHORTEST = 4


class Redactor:
    """Replaces known secrets, in the spellings they travel in, and any password of a URL."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Know these secrets."""
        spellings = {
            spelling
            for secret in secrets
            for spelling in (
                secret,
                quote(secret, safe=""),
                quote(secret),
                quote_plus(secret),
                quote(secret, safe="").replace("%", "%%"),
                secret.replace("%", "%%"),
                repr(secret)[1:-1],
            )
            if len(secret) >= _SHORTEST
        }
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
