"""See: the release and the state of the database, for commands that only look."""

from contextlib import suppress
from dataclasses import dataclass, replace

from migrator.account import Account
from migrator.errors import InterruptedMidway, PolicyRefused, RevisionsInvalid
from migrator.history.attempt import Attempt, must_have_run
from migrator.history.failure import READ_ONLY, judged
from migrator.history.launch import IDENTITY_SQL
from migrator.history.listen import Listener
from migrator.history.release import Release
from migrator.history.sight import Sight, judge, look
from migrator.model import VersionTable
from migrator.postgres.pooler import Admission
from migrator.postgres.session import Session, Way
from migrator.steps.begin import load, wait_for_postgres
from migrator.steps.desk import Desk
from migrator.steps.launching import listener_for


@dataclass(frozen=True, slots=True)
class View:
    """What was seen; the desk is bound to the server that was reached, the listener to its workers."""

    desk: Desk
    release: Release
    sight: Sight
    listener: Listener


def see(desk: Desk, account: Account) -> View:
    """Load the release, look at the database; where only `env.py` knows its version tables, run it read-only.

    Raises:
        RevisionsInvalid: `env.py` insists on writing before it tells them, or does not load.
    """
    with account.phase("load"):
        release = load(desk)
    with account.phase("wait"):
        session = wait_for_postgres(desk)
    account.reached(session.database)
    with account.phase("state"), session:
        desk = desk.at(session)
        identity = str(session.value(IDENTITY_SQL))
        seen = look(session, release)
        way = _way_through_pooler(desk, session)
    listener = listener_for(desk, release, identity, desk.stop.check, way)
    view = View(desk, release, judge(seen, release), listener)
    if view.sight.state is None:
        with account.phase("discover"):
            view = replace(view, sight=_sight_of(view, _discovered(listener)))
    account.saw(view.sight.state)
    return view


def _way_through_pooler(desk: Desk, session: Session) -> Way | None:
    """The way that workers may go through a pooler too, if there is one and it is proven.

    Looking needs no proof: it is a worker's session that is refused without it.
    """
    admission = Admission(desk.connector, desk.clock, desk.settings.on_pooler)
    with suppress(PolicyRefused, InterruptedMidway):
        admission.examine(session)
        return admission.way
    return None


def _sight_of(view: View, tables: tuple[VersionTable, ...]) -> Sight:
    with view.desk.connector.reopen("the version tables") as session:
        seen = look(session, view.release, tables)
    return judge(seen, view.release)


def _discovered(listener: Listener) -> tuple[VersionTable, ...]:
    attempt = listener.follow(listener.launch.reading_discovery(None), Attempt(is_over_when_finished=True))
    if attempt.failure is not None and attempt.failure.sqlstate == READ_ONLY:
        raise RevisionsInvalid(
            "only env.py knows its version tables, and it writes before it tells them: it was kept from it",
            remedy="set MIGRATOR_VERSION_TABLE, or let `migrator run` find out: it takes a backup before",
        )
    if attempt.failure is not None:
        raise judged(attempt.failure, reached=attempt.reached)
    must_have_run(attempt)
    return attempt.tables
