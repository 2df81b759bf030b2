"""The drawing of a history: lanes that anyone who knows `git log --graph` can read."""

import random

import pytest

from migrator.history.graph import Graph
from migrator.history.lanes import drawn
from migrator.model import Revision, RevisionId


def revision(name: str, *down: str, depends_on: tuple[str, ...] = ()) -> Revision:
    return Revision(RevisionId(name), tuple(map(RevisionId, down)), depends_on)


def drawing(*revisions: Revision) -> list[str]:
    graph = Graph.build(revisions)
    return [f"{row.lanes} {row.revision or ''}".rstrip() for row in drawn(graph, lambda _: "●")]


def test_a_chain_is_one_lane_with_the_newest_on_top() -> None:
    assert drawing(revision("a"), revision("b", "a"), revision("c", "b")) == ["● c", "● b", "● a"]


def test_a_merge_opens_lanes_and_a_branch_point_closes_them() -> None:
    found = drawing(revision("a"), revision("b", "a"), revision("c", "a"), revision("m", "b", "c"))
    assert found == ["● m", "├─┐", "● │ b", "│ ● c", "├─┘", "● a"]


def test_two_heads_meet_where_they_branched() -> None:
    found = drawing(revision("a"), revision("b", "a"), revision("c", "a"))
    assert found == ["● b", "│ ● c", "├─┘", "● a"]


def test_a_dependency_is_dashed() -> None:
    found = drawing(revision("a"), revision("x"), revision("y", "x", depends_on=("a",)))
    assert found == ["● y", "├┄┐", "● ┊ x", "  ● a"]
    assert drawing(revision("a"), revision("x", depends_on=("a",))) == ["● x", "┊", "● a"]


def test_histories_without_a_common_base_are_apart() -> None:
    assert drawing(revision("a"), revision("x")) == ["● a", "", "● x"]


@pytest.mark.parametrize("seed", range(40))
def test_every_parent_is_reached_from_its_child_along_the_lanes(seed: int) -> None:
    """Follow each child's strokes down, whatever lanes they cross or share: the parents must be there."""
    chance = random.Random(seed)
    revisions: list[Revision] = []
    for number in range(chance.randint(2, 25)):
        names = [one.id for one in revisions]
        down = chance.sample(names, min(len(names), chance.choice([0, 1, 1, 1, 1, 2, 3])))
        rest = [name for name in names if name not in down]
        depends_on = chance.sample(rest, min(len(rest), chance.choice([0, 0, 0, 1])))
        revisions.append(revision(f"r{number}", *down, depends_on=tuple(depends_on)))
    graph = Graph.build(revisions)
    rows = list(drawn(graph, lambda _: "●"))
    assert sorted(row.revision for row in rows if row.revision) == sorted(graph.by_id)
    for number, row in enumerate(rows):
        if row.revision is not None:
            assert set(graph.parents[row.revision]) <= reached(rows, number)


def reached(rows: list, start: int) -> set[RevisionId]:  # type: ignore[type-arg]
    """The revisions that strokes lead to from the one in a row."""
    places, found = {rows[start].lanes.index("●")}, set()
    for row in rows[start + 1 :]:
        across = {one for one, sign in enumerate(row.lanes) if sign in "├┤┴┬┘┐└┌┼"}
        if across & places:
            span = range(min(across), max(across) + 1)
            places |= {one for one in span if one in across}
            places -= {one for one in places if row.lanes[one] in "┘└┴"}
        places = {one for one in places if one < len(row.lanes) and row.lanes[one] != " "}
        if row.revision is not None and (at := row.lanes.index("●")) in places:
            found.add(row.revision)
            places.discard(at)
    return found
