"""One look at the database: its version rows, and the state they tell."""

from dataclasses import dataclass, field

from migrator.errors import AccessDenied
from migrator.history.beyond import Recorded
from migrator.history.release import Release
from migrator.history.state import Objects, State, StateName, tell_state
from migrator.ledger import LedgerView, read_ledger
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
    recorded: Recorded = field(default_factory=Recorded)
    is_news: bool = False


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look showed; without a state when only `env.py` knows its version tables.

    `is_news`: the database is at a version that the ledger does not know yet, and could be told.
    """

    tables: tuple[VersionTable, ...]
    rows: tuple[VersionRows, ...]
    state: State | None
    is_news: bool = False


def look(session: Session, release: Release, tables: tuple[VersionTable, ...] = ()) -> Seen:
    """Read the version tables given, else those known without running `env.py`.

    Only reads: a hundred runners may be looking, so a session is not kept while we think. Objects and parents
    are only asked for where they decide something.
    """
    rows, view = (read_version_rows(session, tables), None) if tables else _known_rows(release, session)
    tables = tables or tuple(one.table for one in rows)
    seen = frozenset(row for table in rows for row in table.rows)
    objects = () if seen or not tables else _objects(session, release, rows)
    unknown = release.graph.unknown(seen)
    recorded = _recorded(session, release) if unknown else Recorded()
    is_news = view is not None and view.may_keep and bool(seen) and view.heads != seen
    return Seen(tables, rows, objects, recorded, is_news)


def _recorded(session: Session, release: Release) -> Recorded:
    view = read_ledger(session, release.history, with_parents=True)
    return Recorded(view.parents, view.releases)


def _objects(session: Session, release: Release, tables: tuple[VersionRows, ...]) -> tuple[str, ...]:
    """What somebody made, less what another tenant's version table of this history accounts for."""
    ours = [one.table for one in tables]
    found = object_names(session, ours)
    own = {one.schema for one in ours}
    others = sorted({name.split(".", 1)[0] for name in found} - own)
    beside = [VersionTable(name, schema) for name in {one.name for one in ours} for schema in others]
    accounted = {one.schema for one in beside if _accounts(session, release, one)}
    return tuple(name for name in found if name.split(".", 1)[0] not in accounted)


def _accounts(session: Session, release: Release, table: VersionTable) -> bool:
    """Whether a table holds rows of this history; one that we may not read is somebody else's."""
    try:
        (rows,) = read_version_rows(session, (table,))
    except AccessDenied:
        return False
    return bool(rows.rows) and not release.graph.unknown(rows.rows)


def judge(seen: Seen, release: Release) -> Sight:
    """Tell the state from what was seen."""
    if not seen.tables:
        return Sight((), (), None)
    ours = release.mentioned(seen.objects)
    objects = Objects(ours, tuple(one for one in seen.objects if one not in ours))
    state = tell_state(release.graph, release.targets, seen.rows, objects=objects, recorded=seen.recorded)
    return Sight(seen.tables, seen.rows, state, seen.is_news and state.name is StateName.CURRENT)


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


def _known_rows(release: Release, session: Session) -> tuple[tuple[VersionRows, ...], LedgerView | None]:
    """By the setting, else the ledger while its tables are there, else static reading where it is certain.

    With what the ledger said, if it was asked.
    """
    if release.named_table is not None:
        return read_version_rows(session, [release.named_table]), None
    view = read_ledger(session, release.history)
    recorded = read_version_rows(session, view.version_tables)
    if recorded and all(one.exists for one in recorded):
        return recorded, view
    return read_version_rows(session, [release.static_table] if release.static_table else []), view
