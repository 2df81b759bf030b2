"""What state a database is in, told from its version rows, the release's graph and the ledger."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from migrator.errors import StateRefused
from migrator.history.graph import Graph
from migrator.model import Revision, RevisionId, VersionRows

# So many objects are named; more would hide the sentence.
_NAMED = 5

Parents = Mapping[RevisionId, frozenset[RevisionId]]


class StateName(StrEnum):
    """The words operators see; the order is by how much they forbid."""

    CORRUPT = "corrupt"
    DIVERGED = "diverged"
    AHEAD_UNPROVEN = "ahead, unproven"
    UNVERSIONED = "unversioned"
    PENDING = "pending"
    FRESH = "fresh"
    AHEAD = "ahead"
    CURRENT = "current"


@dataclass(frozen=True, slots=True)
class State:
    """The state, the rows it was told from, and a sentence that says why."""

    name: StateName
    heads: tuple[RevisionId, ...]
    reason: str
    pending: tuple[Revision, ...] = ()

    def opens_gate(self, on_ahead: str) -> bool:
        """Whether the database has what this release needs, by the policy for databases that are ahead."""
        if self.name is StateName.AHEAD:
            return on_ahead != "refuse"
        if self.name is StateName.AHEAD_UNPROVEN:
            return on_ahead == "allow-unproven"
        return self.name is StateName.CURRENT


def tell_state(
    graph: Graph,
    targets: Collection[RevisionId],
    tables: Collection[VersionRows],
    *,
    objects: Collection[str],
    recorded: Parents,
) -> State:
    """Tell the state.

    `objects` are names of what somebody made in the database, version tables left out; `recorded` are the
    parents that the ledger knows. With several version tables the most forbidding one decides; an empty one
    beside others that have rows is a tenant yet to be migrated.
    """
    heads = tuple(sorted({row for table in tables for row in table.rows}))
    pending = _pending(graph, targets, tables)
    if not heads and not any(table.is_corrupt for table in tables):
        return _without_version(targets, tables, objects, pending)
    verdicts = [_judge(graph, targets, table, recorded) for table in tables]
    order = list(StateName)
    name, reason = min(verdicts, key=lambda verdict: order.index(verdict[0]))
    return State(name, heads, reason, pending if name is StateName.PENDING else ())


def refuse_state(state: State, *, on_ahead: str) -> None:
    """Raise `StateRefused` unless migrating, or leaving, is safe in this state."""
    if state.name in {StateName.PENDING, StateName.FRESH} or state.opens_gate(on_ahead):
        return
    raise StateRefused(
        f"the database is {state.name}: {state.reason}", remedy=_REMEDIES[state.name], state=state.name.value
    )


_REMEDIES = {
    StateName.CORRUPT: "repair the version table as the message says, by what the schema really is; take a "
    "backup first; `migrator verify` compares afterwards",
    StateName.DIVERGED: "deploy a release whose history contains these revisions, or restore a backup",
    StateName.AHEAD_UNPROVEN: "see whether this is the right database; if a newer release migrated it, "
    "deploy that one, or set MIGRATOR_ON_AHEAD=allow-unproven",
    StateName.AHEAD: "deploy the newer release, or set MIGRATOR_ON_AHEAD=allow",
    StateName.UNVERSIONED: "`migrator adopt` finds out by replay which revision the schema is at; or point "
    "the URL at an empty database",
}


def _pending(
    graph: Graph, targets: Collection[RevisionId], tables: Iterable[VersionRows]
) -> tuple[Revision, ...]:
    """The union over all version tables, oldest first."""
    lists = [graph.pending(table.rows, targets) for table in tables]
    if len(lists) == 1:
        return lists[0]
    wanted = {one.id for one_list in lists for one in one_list}
    return tuple(one for one in graph.pending((), targets) if one.id in wanted)


def _without_version(
    targets: Collection[RevisionId],
    tables: Collection[VersionRows],
    objects: Collection[str],
    pending: tuple[Revision, ...],
) -> State:
    where = ", ".join(str(table.table) for table in tables)
    if not targets:
        return State(StateName.CURRENT, (), "the release has no revisions")
    if objects:
        what = ", ".join(sorted(objects)[:_NAMED]) + (" and others" if len(objects) > _NAMED else "")
        return State(StateName.UNVERSIONED, (), f"{where} has no rows, yet there are {what}")
    return State(StateName.FRESH, (), "nothing is there yet", pending)


def _judge(
    graph: Graph, targets: Collection[RevisionId], table: VersionRows, recorded: Parents
) -> tuple[StateName, str]:
    if table.is_misshapen:
        return StateName.CORRUPT, _misshapen(table)
    if table.nonsense:
        return StateName.CORRUPT, _nonsense(table)
    rows = table.rows
    if unknown := graph.unknown(rows):
        return _beyond(graph, targets, rows, unknown, recorded)
    if redundant := graph.redundant(rows):
        return StateName.CORRUPT, _two_of_one_lineage(table, redundant)
    if graph.fits(rows, targets):
        return StateName.CURRENT, f"at {', '.join(sorted(rows))}"
    return (
        StateName.PENDING,
        f"at {', '.join(sorted(rows)) or 'nothing'}, to reach {', '.join(sorted(targets))}",
    )


def _misshapen(table: VersionRows) -> str:
    name = table.table
    return (
        f"{name} has no column version_num: it is no version table; if it is left over, "
        f"ALTER TABLE {name} RENAME TO {name.name}_old, then `migrator adopt`"
    )


def _nonsense(table: VersionRows) -> str:
    rows = [one for one in table.nonsense if one is not None]
    conditions = ["version_num IS NULL"] if None in table.nonsense else []
    literals = ", ".join("'" + one.replace("'", "''") + "'" for one in rows)
    conditions += [f"version_num IN ({literals})"] if rows else []
    shown = ", ".join("NULL" if one is None else repr(one) for one in table.nonsense)
    return (
        f"{table.table} holds rows that are no revisions: {shown}; "  # noqa: S608 - for a person
        f"DELETE FROM {table.table} WHERE {' OR '.join(conditions)}"
    )


def _two_of_one_lineage(table: VersionRows, redundant: frozenset[RevisionId]) -> str:
    lower, heads = ", ".join(sorted(redundant)), ", ".join(sorted(table.rows - redundant))
    listed = ", ".join(f"'{one}'" for one in sorted(redundant))
    return (
        f"{table.table} holds two rows of one lineage: {lower} lies below {heads}; "  # noqa: S608 - for a person
        f"if the schema is at {heads}: DELETE FROM {table.table} WHERE version_num IN ({listed})"
    )


def _beyond(
    graph: Graph,
    targets: Collection[RevisionId],
    rows: frozenset[RevisionId],
    unknown: frozenset[RevisionId],
    recorded: Parents,
) -> tuple[StateName, str]:
    """Rows this release does not know: ahead by the ledger's proof, diverged by it, or unproven."""
    names = ", ".join(sorted(unknown))
    if not targets:  # most likely they were left out of the image, and nothing descends from nothing
        return StateName.AHEAD_UNPROVEN, f"it is at {names}, and this release has no revisions at all"
    if not unknown <= recorded.keys():
        nobody = ", ".join(sorted(unknown - recorded.keys()))
        if rows - unknown:
            known = ", ".join(sorted(rows - unknown))
            return StateName.DIVERGED, f"rows {names} are unknown to this release, {known} known"
        return StateName.AHEAD_UNPROVEN, f"rows {nobody} are unknown to this release and to the ledger"
    above = _ancestors(rows, graph, recorded)
    missing = frozenset(targets) - above
    if missing:
        lacking = ", ".join(sorted(missing))
        return StateName.DIVERGED, f"rows {names} do not descend from this release's {lacking}"
    return StateName.AHEAD, f"at {names}, which a newer release applied after {', '.join(sorted(targets))}"


def _ancestors(rows: Iterable[RevisionId], graph: Graph, recorded: Parents) -> frozenset[RevisionId]:
    seen: set[RevisionId] = set()
    todo = list(rows)
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            todo.extend(recorded.get(one, ()) or graph.parents.get(one, ()))
    return frozenset(seen)
