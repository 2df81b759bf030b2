"""Where backups are kept."""

from migrator.backup.stores.files import FileStore
from migrator.backup.stores.opening import open_store
from migrator.backup.stores.store import Store, Writing

__all__ = ["FileStore", "Store", "Writing", "open_store"]
