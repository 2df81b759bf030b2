"""Which sets of revisions are replayed, so that each one is met with nothing but its ancestors applied."""

from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.history.graph import Graph
from migrator.history.replay import chains
from migrator.model import Revision, RevisionId

Edges = dict[str, str]
"""By revision, its parents, a letter each; behind a `!` those it only depends on."""

LINE: Edges = {"a": "", "b": "a", "c": "b"}
FORK: Edges = {"a": "", "b": "a", "c": "a"}
DIAMOND: Edges = FORK | {"m": "bc"}


def graph_of(edges: Edges) -> Graph:
    revisions = []
    for id_, parents in edges.items():
        down, _, needs = parents.partition("!")
        revisions.append(Revision(RevisionId(id_), tuple(map(RevisionId, down)), tuple(needs)))
    return Graph.build(revisions)


def met(graph: Graph, chosen: Collection[RevisionId]) -> set[RevisionId]:
    """What is met with nothing but its ancestors applied, when Alembic applies these in its order."""
    applied: set[RevisionId] = set()
    found: set[RevisionId] = set()
    for one in graph.pending((), graph.heads):
        if one.id in chosen:
            applied.add(one.id)
            if graph.ancestors((one.id,)) == applied:
                found.add(one.id)
    return found


def sets(edges: Edges, *targets: str) -> list[str]:
    graph = graph_of(edges)
    return ["".join(sorted(chosen)) for chosen in chains(graph, [RevisionId(one) for one in targets])]


def test_nothing_needs_no_replay() -> None:
    assert sets({}) == []


def test_a_line_is_replayed_once() -> None:
    assert sets(LINE, "c") == ["abc"]


def test_only_what_the_target_needs_is_replayed() -> None:
    assert sets(LINE, "b") == ["ab"]


@pytest.mark.parametrize("edges", [DIAMOND, FORK, {"a": "", "b": "", "m": "ab"}])
def test_of_two_branches_the_second_is_replayed_again_by_itself(edges: Edges) -> None:
    graph = graph_of(edges)
    first, second = chains(graph, graph.heads)
    assert first == set(edges)
    assert second == graph.ancestors(set(edges) - met(graph, first))
    assert met(graph, first) | met(graph, second) == set(edges)


def test_a_branch_that_is_not_wanted_is_not_replayed() -> None:
    assert sets(FORK, "b") == ["ab"]


def test_a_dependency_is_replayed_with_what_depends_on_it() -> None:
    assert sets({"a": "", "b": "a", "x": "!b", "y": "x"}, "y", "b") == ["abxy"]


@st.composite
def histories(draw: st.DrawFn) -> Edges:
    """A random history: each revision follows up to three earlier ones, and may depend on another."""
    names = "abcdefghijkl"[: draw(st.integers(1, 12))]
    edges: Edges = {}
    for number, name in enumerate(names):
        earlier = st.lists(st.sampled_from(names[:number] or "-"), max_size=3 if number else 0, unique=True)
        needed = draw(st.lists(st.sampled_from(names[:number] or "-"), max_size=1 if number else 0))
        edges[name] = "".join(draw(earlier)) + ("!" + "".join(needed) if needed else "")
    return edges


@given(histories(), st.data())
def test_every_wanted_revision_is_met_with_nothing_but_its_ancestors_applied(
    edges: Edges, data: st.DataObject
) -> None:
    graph = graph_of(edges)
    targets = data.draw(st.lists(st.sampled_from(sorted(edges)), min_size=1, max_size=3).map(_ids))
    found = list(chains(graph, targets))
    wanted = graph.ancestors(targets)
    assert found[0] == wanted
    assert all(chosen == graph.ancestors(chosen) for chosen in found), "each holds its own ancestors"
    assert set().union(*(met(graph, chosen) for chosen in found)) == wanted
    assert len(found) <= len(wanted)


def _ids(names: list[str]) -> list[RevisionId]:
    return [RevisionId(name) for name in names]
