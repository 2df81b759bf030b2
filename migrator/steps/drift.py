"""Drift: what of the live schema is not what the revisions build, up to the version it claims."""

from migrator.errors import InterruptedMidway, StateRefused
from migrator.history.replay import cannot_replay
from migrator.history.state import State
from migrator.postgres.catalog import read_version_rows
from migrator.schema.difference import Difference
from migrator.schema.differences import differences
from migrator.steps.prove import made_by, sorted_out
from migrator.steps.see import View
from migrator.steps.workshop import Model, model_of, workshop


def versioned(view: View) -> State:
    """The state, if there is a version to compare with. Raises `StateRefused` where there is none."""
    state = view.sight.state
    if state is None or not state.heads:
        raise StateRefused(
            "the database claims no version: there is nothing to compare with",
            remedy="`migrator adopt` finds out which revision an unversioned database is at",
        )
    if unknown := view.release.graph.unknown(state.heads):
        raise StateRefused(
            f"the database is at {', '.join(sorted(unknown))}, which this release does not know",
            remedy="run `verify` of the release that migrated it",
        )
    return state


def compare(view: View, state: State) -> tuple[tuple[Difference, ...], tuple[Difference, ...]]:
    """Replay on a scratch database: the differences that matter, and those that no revision has made."""
    desk, release = view.desk, view.release
    with desk.connector.reopen("the live schema") as session:
        model = model_of(session, release)
        rows = read_version_rows(session, view.sight.tables)
    if {one for table in rows for one in table.rows} != set(state.heads):
        raise InterruptedMidway("the database was migrated while it was looked at: verify again")
    return _differences(view, state, model)


def _differences(
    view: View, state: State, model: Model
) -> tuple[tuple[Difference, ...], tuple[Difference, ...]]:
    wanted = view.release.graph.ancestors(state.heads)
    with workshop(view.desk, view.release, model) as bench:
        replayed = bench.replayer.build_named(wanted)
        if replayed.failure is not None:
            raise cannot_replay(replayed.failure)
        expected = bench.schema()
    tables = {*view.sight.tables, *replayed.tables}
    found = differences(expected.without(tables), model.schema.without(tables))
    return sorted_out(found, made_by(replayed.points), view.release.graph)
