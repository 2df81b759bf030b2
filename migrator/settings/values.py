"""From the text of a variable to a value; each parser raises `ValueError` with half a sentence."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp])?(i)?b?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, None: 1.0}
# Postgres keeps its timeouts as milliseconds in 32 bits; 24 days is also longer than any deploy.
_LONGEST = timedelta(days=24)


class Secret:
    """A text that never shows itself: not in `repr`, `str`, an f-string or a traceback's locals."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Keep the text."""
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one place that needs it."""
        return self._text

    def __repr__(self) -> str:
        """Say only that there is one."""
        return "Secret('***')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        """Compare what is kept."""
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        """Agree with equality."""
        return hash(self._text)


def text(raw: str) -> str:
    """Any text that is not blank."""
    if not raw.strip():
        raise ValueError("must not be empty")
    return raw.strip()


def path(raw: str) -> Path:
    """A file or folder."""
    return Path(text(raw))


def secret(raw: str) -> Secret:
    """A text that must not be shown."""
    return Secret(text(raw))


def duration(raw: str) -> timedelta:
    """`90`, `90s`, `5m`, `1h`, `500ms`; a bare number is seconds."""
    found = _DURATION.fullmatch(raw.strip().lower())
    if found is None:
        raise ValueError(f"{raw!r} is not a duration such as 90, 90s, 5m, 1h or 500ms")
    seconds = float(found[1]) * _SECONDS[found[2]]
    if seconds > _LONGEST.total_seconds():
        raise ValueError(f"{raw!r} is longer than 24 days")
    return timedelta(seconds=seconds)


def lasting(raw: str) -> timedelta:
    """A duration above zero."""
    if value := duration(raw):
        return value
    raise ValueError("must be longer than 0")


def choice(*allowed: str) -> Callable[[str], str]:
    """One of some words."""

    def parse(raw: str) -> str:
        word = raw.strip().lower()
        if word not in allowed:
            raise ValueError(f"{raw!r} is not one of {', '.join(allowed)}")
        return word

    return parse


def at_least_one(raw: str) -> int:
    """A whole number from 1 up."""
    if re.fullmatch(r"\d{1,9}", raw.strip()) and int(raw) > 0:
        return int(raw)
    raise ValueError(f"{raw!r} is not a whole number from 1 up")


def size(raw: str) -> int:
    """`500GB`, `1.5 TiB`, `4096`; a bare number is bytes."""
    found = _SIZE.fullmatch(raw.strip().lower())
    if found is None:
        raise ValueError(f"{raw!r} is not a size such as 500MB, 20GB or 1TiB")
    base = 1024 if found[3] else 1000
    return int(float(found[1]) * base ** "bkmgtp".index(found[2] or "b"))


def patterns(raw: str) -> tuple[str, ...]:
    """Texts separated by commas, or a JSON list of them."""
    entries = _json_list(raw) if raw.lstrip().startswith("[") else raw.split(",")
    return tuple(entry.strip() for entry in entries if entry.strip())


def switch(raw: str) -> bool:
    """`on` or `off`, or another usual spelling of them."""
    word = raw.strip().lower()
    if word in {"on", "true", "yes", "1"}:
        return True
    if word in {"off", "false", "no", "0"}:
        return False
    raise ValueError(f"{raw!r} is neither on nor off")


def pairs(raw: str) -> tuple[tuple[str, str], ...]:
    """`key=value` pairs, separated by commas or as a JSON list of them."""
    entries = _json_list(raw) if raw.lstrip().startswith("[") else raw.split(",")
    found = [entry.strip().partition("=") for entry in entries if entry.strip()]
    if wrong := [key for key, equals, _ in found if not equals or not key.strip()]:
        raise ValueError(f"{wrong[0]!r} is not key=value")
    return tuple((key.strip(), value) for key, _, value in found)


def command(raw: str) -> tuple[str, ...]:
    """A program with its arguments, as a JSON list: there is no shell to split it."""
    words = _json_list(raw)
    if not words or not words[0]:
        raise ValueError("must name a program")
    return tuple(words)


def labels(raw: str) -> tuple[tuple[str, str], ...]:
    """Prometheus labels as `key=value` pairs."""
    found = pairs(raw)
    for key, _ in found:
        if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", key) or key.startswith("__"):
            raise ValueError(f"{key!r} cannot be the name of a Prometheus label")
    return found


def http_url(raw: str) -> Secret:
    """An http or https URL; kept secret because it may carry a password."""
    value = text(raw)
    if not re.match(r"https?://[^/\s]", value):
        raise ValueError("must be an http:// or https:// URL")
    return Secret(value)


def backup_url(raw: str) -> Secret:
    """`file:///folder` or `s3://bucket/prefix`; kept secret because people put keys into it."""
    from migrator.settings.destination import parse_destination  # noqa: PLC0415 - it parses with what is here

    value = text(raw)
    parse_destination(value)
    return Secret(value)


def _json_list(raw: str) -> list[str]:
    import json  # noqa: PLC0415 - rarely needed, and every import delays a deploy with nothing to do

    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(entry, str) for entry in found):
        raise ValueError("is not a JSON list of strings")
    return found
