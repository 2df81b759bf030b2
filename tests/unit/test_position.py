"""Where a database stands in a history: what its version rows, and the state, say of each revision."""

import pytest

from migrator.history.graph import Graph
from migrator.history.position import Place, position
from migrator.history.sight import Sight
from migrator.history.state import State, StateName
from migrator.model import Revision, RevisionId, VersionRows, VersionTable


@pytest.fixture
def chain() -> Graph:
    """One line: a, b, c, d."""
    names = [RevisionId(one) for one in "abcd"]
    return Graph.build(Revision(one, tuple(names[n - 1 : n])) for n, one in enumerate(names))


def sight(name: StateName, *tables: str) -> Sight:
    rows = tuple(
        VersionRows(
            VersionTable(schema=f"s{number}"), exists=True, rows=frozenset(map(RevisionId, one.split()))
        )
        for number, one in enumerate(tables)
    )
    return Sight(tuple(one.table for one in rows), rows, State(name, (), ""))


def places(graph: Graph, seen: Sight | None, target: str = "c") -> list[Place]:
    found = position(graph, {RevisionId(target)}, seen)
    return [found[one.id] for one in graph.revisions]


def test_what_a_row_implies_is_applied_and_the_rest_of_the_target_pending(chain: Graph) -> None:
    assert places(chain, sight(StateName.PENDING, "b")) == [
        Place.APPLIED,
        Place.ROW,
        Place.PENDING,
        Place.UNWANTED,
    ]


def test_an_empty_database_lacks_everything(chain: Graph) -> None:
    assert places(chain, sight(StateName.FRESH, ""), "d") == [Place.PENDING] * 4


def test_tenants_may_stand_at_different_places(chain: Graph) -> None:
    assert places(chain, sight(StateName.PENDING, "a", "c")) == [
        Place.ROW,
        Place.IN_PART,
        Place.ROW,
        Place.UNWANTED,
    ]


def test_a_newer_releases_rows_imply_the_target_if_the_ledger_proved_it(chain: Graph) -> None:
    assert places(chain, sight(StateName.AHEAD, "e")) == [*[Place.APPLIED] * 3, Place.UNWANTED]


@pytest.mark.parametrize(
    "name", [StateName.UNVERSIONED, StateName.CORRUPT, StateName.DIVERGED, StateName.AHEAD_UNPROVEN]
)
def test_where_rows_do_not_tell_all_the_rest_is_not_known(chain: Graph, name: StateName) -> None:
    assert places(chain, sight(name, "a f00d")) == [Place.ROW, *[Place.UNKNOWN] * 3]


def test_nothing_is_known_of_a_database_that_was_not_seen(chain: Graph) -> None:
    assert places(chain, None) == [Place.UNKNOWN] * 4
