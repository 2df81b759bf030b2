"""Keep: how steps reach the ledger. What cannot be kept is a warning; a migration matters more."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import TypeVar

from migrator.clock import STOPS
from migrator.errors import AccessDenied, MigratorError
from migrator.history.digest import ALGORITHM, upgrade_digests
from migrator.history.release import Release
from migrator.ledger import Digests, Ledger, exists, prepare
from migrator.model import RevisionId, VersionTable
from migrator.postgres.session import Session
from migrator.steps.desk import Desk

Read = TypeVar("Read")


def written(desk: Desk, write: Callable[[Ledger], None]) -> bool:
    """Write to the ledger, unless it is off; a failure is told, not raised. Whether it was written."""
    if not desk.settings.ledger:
        return False
    try:
        with desk.connector.reopen("the ledger") as session:
            write(Ledger.open(session))
    except STOPS:
        raise
    except MigratorError as error:
        desk.events.record(
            "hazard.found",
            f"the ledger could not be written: {error.message}",
            level="warning",
            remedy="GRANT CREATE ON DATABASE to the role that migrates, or set MIGRATOR_LEDGER=off",
        )
        return False
    return True


def asked(desk: Desk, ask: Callable[[Session], Read]) -> Read | None:
    """Ask the ledger; None where it is off, there is none that we may read, or it does not answer."""
    if not desk.settings.ledger:
        return None
    try:
        with desk.connector.reopen("the ledger") as session:
            prepare(session)
            return ask(session) if exists(session) else None
    except STOPS:
        raise
    except AccessDenied:  # whoever writes will say so
        return None
    except MigratorError as error:
        desk.events.record("hazard.found", f"the ledger could not be read: {error.message}", level="warning")
        return None


def record_version_tables(
    ledger: Ledger, release: Release, tables: Collection[VersionTable], heads: Collection[RevisionId]
) -> None:
    """Record where the version rows are; where that is not known, what was known stays."""
    if tables:
        ledger.record_version_tables(release.history, tables, heads)


def record_lineage(
    ledger: Ledger,
    release: Release,
    heads: Collection[RevisionId],
    *,
    run_id: str,
    applied: Mapping[RevisionId, datetime],
) -> None:
    """Record all that these heads imply: what this run applied with its time, the rest as found."""
    graph = release.graph
    there = graph.ancestors(heads)
    digests = upgrade_digests(one for one in graph.revisions if one.id in there)
    ledger.record_revisions(
        {id_: graph.parents.get(id_, ()) for id_ in there},
        Digests(ALGORITHM, digests),
        run_id=run_id,
        applied=applied,
    )


def tell_unproven(ledger: Ledger, desk: Desk, heads: Collection[RevisionId]) -> None:
    """Say once, before it is recorded, that nobody has proven what was found."""
    if unproven := ledger.unproven(heads):
        named = ", ".join(unproven)
        desk.events.record(
            "hazard.found",
            f"version {named} was found, not applied by a run that is recorded: nobody has proven that the "
            "schema is what its revisions build",
            level="warning",
            remedy="compare them with `migrator verify`",
            revisions=list(unproven),
        )
