"""One thing in which a schema is not what the revisions build."""

from dataclasses import dataclass
from typing import Any, Literal

What = Literal["missing", "extra", "different"]


@dataclass(frozen=True, slots=True)
class Change:
    """One fact that differs; None where it is absent."""

    fact: str
    expected: Any
    actual: Any


@dataclass(frozen=True, slots=True)
class Remedy:
    """What makes the actual schema the expected one: SQL, or words where SQL depends on the data."""

    text: str
    is_sql: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing a person would have to do.

    It does not matter, and is only listed, if it is a whole object that no revision makes, or another version
    of an extension.
    """

    kind: str
    name: str
    what: What
    changes: tuple[Change, ...]
    matters: bool
    sentence: str
    remedy: Remedy

    @property
    def is_order(self) -> bool:
        """Whether it is only the order of a table's columns: one that is added again always comes last."""
        return {change.fact for change in self.changes} == {"columns"}

    @property
    def is_foreign(self) -> bool:
        """Whether it is a whole object that no revision makes, and on which nothing expected stands."""
        return self.what == "extra" and not self.matters
