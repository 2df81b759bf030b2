"""Which table locks a statement takes, and how it may hurt, by its text and the manual alone."""

from migrator.schema.locks.hazards import Hazard, hazards_of
from migrator.schema.locks.levels import EFFECTS, Mode
from migrator.schema.locks.names import TableName
from migrator.schema.locks.reading import Lock, Reading, read
from migrator.schema.locks.rules import Concern
from migrator.schema.locks.scene import Scene, tables_of
from migrator.schema.locks.text import Statement, statements_of

__all__ = [
    "EFFECTS",
    "Concern",
    "Hazard",
    "Lock",
    "Mode",
    "Reading",
    "Scene",
    "Statement",
    "TableName",
    "hazards_of",
    "read",
    "statements_of",
    "tables_of",
]
