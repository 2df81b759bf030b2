"""How runs that were recorded, and the one that leads, are put into words."""

from datetime import UTC, datetime

from migrator.ledger.runs import Leading, Progress, RecordedRun
from migrator.model import RevisionId
from migrator.postgres.leader import Holder

WHEN = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def test_a_leader_without_a_run_is_named() -> None:
    holder = Holder(7, "migrator shop@1.1 run 1", "owner", "10.0.0.7", WHEN)
    assert str(Leading(holder, None)) == f"{holder} leads"
    run = RecordedRun("1", "shop", "1.1", WHEN, progress=Progress(1, 2, RevisionId("a1"), None))
    assert str(Leading(holder, run)) == "release 1.1 is applying revision 1 of 2 (a1)"
