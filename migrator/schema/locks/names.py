"""Names of tables, as statements spell them."""

import re
from dataclasses import dataclass

NAME = r"(?:\"(?:[^\"]|\"\")+\"|[^\W\d][\w$]*)"
QUALIFIED = rf"{NAME}(?:\.{NAME})*"
_PART = re.compile(NAME)


@dataclass(frozen=True, slots=True, order=True)
class TableName:
    """A table (or index, or view) by name; without a schema, wherever the search path finds it."""

    name: str
    schema: str | None = None

    def __str__(self) -> str:
        """Name it as a person would."""
        return f"{self.schema}.{self.name}" if self.schema else self.name

    def may_be(self, other: "TableName") -> bool:
        """Whether both may mean one table: a schema that is not said may be any."""
        return self.name == other.name and (
            self.schema == other.schema or None in {self.schema, other.schema}
        )


def table_name(spelt: str) -> TableName:
    """The name that a spelling stands for: what is not quoted is lower case."""
    parts = [_unquoted(one) for one in _PART.findall(spelt)]
    return TableName(parts[-1], parts[-2] if len(parts) > 1 else None)


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part.lower()
