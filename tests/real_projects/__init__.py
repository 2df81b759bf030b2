"""Public projects, migrated and compared: `make real-projects`."""
