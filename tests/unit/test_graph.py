"""The graph: what it refuses, and what it says of histories drawn by hand."""

from pathlib import Path

import pytest

from migrator.errors import RevisionsInvalid
from migrator.history.graph import Graph
from migrator.history.target import resolve_target
from migrator.model import Revision, RevisionId


def revision(
    name: str, *down: str, depends_on: tuple[str, ...] = (), label: str = "", file: str = ""
) -> Revision:
    return Revision(
        RevisionId(name),
        tuple(map(RevisionId, down)),
        depends_on,
        frozenset({label} - {""}),
        path=Path(file) if file else None,
    )


@pytest.fixture
def chain() -> Graph:
    """One line: aaaa1, aaaa2, aaaa3."""
    return Graph.build([revision("aaaa1"), revision("aaaa2", "aaaa1"), revision("aaaa3", "aaaa2")])


@pytest.fixture
def fork() -> Graph:
    """Two branches from one base, labelled left and right."""
    return Graph.build(
        [
            revision("base1"),
            revision("left1", "base1", label="left"),
            revision("right1", "base1", label="right"),
        ]
    )


@pytest.fixture
def two_bases() -> Graph:
    """Two lineages; the second depends on the middle of the first."""
    return Graph.build(
        [
            revision("core1", label="core"),
            revision("core2", "core1"),
            revision("core3", "core2"),
            revision("shop1", label="shop"),
            revision("shop2", "shop1", depends_on=("core2",)),
        ]
    )


def test_an_empty_history_is_valid_and_fits_a_database_without_rows() -> None:
    graph = Graph.build([])
    assert graph.heads == graph.bases == ()
    assert resolve_target(graph, "head") == resolve_target(graph, "heads") == frozenset()
    assert graph.fits((), resolve_target(graph, "head"))
    assert not graph.fits(("gone1",), resolve_target(graph, "head"))


def test_a_repeated_id_names_both_files() -> None:
    twins = [revision("aaaa1", file="versions/one.py"), revision("aaaa1", file="versions/two.py")]
    with pytest.raises(RevisionsInvalid, match=r"'aaaa1' is declared by both one\.py and two\.py"):
        Graph.build(twins)


def test_a_missing_parent_names_child_and_parent() -> None:
    with pytest.raises(RevisionsInvalid, match=r"aaaa2 \(two\.py\) follows 'aaaa1', which no file declares"):
        Graph.build([revision("aaaa2", "aaaa1", file="two.py")])


def test_a_missing_dependency_is_refused() -> None:
    with pytest.raises(RevisionsInvalid, match=r"aaaa1 .* depends on 'nothing', which no file declares"):
        Graph.build([revision("aaaa1", depends_on=("nothing",))])


def test_the_beginning_of_an_id_is_no_dependency_because_alembic_does_not_complete_it() -> None:
    with pytest.raises(RevisionsInvalid, match="depends on 'aaaa'"):
        Graph.build([revision("aaaa1"), revision("bbbb1", depends_on=("aaaa",))])


def test_a_cycle_is_named_in_full() -> None:
    circle = [
        revision("aaaa1"),
        revision("bbbb1", "dddd1"),
        revision("cccc1", "bbbb1"),
        revision("dddd1", "cccc1"),
    ]
    with pytest.raises(RevisionsInvalid, match="cycle: ") as caught:
        Graph.build(circle)
    assert set("bcd") == {name[0] for name in caught.value.message.split(": ")[1].split(";")[0].split(" -> ")}


def test_a_cycle_through_dependencies_is_refused() -> None:
    with pytest.raises(RevisionsInvalid, match="cycle"):
        Graph.build([revision("aaaa1", depends_on=("bbbb1",)), revision("bbbb1", depends_on=("aaaa1",))])


def test_a_revision_cannot_follow_itself() -> None:
    with pytest.raises(RevisionsInvalid, match="cycle: aaaa1 -> aaaa1"):
        Graph.build([revision("aaaa1", "aaaa1")])


def test_a_repeated_branch_label_names_both_revisions() -> None:
    with pytest.raises(RevisionsInvalid, match="'shop' of revision bbbb1 is already used by revision aaaa1"):
        Graph.build([revision("aaaa1", label="shop"), revision("bbbb1", label="shop")])


def test_a_branch_label_cannot_be_an_id() -> None:
    with pytest.raises(RevisionsInvalid, match="already used by revision bbbb1"):
        Graph.build([revision("aaaa1", label="bbbb1"), revision("bbbb1")])


def test_an_id_with_a_character_of_the_target_syntax_is_refused() -> None:
    with pytest.raises(RevisionsInvalid, match="contains one of"):
        Graph.build([revision("a-1")])


def test_head_with_several_heads_is_refused_with_the_heads_and_a_remedy(fork: Graph) -> None:
    with pytest.raises(RevisionsInvalid, match="left1, right1") as caught:
        resolve_target(fork, "head")
    assert caught.value.exit_code == 11
    assert "MIGRATOR_TARGET=heads" in caught.value.message
    assert "branch@head" in caught.value.remedy


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("heads", {"left1", "right1"}),
        ("left@head", {"left1"}),
        ("left@heads", {"left1"}),
        ("left", {"left1"}),
        ("rig", {"right1"}),
        ("base1", {"base1"}),
        ("left@base1", {"base1"}),
        ("base", set()),
    ],
)
def test_a_target_resolves_as_in_alembic(fork: Graph, target: str, expected: set[str]) -> None:
    if target == "rig":
        fork = Graph.build(
            one if one.id != "right1" else revision("right1", "base1") for one in fork.revisions
        )
    assert resolve_target(fork, target) == expected


@pytest.mark.parametrize("target", ["", "nowhere", "nowhere@head", "left@right1", "@"])
def test_a_target_that_names_nothing_is_refused(fork: Graph, target: str) -> None:
    with pytest.raises(RevisionsInvalid):
        resolve_target(fork, target)


@pytest.mark.parametrize("target", ["+1", "-1", "head-1", "left@+1", "aaaa1+2"])
def test_a_relative_target_is_refused_because_a_retry_would_mean_another_revision(
    fork: Graph, target: str
) -> None:
    with pytest.raises(RevisionsInvalid, match="relative"):
        resolve_target(fork, target)


def test_an_ambiguous_beginning_lists_what_it_could_mean(chain: Graph) -> None:
    with pytest.raises(RevisionsInvalid, match="aaaa1, aaaa2, aaaa3"):
        resolve_target(chain, "aaaa")


def test_ids_of_three_characters_are_never_completed() -> None:
    graph = Graph.build([revision("001"), revision("002", "001")])
    assert resolve_target(graph, "002") == {"002"}
    with pytest.raises(RevisionsInvalid):
        resolve_target(graph, "00")


def test_a_lineage_leaves_out_dependencies_and_ancestors_do_not(two_bases: Graph) -> None:
    assert two_bases.lineage(["shop2"]) == {"shop2", "shop1"}
    assert two_bases.ancestors(["shop2"]) == {"shop2", "shop1", "core2", "core1"}


def test_what_is_pending_comes_oldest_first_and_only_once(two_bases: Graph) -> None:
    pending: list[str] = [one.id for one in two_bases.pending(["core1"], resolve_target(two_bases, "heads"))]
    assert sorted(pending) == ["core2", "core3", "shop1", "shop2"]
    assert pending.index("core2") < pending.index("core3")
    assert max(pending.index("shop1"), pending.index("core2")) < pending.index("shop2")


def test_a_target_behind_the_rows_leaves_nothing_pending_and_fits(chain: Graph) -> None:
    assert chain.pending(["aaaa3"], ["aaaa1"]) == ()
    assert chain.fits(["aaaa3"], ["aaaa1"])


def test_a_target_that_only_a_dependency_implies_fits(two_bases: Graph) -> None:
    assert two_bases.fits(["shop2"], ["core2"])
    assert not two_bases.fits(["shop2"], ["core3"])


def test_what_lies_between_two_sets_of_rows_comes_oldest_first(chain: Graph) -> None:
    assert chain.between(["aaaa1"], ["aaaa3", "newer"]) == ("aaaa2", "aaaa3")
    assert chain.between(["aaaa3"], ["aaaa1"]) == ()


def test_an_unknown_row_never_fits(chain: Graph) -> None:
    assert chain.unknown(["aaaa3", "newer"]) == {"newer"}
    assert not chain.fits(["aaaa3", "newer"], ["aaaa3"])


def test_rows_of_one_lineage_are_redundant(chain: Graph) -> None:
    assert chain.redundant(["aaaa1", "aaaa3"]) == {"aaaa1"}


def test_a_row_that_is_there_twice_is_redundant(chain: Graph) -> None:
    assert chain.redundant(["aaaa3", "aaaa3"]) == {"aaaa3"}


def test_rows_of_several_branches_are_not_redundant(fork: Graph, two_bases: Graph) -> None:
    assert not fork.redundant(["left1", "right1"])
    assert not two_bases.redundant(["core3", "shop2"])


def test_unknown_rows_are_not_redundant(chain: Graph) -> None:
    assert not chain.redundant(["newer", "aaaa3"])


def test_a_chain_of_ten_thousand_revisions_is_no_deeper_than_the_stack() -> None:
    names = [f"{number:06}" for number in range(10_000)]
    graph = Graph.build(revision(name, *names[max(0, place - 1) : place]) for place, name in enumerate(names))
    assert resolve_target(graph, "head") == {names[-1]}
    assert [one.id for one in graph.pending((), graph.heads)] == names
    assert graph.redundant([names[0], names[-1]]) == {names[0]}
