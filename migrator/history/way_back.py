"""The way back: which revisions a rollback takes back, and what is left then."""

import ast
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from migrator.errors import RecoveryFailed, RevisionsInvalid
from migrator.history.graph import Graph
from migrator.history.target import resolve_target
from migrator.model import Revision, RevisionId

BASE = "base"
_HEADS = frozenset({"head", "heads"})


@dataclass(frozen=True, slots=True)
class WayBack:
    """Down to `target` as Alembic names it, by these revisions alone, newest first."""

    target: str
    revisions: tuple[Revision, ...]

    @property
    def ids(self) -> frozenset[RevisionId]:
        """What is taken back."""
        return frozenset(one.id for one in self.revisions)

    def left_of(self, rows: Collection[RevisionId], graph: Graph) -> frozenset[RevisionId]:
        """The rows that a version table with these rows has afterwards."""
        left = graph.ancestors(rows) - self.ids
        return left - graph.ancestors(parent for one in left for parent in graph.parents[one])


def way_back_to(graph: Graph, rows: Collection[RevisionId], name: str) -> WayBack:
    """Back to a revision (an id, the beginning of one, a label) or `base`. Raises `RecoveryFailed`."""
    applied = graph.ancestors(rows)
    if name == BASE:
        return _way(graph, applied, BASE, applied)
    try:
        found = resolve_target(graph, name)
    except RevisionsInvalid as error:
        raise RecoveryFailed(
            f"--to {name} does not name a revision: {error.message}",
            remedy="give the id of a revision that is applied, or `base`",
        ) from error
    if len(found) != 1 or name.rpartition("@")[2] in _HEADS:
        raise RecoveryFailed(f"--to {name} does not name one revision", remedy="give its id")
    (target,) = found
    if target not in applied:
        raise RecoveryFailed(
            f"the database is not beyond revision {target}: that one is not applied",
            remedy="name a revision that is applied: `migrator status` shows where the database is",
        )
    above = [one for one in applied if one != target and target in graph.ancestors((one,))]
    return _way(graph, applied, target, above)


def way_back_by(graph: Graph, rows: Collection[RevisionId], steps: int) -> WayBack:
    """Back by so many revisions, where there is only one way. Raises `RecoveryFailed`."""
    applied = graph.ancestors(rows)
    place: tuple[RevisionId, ...] = tuple(rows)
    for number in range(steps):
        if len(place) != 1:
            where = f"after {number} steps there are" if number else "the database has"
            heads = ", ".join(sorted(place)) or "none"
            raise RecoveryFailed(
                f"--steps {steps} has no one meaning: {where} {len(place)} heads ({heads})",
                remedy="name the revision to go back to: --to REV",
            )
        place = graph.parents[place[0]]
    if len(place) > 1:
        raise RecoveryFailed(
            f"--steps {steps} would end between branches: {', '.join(sorted(place))}",
            remedy="name the revision to go back to: --to REV",
        )
    target = place[0] if place else BASE
    return _way(graph, applied, target, applied - graph.ancestors(place))


def _way(graph: Graph, applied: Iterable[str], target: str, taken: Iterable[RevisionId]) -> WayBack:
    order = [one for one in reversed(graph.pending((), list(applied))) if one.id in set(taken)]
    return WayBack(target, tuple(order))


def lacks_downgrade(revision: Revision) -> bool:
    """Whether a revision's file says how it is applied, but not how it is taken back.

    One that does nothing either way, as a merge, lacks nothing. A file that cannot be read lacks nothing that
    we know of: trying will tell.
    """
    if revision.path is None:
        return False
    try:
        tree = ast.parse(revision.path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return False
    found = {one.name: one for one in tree.body if isinstance(one, ast.FunctionDef)}
    up, down = found.get("upgrade"), found.get("downgrade")
    if down is None:
        return up is not None and not _is_bound(tree, "downgrade")
    return _does_nothing(down) and not (up is not None and _does_nothing(up))


def _is_bound(tree: ast.Module, name: str) -> bool:
    """Whether another statement of the module may make that name: an import, an assignment."""
    for one in tree.body:
        if isinstance(one, (ast.Import, ast.ImportFrom)):
            if any((alias.asname or alias.name) in {name, "*"} for alias in one.names):
                return True
        elif any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(one)):
            return True
    return False


def _does_nothing(function: ast.FunctionDef) -> bool:
    """Whether there is nothing in it but words, `pass`, `return` and `raise`."""
    return all(
        isinstance(one, (ast.Pass, ast.Raise))
        or (isinstance(one, ast.Return) and one.value is None)
        or (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
        for one in function.body
    )
