"""What a schema consists of: parts, each with its facts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Facts = Mapping[str, Any]
Row = tuple[str, str, str]


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """One object of the schema; the name is written as SQL would, qualified and unique within its kind."""

    kind: str
    name: str

    def __str__(self) -> str:
        """Name it as a person would."""
        return f"{self.kind} {self.name}"
