"""Which revisions a rollback takes back, and which cannot be."""

from pathlib import Path

import pytest

from migrator.errors import RecoveryFailed
from migrator.history.graph import Graph
from migrator.history.way_back import WayBack, lacks_downgrade, way_back_by, way_back_to
from migrator.model import Revision, RevisionId


def revision(id_: str, *down: str, depends_on: tuple[str, ...] = ()) -> Revision:
    return Revision(RevisionId(id_), tuple(map(RevisionId, down)), depends_on)


LINE = Graph.build([revision("aaaa"), revision("bbbb", "aaaa"), revision("cccc", "bbbb")])
#   root ─ left ─ merged ─ last
#       └─ right ─┘
DIAMOND = Graph.build(
    [
        revision("root"),
        revision("left", "root"),
        revision("right", "root"),
        revision("merged", "left", "right"),
        revision("last", "merged"),
    ]
)


def ids(way: WayBack) -> list[str]:
    return [one.id for one in way.revisions]


def rows(*names: str) -> tuple[RevisionId, ...]:
    return tuple(map(RevisionId, names))


def test_the_newest_goes_first() -> None:
    assert ids(way_back_to(LINE, rows("cccc"), "aaaa")) == ["cccc", "bbbb"]
    assert ids(way_back_to(LINE, rows("cccc"), "base")) == ["cccc", "bbbb", "aaaa"]


def test_an_id_may_have_the_word_head_in_it() -> None:
    graph = Graph.build([revision("0001_header"), revision("0002_heads", "0001_header")])
    assert ids(way_back_to(graph, rows("0002_heads"), "0001_header")) == ["0002_heads"]


def test_what_is_not_applied_is_not_taken_back() -> None:
    assert ids(way_back_to(LINE, rows("bbbb"), "aaaa")) == ["bbbb"]


def test_where_the_database_is_already_there_is_nothing_to_do() -> None:
    assert ids(way_back_to(LINE, rows("bbbb"), "bbbb")) == []


def test_steps_are_counted_from_where_the_database_is() -> None:
    one = way_back_by(LINE, rows("bbbb"), 1)
    assert (one.target, ids(one)) == ("aaaa", ["bbbb"])
    all_ = way_back_by(LINE, rows("bbbb"), 2)
    assert (all_.target, ids(all_)) == ("base", ["bbbb", "aaaa"])


def test_both_branches_above_a_fork_are_taken_back() -> None:
    way = way_back_to(DIAMOND, rows("last"), "root")
    assert ids(way)[:2] == ["last", "merged"]
    assert set(ids(way)[2:]) == {"left", "right"}


def test_one_branch_stays_where_only_the_other_is_taken_back() -> None:
    way = way_back_to(DIAMOND, rows("left", "right"), "left")
    assert ids(way) == []
    below = way_back_to(DIAMOND, rows("merged"), "left")
    assert ids(below) == ["merged"]
    assert below.left_of(rows("merged"), DIAMOND) == {"left", "right"}


def test_what_depends_on_a_revision_goes_before_it() -> None:
    graph = Graph.build([revision("aaaa"), revision("bbbb", "aaaa"), revision("zzzz", depends_on=("bbbb",))])
    way = way_back_to(graph, rows("zzzz"), "aaaa")
    assert ids(way) == ["zzzz", "bbbb"]
    assert way.left_of(rows("zzzz"), graph) == {"aaaa"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dddd", "does not name a revision"),
        ("head", "does not name one revision"),
        ("-1", "does not name a revision"),
        ("cccc", "is not applied"),
    ],
)
def test_what_is_no_place_to_go_back_to_is_refused(name: str, said: str) -> None:
    with pytest.raises(RecoveryFailed, match=said):
        way_back_to(LINE, rows("bbbb"), name)


@pytest.mark.parametrize(("heads", "steps"), [(("left", "right"), 1), (("merged",), 1), (("last",), 3)])
def test_steps_over_branches_have_no_one_meaning(heads: tuple[str, ...], steps: int) -> None:
    with pytest.raises(RecoveryFailed, match="--steps") as refusal:
        way_back_by(DIAMOND, rows(*heads), steps)
    assert "--to REV" in refusal.value.remedy


def test_more_steps_than_there_are_is_refused() -> None:
    with pytest.raises(RecoveryFailed, match="heads"):
        way_back_by(LINE, rows("bbbb"), 3)


@pytest.mark.parametrize(
    ("source", "lacks"),
    [
        ("def upgrade():\n    op.x()\ndef downgrade():\n    op.y()", False),
        ("def upgrade():\n    op.x()\ndef downgrade():\n    pass", True),
        ("def upgrade():\n    op.x()\ndef downgrade():\n    'never'\n    return", True),
        ("def upgrade():\n    op.x()\ndef downgrade():\n    raise NotImplementedError('never')", True),
        ("def upgrade():\n    op.x()", True),
        ("def upgrade():\n    pass\ndef downgrade():\n    pass", False),
        ("def upgrade():\n    op.x()\ndowngrade = undo", False),
        ("def upgrade():\n    op.x()\nfrom common import downgrade", False),
        ("from common import *", False),
        ("this is no Python", False),
    ],
)
def test_a_revision_that_does_something_must_say_how_it_is_undone(
    tmp_path: Path, source: str, *, lacks: bool
) -> None:
    file = tmp_path / "a1.py"
    file.write_text(source)
    assert lacks_downgrade(Revision(RevisionId("a1"), path=file)) is lacks
