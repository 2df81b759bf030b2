"""What state a database is in, told from its version rows, the release's graph and the ledger."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from migrator.errors import StateRefused
from migrator.history.beyond import Recorded, ancestors, lineages, who_applied
from migrator.history.corrupt import what_is_corrupt
from migrator.history.graph import Graph
from migrator.model import Revision, RevisionId, VersionRows

# So many objects are named; more would hide the sentence.
_NAMED = 5


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


@dataclass(frozen=True, slots=True)
class Objects:
    """Names of what somebody made in the database, version tables left out.

    `ours` is what this history may have made; `others` is listed, and never counted.
    """

    ours: Collection[str] = ()
    others: Collection[str] = ()


def tell_state(
    graph: Graph,
    targets: Collection[RevisionId],
    tables: Collection[VersionRows],
    *,
    objects: Objects,
    recorded: Recorded,
) -> State:
    """Tell the state.

    With several version tables the most forbidding one decides; an empty one beside others that have rows is
    a tenant yet to be migrated.
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
    objects: Objects,
    pending: tuple[Revision, ...],
) -> State:
    where = ", ".join(str(table.table) for table in tables)
    if not targets:
        return State(StateName.CURRENT, (), "the release has no revisions")
    if objects.ours:
        return State(StateName.UNVERSIONED, (), f"{where} has no rows, yet there are {_listed(objects.ours)}")
    if objects.others:
        told = (
            f"nothing of this history is there yet, besides what it does not make: {_listed(objects.others)}"
        )
        return State(StateName.FRESH, (), told, pending)
    return State(StateName.FRESH, (), "nothing is there yet", pending)


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)[:_NAMED]) + (" and others" if len(names) > _NAMED else "")


def _judge(
    graph: Graph, targets: Collection[RevisionId], table: VersionRows, recorded: Recorded
) -> tuple[StateName, str]:
    if corrupt := what_is_corrupt(table, graph):
        return StateName.CORRUPT, corrupt
    rows = table.rows
    if unknown := graph.unknown(rows):
        return _beyond(graph, targets, rows, unknown, recorded)
    if graph.fits(rows, targets):
        return StateName.CURRENT, f"at {', '.join(sorted(rows))}"
    return (
        StateName.PENDING,
        f"at {', '.join(sorted(rows)) or 'nothing'}, to reach {', '.join(sorted(targets))}",
    )


def _beyond(
    graph: Graph,
    targets: Collection[RevisionId],
    rows: frozenset[RevisionId],
    unknown: frozenset[RevisionId],
    recorded: Recorded,
) -> tuple[StateName, str]:
    names = ", ".join(sorted(unknown))
    if not targets:  # most likely they were left out of the image, and nothing descends from nothing
        return StateName.AHEAD_UNPROVEN, f"it is at {names}, and this release has no revisions at all"
    if not unknown <= recorded.parents.keys():
        nobody = ", ".join(sorted(unknown - recorded.parents.keys()))
        if rows - unknown:
            known = ", ".join(sorted(rows - unknown))
            return StateName.DIVERGED, f"rows {names} are unknown to this release, {known} known"
        return StateName.AHEAD_UNPROVEN, f"rows {nobody} are unknown to this release and to the ledger"
    missing = frozenset(targets) - ancestors(rows, graph, recorded)
    if missing:
        lacking = ", ".join(sorted(missing))
        both = lineages(rows, targets, graph, recorded)
        return StateName.DIVERGED, f"rows {names} do not descend from this release's {lacking}; {both}"
    who = who_applied(unknown, recorded)
    return StateName.AHEAD, f"at {names}, which {who} applied after {', '.join(sorted(targets))}"
