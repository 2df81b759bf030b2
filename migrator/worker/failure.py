"""What an error tells: enough for the runner to judge it, and no value of a row."""

from __future__ import annotations

import os
import re
import traceback
from typing import TYPE_CHECKING, Any

from migrator.worker.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST_STATEMENT = 2000
_SQLSTATE_LENGTH = 5
_PARAMETER_VALUE = re.compile(r"(invalid input for query argument \$\d+).*", re.DOTALL)
_OUR_FOLDER = os.path.dirname(__file__)


def failure_of(error: BaseException, revision: str | None) -> dict[str, Any]:
    """What the runner needs to judge a failure; no parameters, no DETAIL: those can hold row values."""
    chain = list(_chain(error))
    state = sqlstate_of(error)
    statement = next(filter(None, (getattr(one, "statement", None) for one in chain)), None)
    refused = next((one for one in chain if isinstance(one, Refused)), None)
    return {
        "revision": revision,
        "type": f"{type(error).__module__}.{type(error).__name__}",
        "message": _message(chain),
        "sqlstate": state,
        "statement": None if statement is None else " ".join(str(statement).split())[:_LONGEST_STATEMENT],
        "is_driver_error": _is_session_lost(chain),
        "refused": refused.why if refused else None,
        "exit": isinstance(error, SystemExit),
        "where": _where(error),
    }


def sqlstate_of(error: BaseException) -> str | None:
    """The SQLSTATE of an error, or of one that caused it."""
    return next((one for one in map(_sqlstate, _chain(error)) if one), None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        orig = getattr(error, "orig", None)
        if orig is not None and id(orig) not in seen:
            yield orig
        error = error.__cause__ or error.__context__


def _sqlstate(error: BaseException) -> str | None:
    for name in ("sqlstate", "pgcode"):
        value = getattr(error, name, None)
        if isinstance(value, str) and len(value) == _SQLSTATE_LENGTH:
            return value
    return None


def _message(chain: list[BaseException]) -> str:
    """The server's primary message if there is one, else the first line of the outermost error."""
    for one in chain:
        if isinstance(one, Refused):
            return str(one)
        primary = getattr(getattr(one, "diag", None), "message_primary", None)
        if primary:
            return str(primary)
    for one in chain:
        if type(one).__module__.startswith("asyncpg") and getattr(one, "message", None):
            return str(one.message)  # type: ignore[attr-defined]
    error = chain[0]
    if isinstance(error, SystemExit):
        return f"sys.exit({error.code!r}) was called"
    text = str(getattr(error, "orig", None) or error).strip()
    lines = _PARAMETER_VALUE.sub(r"\1", text).splitlines()
    return f"{type(error).__name__}: {lines[0][:500] if lines else ''}"


def _is_session_lost(chain: list[BaseException]) -> bool:
    """Whether it looks like a lost session, or one that could not be had; a value of wrong type does not."""
    if any(type(one).__name__ == "DataError" for one in chain):
        return False
    return any(_is_driver_error(one) for one in chain)


def _is_driver_error(error: BaseException) -> bool:
    """Other libraries have an `OperationalError` too, and user code may speak HTTP to a broken server."""
    names = {"OperationalError", "InterfaceError", "ConnectionDoesNotExistError", "CannotConnectNowError"}
    if isinstance(error, (OSError, TimeoutError)):
        frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
        return any(_is_drivers(str(frame.f_globals.get("__name__"))) for frame in frames)
    return type(error).__name__ in names and _is_drivers(type(error).__module__)


def _is_drivers(module: str) -> bool:
    return module.startswith(("psycopg", "asyncpg", "sqlalchemy.dialects.postgresql"))


def _where(error: BaseException) -> str | None:
    """The innermost line that is neither ours nor a library's."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [one for one in frames if not _is_foreign(one.filename)]
    return f"{theirs[-1].filename}:{theirs[-1].lineno}" if theirs else None


def _is_foreign(filename: str) -> bool:
    if os.path.dirname(filename) == _OUR_FOLDER:
        return True
    return filename.startswith("<") or "site-packages" in filename or "importlib" in filename
