"""`… CONCURRENTLY`, tried again in place: it commits as it goes, so its revision cannot be made again whole.

A build that met a lock leaves an INVALID index of its name, which blocks the next try, and which
`IF NOT EXISTS` would take for a finished one.
"""

from __future__ import annotations

import random
import re
import time
from typing import Any, Callable

from migrator.worker.driver import ask, literal, tell
from migrator.worker.failure import sqlstate_of
from migrator.worker.reports import Reports

_BLOCKED = frozenset({"55P03", "40P01"})
_NAME = r"(?:\"(?:[^\"]|\"\")+\"|[\w$]+)"
_BUILD = re.compile(
    rf"\s*CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<name>{_NAME})\s+"
    rf"ON\s+(?:ONLY\s+)?(?P<table>{_NAME}(?:\.{_NAME})?)",
    re.IGNORECASE,
)
# What may be sent again when it met a lock; a DETACH PARTITION goes on from where it is in another way.
_REPEATABLE = re.compile(
    r"\s*(?:CREATE\s+(?:UNIQUE\s+)?INDEX|DROP\s+INDEX|REINDEX|REFRESH)\b.*\bCONCURRENTLY\b",
    re.IGNORECASE | re.DOTALL,
)


class Concurrently:
    """Sends such statements, and sends them again while patience lasts."""

    def __init__(
        self, patience_seconds: float, being_built: str, report: Reports, check: Callable[[], None]
    ) -> None:
        """`being_built` is SQL about an index `i`; `check` raises when the worker is to stop."""
        self._patience_seconds = patience_seconds
        self._being_built = being_built
        self._report = report
        self._check = check

    @staticmethod
    def concerns(statement: str) -> bool:
        """Whether a statement is one of these; it must also commit itself."""
        return _REPEATABLE.match(statement) is not None

    def send(self, driver: Any, statement: str, send: Callable[[], None]) -> None:
        """Send it until it went through. Raises what the driver raised last."""
        began, number = time.monotonic(), 0
        build = _BUILD.match(statement)
        while True:
            if build:
                self._clear(driver, build["name"], build["table"])
            try:
                return send()
            except Exception as error:
                state = sqlstate_of(error)
                spent = time.monotonic() - began
                if state not in _BLOCKED or spent >= self._patience_seconds:
                    raise
            self._report("repeating", statement=" ".join(statement.split())[:200], sqlstate=state)
            self._pause(min(15.0, 0.5 * 2**number) * random.uniform(0.5, 1.0))  # noqa: S311
            number += 1

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._check()
            time.sleep(0.1)
        self._check()

    def _clear(self, driver: Any, name: str, table: str) -> None:
        """Drop an INVALID index of that very name and table, unless somebody is building it right now."""
        left = _LEFT.format(
            name=literal(_unquoted(name)), table=literal(table), being_built=self._being_built
        )
        row = ask(driver, left)
        if row is not None:
            tell(driver, row[0])
            self._report("cleared", statement=row[0])


_LEFT = """
SELECT 'DROP INDEX CONCURRENTLY ' || quote_ident(n.nspname) || '.' || quote_ident(c.relname)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT i.indisvalid AND c.relkind = 'i' AND c.relname = {name} AND i.indrelid = to_regclass({table})
AND NOT {being_built}
"""


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
