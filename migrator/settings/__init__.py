"""Everything an operator can set: one definition, read once, all problems at once."""

from migrator.settings.definition import Settings
from migrator.settings.dsn import Dsn
from migrator.settings.values import Secret

__all__ = ["Dsn", "Secret", "Settings"]
