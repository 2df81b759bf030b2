"""The state, told from values alone: each word of the table, and what it forbids."""

import pytest

from migrator.errors import ExitCode, StateRefused
from migrator.history.beyond import Recorded
from migrator.history.graph import Graph
from migrator.history.state import Objects, State, StateName, refuse_state, tell_state
from migrator.history.target import resolve_target
from migrator.model import Revision, RevisionId, VersionRows, VersionTable

NEWER = "d4"


def revision(name: str, *down: str, depends_on: tuple[str, ...] = ()) -> Revision:
    return Revision(RevisionId(name), tuple(map(RevisionId, down)), depends_on)


GRAPH = Graph.build([revision("a1"), revision("b2", "a1"), revision("c3", "b2")])
FORKED = Graph.build([revision("a1"), revision("b2", "a1"), revision("x2", "a1")])


def rows(*ids: str, name: str = "alembic_version", schema: str = "public") -> VersionRows:
    return VersionRows(VersionTable(name, schema), exists=True, rows=frozenset(map(RevisionId, ids)))


ABSENT = VersionRows(VersionTable(), exists=False)
MISSHAPEN = VersionRows(VersionTable("alembic_version", "public"), exists=True, is_misshapen=True)


def parents(**above: str) -> Recorded:
    recorded = {RevisionId(name): frozenset(map(RevisionId, text.split())) for name, text in above.items()}
    return Recorded(recorded)


def tell(
    *tables: VersionRows,
    graph: Graph = GRAPH,
    objects: tuple[str, ...] = (),
    others: tuple[str, ...] = (),
    recorded: Recorded | None = None,
    target: str = "heads",
) -> State:
    return tell_state(
        graph,
        resolve_target(graph, target),
        tables,
        objects=Objects(objects, others),
        recorded=recorded or Recorded(),
    )


def pending(state: State) -> list[str]:
    return [one.id for one in state.pending]


@pytest.mark.parametrize("table", [ABSENT, rows()])
def test_without_rows_and_objects_a_database_is_fresh(table: VersionRows) -> None:
    state = tell(table)
    assert state.name is StateName.FRESH
    assert pending(state) == ["a1", "b2", "c3"]


@pytest.mark.parametrize("table", [ABSENT, rows()])
def test_objects_without_rows_are_unversioned(table: VersionRows) -> None:
    state = tell(table, objects=("public.book", "public.shelf"))
    assert state.name is StateName.UNVERSIONED
    assert "public.book, public.shelf" in state.reason
    assert state.pending == ()


def test_at_most_five_objects_are_named() -> None:
    state = tell(ABSENT, objects=tuple(f"public.t{number}" for number in range(9)))
    assert state.reason.count("public.t") == 5
    assert state.reason.endswith("and others")


def test_a_release_without_revisions_fits_any_database() -> None:
    state = tell(ABSENT, graph=Graph.build([]), objects=("public.book",))
    assert state.name is StateName.CURRENT


def test_at_the_head_a_database_is_current() -> None:
    state = tell(rows("c3"))
    assert (state.name, state.heads, state.pending) == (StateName.CURRENT, ("c3",), ())


def test_below_the_head_the_rest_is_pending() -> None:
    state = tell(rows("a1"))
    assert (state.name, pending(state)) == (StateName.PENDING, ["b2", "c3"])
    assert state.reason == "at a1, to reach c3"


def test_above_the_target_a_database_is_current() -> None:
    assert tell(rows("c3"), target="b2").name is StateName.CURRENT


def test_one_branch_of_two_is_pending_for_both() -> None:
    state = tell(rows("b2"), graph=FORKED)
    assert (state.name, pending(state)) == (StateName.PENDING, ["x2"])


def test_two_heads_are_two_rows() -> None:
    state = tell(rows("b2", "x2"), graph=FORKED)
    assert (state.name, state.heads) == (StateName.CURRENT, ("b2", "x2"))


def test_two_rows_of_one_lineage_are_corrupt_and_the_cure_is_said() -> None:
    state = tell(rows("a1", "c3"))
    assert state.name is StateName.CORRUPT
    assert "DELETE FROM public.alembic_version WHERE version_num IN ('a1')" in state.reason


def test_a_version_table_without_its_column_is_corrupt() -> None:
    state = tell(MISSHAPEN)
    assert state.name is StateName.CORRUPT
    assert state.reason.startswith("public.alembic_version has no column version_num: ")


def test_an_unknown_row_that_nobody_recorded_is_ahead_but_unproven() -> None:
    state = tell(rows(NEWER))
    assert state.name is StateName.AHEAD_UNPROVEN
    assert "unknown to this release and to the ledger" in state.reason


def test_an_unknown_row_recorded_above_the_target_is_ahead() -> None:
    state = tell(rows("e5"), recorded=parents(d4="c3", e5="d4"))
    assert state.name is StateName.AHEAD
    assert "which a newer release applied after c3" in state.reason


def test_the_ledger_proves_a_merge_of_what_this_release_knows_and_what_it_does_not() -> None:
    state = tell(rows("m9"), graph=FORKED, recorded=parents(m9="b2 y3", y3="x2"))
    assert state.name is StateName.AHEAD


def test_an_unknown_row_recorded_beside_the_target_is_diverged() -> None:
    state = tell(rows("z3"), recorded=parents(z3="b2"))
    assert state.name is StateName.DIVERGED
    assert state.reason == (
        "rows z3 do not descend from this release's c3; they part after b2: "
        "the database went on with z3, this release with c3"
    )


def test_known_and_unrecorded_unknown_rows_together_are_diverged() -> None:
    state = tell(rows("b2", NEWER), graph=FORKED)
    assert state.name is StateName.DIVERGED
    assert state.reason == "rows d4 are unknown to this release, b2 known"


def test_known_and_recorded_rows_together_may_be_ahead() -> None:
    state = tell(rows("b2", "y3"), graph=FORKED, recorded=parents(y3="x2"))
    assert state.name is StateName.AHEAD


def test_a_recorded_cycle_ends() -> None:
    assert tell(rows("d4"), recorded=parents(d4="e5", e5="d4")).name is StateName.DIVERGED


def test_of_several_version_tables_the_most_forbidding_decides() -> None:
    tables = [rows(*ids, schema=schema) for schema, ids in (("one", ["c3"]), ("two", ["a1"]))]
    state = tell(*tables)
    assert (state.name, state.heads, pending(state)) == (StateName.PENDING, ("a1", "c3"), ["b2", "c3"])
    assert tell(*tables, rows(NEWER, schema="three")).name is StateName.AHEAD_UNPROVEN
    assert tell(*tables, MISSHAPEN).name is StateName.CORRUPT


def test_a_tenant_without_rows_beside_others_is_yet_to_be_migrated() -> None:
    state = tell(rows("c3", schema="one"), rows(schema="two"), objects=("one.book",))
    assert (state.name, pending(state)) == (StateName.PENDING, ["a1", "b2", "c3"])


MIGRATED = {StateName.PENDING, StateName.FRESH}
OPENS = {
    "refuse": {StateName.CURRENT},
    "allow": {StateName.CURRENT, StateName.AHEAD},
    "allow-unproven": {StateName.CURRENT, StateName.AHEAD, StateName.AHEAD_UNPROVEN},
}


@pytest.mark.parametrize("on_ahead", OPENS)
@pytest.mark.parametrize("name", StateName)
def test_every_state_is_migrated_opens_the_gate_or_is_refused(name: StateName, on_ahead: str) -> None:
    state = State(name, (), "because")
    assert state.opens_gate(on_ahead) == (name in OPENS[on_ahead])
    if name in MIGRATED | OPENS[on_ahead]:
        refuse_state(state, on_ahead=on_ahead)
        return
    with pytest.raises(StateRefused, match=f"the database is {name}: because") as refusal:
        refuse_state(state, on_ahead=on_ahead)
    assert refusal.value.remedy != ExitCode.STATE_REFUSED.remedy
    assert refusal.value.facts == {"state": name.value}


def test_rows_that_cannot_be_revisions_are_corrupt_and_the_repair_is_told() -> None:
    table = VersionRows(
        VersionTable("alembic_version", "public"),
        exists=True,
        rows=frozenset([RevisionId("a1")]),
        nonsense=(None, "it's"),
    )
    state = tell(table)
    assert state.name is StateName.CORRUPT
    assert (
        "DELETE FROM public.alembic_version WHERE version_num IS NULL OR version_num IN ('it''s')"
        in state.reason
    )


def test_a_database_that_is_ahead_names_the_release_that_made_it_so() -> None:
    recorded = Recorded(parents(d4="c3").parents, {RevisionId("d4"): "2.1"})
    assert "which the newer release 2.1 applied after c3" in tell(rows("d4"), recorded=recorded).reason


def test_what_no_revision_makes_is_listed_and_does_not_count() -> None:
    state = tell(rows(), others=("public.invoices",))
    assert state.name is StateName.FRESH
    assert "public.invoices" in state.reason


def test_long_lineages_are_shown_by_their_newest_revisions() -> None:
    recorded = parents(z3="b2", z4="z3", z5="z4", z6="z5", z7="z6")
    assert (
        "went on with … → z4 → z5 → z6 → z7, this release with c3"
        in tell(rows("z7"), recorded=recorded).reason
    )


def test_histories_without_anything_in_common_say_so() -> None:
    assert "they have nothing in common" in tell(rows("z3"), recorded=parents(z3="")).reason
