"""Everything an operator can set: one definition, read once, all problems at once."""

from migrator.settings.access import Access
from migrator.settings.definition import Settings
from migrator.settings.destination import Bucket, Folder, parse_destination
from migrator.settings.dsn import Dsn
from migrator.settings.values import Secret

__all__ = ["Access", "Bucket", "Dsn", "Folder", "Secret", "Settings", "parse_destination"]
