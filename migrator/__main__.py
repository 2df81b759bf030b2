"""`python -m migrator` is `migrator`."""

from migrator.cli import entry

entry()
