"""What a check found, and what a check is."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from migrator.diagnosis.patient import Patient


class Verdict(StrEnum):
    """How bad it is: a failure holds the next deploy up, a warning may hurt it."""

    PASS = "pass"  # noqa: S105 - no password
    WARN = "warn"
    FAIL = "fail"
    IMPOSSIBLE = "not possible"


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer: what was seen, and, unless all is well, why it matters and a remedy to paste.

    No secret, row value or parameter stands in it: a diagnosis is attached to bug reports as it is.
    """

    verdict: Verdict
    seen: str
    why: str = ""
    remedy: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """One question. `id` is `section.question`, which is what `--only` takes and never changes.

    `ask` may give several findings (one per table, say), at least one; it never writes, and raises only our
    errors: what it raises is a finding that it was not possible, with the error's message and remedy.
    """

    id: str
    ask: Callable[[Patient], Iterable[Finding]]
    is_deep: bool = False  # takes a scratch database or runs user code: only with --deep

    @property
    def section(self) -> str:
        """The part of the id before the dot."""
        return self.id.partition(".")[0]


def passed(seen: str, **facts: Any) -> Finding:
    """All is well."""
    return Finding(Verdict.PASS, seen, facts=facts)


def warned(seen: str, *, why: str, remedy: str, **facts: Any) -> Finding:
    """It may hurt."""
    return Finding(Verdict.WARN, seen, why, remedy, facts)


def failed(seen: str, *, why: str, remedy: str, **facts: Any) -> Finding:
    """It holds the next deploy up."""
    return Finding(Verdict.FAIL, seen, why, remedy, facts)


def impossible(seen: str, *, why: str = "", remedy: str = "", **facts: Any) -> Finding:
    """It could not be looked at."""
    return Finding(Verdict.IMPOSSIBLE, seen, why, remedy, facts)
