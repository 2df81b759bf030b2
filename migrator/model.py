"""The values that steps hand to one another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, NewType

from migrator.errors import ExitCode

RevisionId = NewType("RevisionId", str)
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Revision:
    """One Alembic script, as its file declares it.

    `depends_on` may name ids, unique prefixes of ids, or branch labels, as Alembic allows.
    """

    id: RevisionId
    down: tuple[RevisionId, ...] = ()
    depends_on: tuple[str, ...] = ()
    labels: frozenset[str] = frozenset()
    doc: str = ""
    path: Path | None = None


@dataclass(frozen=True, slots=True, order=True)
class VersionTable:
    """Where `env.py` keeps its version rows; without a schema, wherever the role's search path finds it."""

    name: str = "alembic_version"
    schema: str | None = None

    def __str__(self) -> str:
        """Name it as a person would."""
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True, slots=True)
class VersionRows:
    """What one version table holds; its schema is the real one, if it exists.

    An absent table has no rows; one without a column `version_num` is misshapen; `nonsense` is no revision.
    """

    table: VersionTable
    exists: bool
    rows: frozenset[RevisionId] = frozenset()
    is_misshapen: bool = False
    nonsense: tuple[str | None, ...] = ()

    @property
    def is_corrupt(self) -> bool:
        """Whether it cannot be what Alembic wrote."""
        return self.is_misshapen or bool(self.nonsense)


class Ending(StrEnum):
    """How a run ended, in one word."""

    MIGRATED = "migrated"
    UNCHANGED = "nothing to do"
    DONE = "done"  # what a command other than `run` and `gate` was asked for
    AHEAD = "ahead"
    REFUSED = "refused"
    FAILED = "failed"
    UNLUCKY = "not now"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup: where it is, how large, and what it took.

    Size and digest are None where another program took it and did not say. `missing` are the tables whose
    rows were left out on purpose: then it is partial, and every message that uses it says so.
    """

    location: str
    size_bytes: int | None
    sha256: str | None
    seconds: float
    finished: datetime
    missing: tuple[str, ...] = ()

    @property
    def is_partial(self) -> bool:
        """Whether rows were left out."""
        return bool(self.missing)

    @property
    def facts(self) -> dict[str, Any]:
        """What events say of it."""
        return {
            "location": self.location,
            "size_bytes": self.size_bytes,
            "sha256": self.sha256,
            "seconds": round(self.seconds, 3),
            "partial": self.is_partial,
            "missing": list(self.missing),
        }

    def __str__(self) -> str:
        """Name it as a person would."""
        return f"{self.location}{partial_note(self.missing)}"


def partial_note(missing: Sequence[str]) -> str:
    """What follows a backup's name where rows were left out of it; else nothing."""
    if not missing:
        return ""
    named = ", ".join(missing[:_MOST_NAMED]) + (
        f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
    )
    return f" (partial: without the rows of {named})"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. It alone decides exit code, metrics and the last event. Durations are seconds."""

    ending: Ending
    exit_code: ExitCode
    message: str
    seconds: float
    finished: datetime
    phases: Mapping[str, float]
    database: str
    state: str | None = None
    heads_before: tuple[RevisionId, ...] | None = None
    heads_after: tuple[RevisionId, ...] | None = None
    applied: tuple[RevisionId, ...] = ()
    pending: int = 0
    backup: Backup | None = None
    lock_wait_seconds: float = 0.0
    blocked_attempts: int = 0
    database_size_bytes: int | None = None
    error: str | None = None
    remedy: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
