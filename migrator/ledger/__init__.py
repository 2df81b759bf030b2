"""What was done to this database, kept in it: runs, revisions, version tables, adoptions."""

from migrator.ledger.schema import exists
from migrator.ledger.store import Digests, Ledger, RunEnd, RunStart, prepare
from migrator.ledger.view import (
    LastTry,
    LedgerView,
    has_only_failed_beginnings,
    read_digests,
    read_last_try,
    read_ledger,
)

__all__ = [
    "Digests",
    "LastTry",
    "Ledger",
    "LedgerView",
    "RunEnd",
    "RunStart",
    "exists",
    "has_only_failed_beginnings",
    "prepare",
    "read_digests",
    "read_last_try",
    "read_ledger",
]
