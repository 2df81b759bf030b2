"""One look at the database: its version rows, and the state they tell."""

from dataclasses import dataclass, field

from migrator.history.release import Release
from migrator.history.state import Parents, State, StateName, tell_state
from migrator.ledger import read_ledger
from migrator.model import VersionRows, VersionTable
from migrator.postgres.catalog import object_names, read_version_rows
from migrator.postgres.session import Session
from migrator.telemetry.events import Events


@dataclass(frozen=True, slots=True)
class Seen:
    """What the database said, not yet judged; nothing where only `env.py` knows its version tables."""

    tables: tuple[VersionTable, ...]
    rows: tuple[VersionRows, ...] = ()
    objects: tuple[str, ...] = ()
    recorded: Parents = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look showed; without a state when only `env.py` knows its version tables."""

    tables: tuple[VersionTable, ...]
    rows: tuple[VersionRows, ...]
    state: State | None


def look(session: Session, release: Release, tables: tuple[VersionTable, ...] = ()) -> Seen:
    """Read the version tables given, else those known without running `env.py`.

    Only reads: a hundred runners may be looking, so a session is not kept while we think. Objects and parents
    are only asked for where they decide something.
    """
    rows = read_version_rows(session, tables) if tables else _known_rows(release, session)
    tables = tables or tuple(one.table for one in rows)
    seen = {row for table in rows for row in table.rows}
    objects = () if seen or not tables else object_names(session, [table.table for table in rows])
    unknown = release.graph.unknown(seen)
    recorded = read_ledger(session, release.history, with_parents=True).parents if unknown else {}
    return Seen(tables, rows, objects, recorded)


def judge(seen: Seen, release: Release) -> Sight:
    """Tell the state from what was seen."""
    if not seen.tables:
        return Sight((), (), None)
    objects = release.mentioned(seen.objects)
    state = tell_state(release.graph, release.targets, seen.rows, objects=objects, recorded=seen.recorded)
    return Sight(seen.tables, seen.rows, state)


def empty_sight(release: Release) -> Sight:
    """What there is to see in an empty database, whatever `env.py` calls its version tables."""
    pending = release.graph.pending((), release.targets)
    return Sight((), (), State(StateName.FRESH, (), "the database is empty", pending))


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


def _known_rows(release: Release, session: Session) -> tuple[VersionRows, ...]:
    """By the setting, else the ledger while its tables are there, else static reading where it is certain."""
    if release.named_table is not None:
        return read_version_rows(session, [release.named_table])
    recorded = read_version_rows(session, read_ledger(session, release.history).version_tables)
    if recorded and all(one.exists for one in recorded):
        return recorded
    return read_version_rows(session, [release.static_table] if release.static_table else [])
