"""`migrator verify`: compare the live schema with what the revisions build, up to the version it claims."""

from migrator.account import Account
from migrator.errors import InterruptedMidway, MigratorError, ProblemsFound, StateRefused
from migrator.history.replay import cannot_replay
from migrator.history.state import State
from migrator.model import Outcome
from migrator.postgres.catalog import read_version_rows
from migrator.schema.difference import Difference
from migrator.schema.differences import differences
from migrator.steps.desk import Desk
from migrator.steps.prove import facts_of, made_by, sorted_out, tell_differences
from migrator.steps.see import View, see
from migrator.steps.workshop import Model, listed, model_of, workshop
from migrator.telemetry.wording import counted


def verify(desk: Desk, account: Account) -> Outcome:
    """Replay on a scratch database; nothing is written to the live one."""
    try:
        view = see(desk, account)
        state = _versioned(view)
        with account.phase("replay"):
            matter, foreign = _compare(view, state)
        tell_differences(view.desk, foreign)
        if matter:
            tell_differences(view.desk, matter)
            raise _drift(matter, foreign, state)
    except MigratorError as error:
        return account.failed(error)
    heads = ", ".join(state.heads)
    message = f"the schema is what the revisions build, up to {heads}"
    view.desk.events.record("schema.verified", message, heads=list(state.heads))
    return account.concluded(message, foreign=[one.sentence for one in foreign])


def _versioned(view: View) -> State:
    """The state, if there is a version to compare with."""
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


def _compare(view: View, state: State) -> tuple[tuple[Difference, ...], tuple[Difference, ...]]:
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


def _drift(matter: tuple[Difference, ...], foreign: tuple[Difference, ...], state: State) -> ProblemsFound:
    return ProblemsFound(
        f"the schema is not what the revisions build up to {', '.join(state.heads)}: "
        f"{counted(len(matter), 'difference')}: "
        f"{listed([one.sentence for one in matter])}",
        remedy="undo what was done by hand, or put it into a revision: "
        f"{listed([one.remedy.text for one in matter])}",
        differences=[facts_of(one) for one in matter],
        foreign=[one.sentence for one in foreign],
    )
