"""Found: versions that no run of ours applied go into the ledger too, so that later releases know them."""

from collections.abc import Sequence
from datetime import timedelta

from migrator.clock import STOPS
from migrator.errors import MigratorError
from migrator.history.release import Release
from migrator.history.sight import Sight, judge, look
from migrator.ledger import Ledger
from migrator.model import RevisionId
from migrator.postgres.leader import take_leadership
from migrator.postgres.pooler import Admission
from migrator.steps.desk import Desk
from migrator.steps.keep import record_lineage, record_version_tables, tell_unproven, written


def remember(desk: Desk, release: Release, sight: Sight) -> None:
    """As the leader, record the version tables, so that `env.py` need not run next time, and the lineage."""
    heads = sight.state.heads if sight.state else ()
    tables = tuple(one.table for one in sight.rows if one.exists)

    def write(ledger: Ledger) -> None:
        tell_unproven(ledger, desk, heads)
        record_version_tables(ledger, release, tables, heads)
        record_lineage(ledger, release, heads, run_id=desk.run_id, applied={})
        ledger.settle(release.graph.ancestors(heads))

    written(desk, write)


def introduce(desk: Desk, release: Release) -> None:
    """Let the ledger know a version that needs no migration: lead for a moment, if nobody else does.

    Nothing depends on it but what later releases can tell: whatever stands in the way, the database fits.
    """
    try:
        lock = take_leadership(
            Admission(desk.connector, desk.clock, desk.settings.on_pooler),
            timedelta(0),
            is_needless=lambda _: False,
            told=lambda _holders, _seconds: None,
        )
        if lock is None:
            return
        try:
            desk = desk.at(lock.session)
            with desk.connector.reopen("the version tables") as session:
                sight = judge(look(session, release), release)
            if sight.is_news:
                remember(desk, release, sight)
        finally:
            lock.release()
    except STOPS:
        raise
    except MigratorError as error:
        message = f"the ledger does not know this version yet: {error.message}"
        desk.events.record("hazard.found", message, level="debug")


def adopted(desk: Desk, release: Release, sight: Sight, *, differences: Sequence[str]) -> bool:
    """Record that the version now there was stamped: proven by a replay, or in spite of these differences."""
    heads = sight.state.heads if sight.state else ()
    tables = tuple(one.table for one in sight.rows if one.exists)

    def write(ledger: Ledger) -> None:
        for head in heads:
            ledger.record_adoption(RevisionId(head), differences, run_id=desk.run_id)
        record_version_tables(ledger, release, tables, heads)
        record_lineage(ledger, release, heads, run_id=desk.run_id, applied={})

    return written(desk, write)
