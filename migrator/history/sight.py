"""One look at the database: its version rows, and the state they tell."""

from dataclasses import dataclass

from migrator.history.release import Release, static_version_table
from migrator.history.state import State, tell_state
from migrator.ledger import read_ledger
from migrator.model import VersionTable
from migrator.postgres.catalog import VersionRows, object_names, read_version_rows
from migrator.postgres.session import Session
from migrator.settings import Settings
from migrator.telemetry.events import Events


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look showed; without a state when only `env.py` knows its version tables."""

    tables: tuple[VersionTable, ...]
    rows: tuple[VersionRows, ...]
    state: State | None


def look(
    session: Session, release: Release, settings: Settings, tables: tuple[VersionTable, ...] = ()
) -> Sight:
    """Tell the state from the version tables given, else from those known without running `env.py`."""
    tables = tables or _known_tables(release, session, settings)
    if not tables:
        return Sight((), (), None)
    rows = read_version_rows(session, tables)
    state = _state(release, session, rows)
    return Sight(tables, rows, state)


def tell(sight: Sight, release: Release, events: Events) -> None:
    """Record what was seen."""
    if sight.state is None:
        return
    events.record(
        "state.read",
        f"the database is {sight.state.name}: {sight.state.reason}",
        state=sight.state.name.value,
        heads=list(sight.state.heads),
        targets=sorted(release.targets),
        pending=len(sight.state.pending),
        version_tables=[str(table) for table in sight.tables],
    )


def _known_tables(release: Release, session: Session, settings: Settings) -> tuple[VersionTable, ...]:
    """By the setting, else the ledger, else static reading where it is certain."""
    if settings.version_table is None:
        recorded = read_ledger(session, release.history).version_tables
        if recorded:
            return recorded
    found = static_version_table(release.project, settings)
    return (found,) if found else ()


def _state(release: Release, session: Session, rows: tuple[VersionRows, ...]) -> State:
    """Objects and parents are only asked for where they decide something."""
    seen = {row for table in rows for row in table.rows}
    objects: tuple[str, ...] = ()
    if not seen:
        objects = release.mentioned(object_names(session, [table.table for table in rows]))
    unknown = release.graph.unknown(seen)
    recorded = read_ledger(session, release.history, with_parents=True).parents if unknown else {}
    return tell_state(release.graph, release.targets, rows, objects=objects, recorded=recorded)
