"""`migrator verify`: compare the live schema with what the revisions build, up to the version it claims."""

from migrator.account import Account
from migrator.errors import MigratorError, ProblemsFound
from migrator.history.state import State
from migrator.model import Outcome
from migrator.schema.difference import Difference
from migrator.steps.desk import Desk
from migrator.steps.drift import compare, versioned
from migrator.steps.prove import facts_of, tell_differences
from migrator.steps.see import see
from migrator.steps.workshop import listed
from migrator.telemetry.wording import counted


def verify(desk: Desk, account: Account) -> Outcome:
    """Replay on a scratch database; nothing is written to the live one."""
    try:
        view = see(desk, account)
        state = versioned(view)
        with account.phase("replay"):
            matter, foreign = compare(view, state)
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
