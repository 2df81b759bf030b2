"""What was done to this database, kept in it: runs, revisions with their parents, version tables."""

from migrator.ledger.store import Ledger, LedgerView, RunEnd, RunStart, read_ledger

__all__ = ["Ledger", "LedgerView", "RunEnd", "RunStart", "read_ledger"]
