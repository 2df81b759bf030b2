"""One deploy, told on one page.

    settings → wait → read state → leader lock → read state → plan → back up → migrate → verify → report
                          └ it fits already (and backups are not `always`) → report, before any lock

Only this module knows the order; steps do not know one another. What only a deploy with work to do needs is
imported when there is work to do: most deploys have none, and every import delays them.
"""

import gc
from typing import TYPE_CHECKING

from migrator.account import Account
from migrator.errors import DatabaseUnavailable, MigratorError
from migrator.history.sight import Sight, empty_sight, judge, look, tell
from migrator.history.state import State, StateName, refuse_state
from migrator.model import Outcome
from migrator.steps.begin import load, wait_for_postgres
from migrator.steps.desk import Desk

if TYPE_CHECKING:
    from migrator.history.release import Release
    from migrator.postgres.session import Session
    from migrator.steps.leadership import Leadership
    from migrator.steps.prove import Candidate


def run(desk: Desk, account: Account, *, retry: bool = False) -> Outcome:
    """Bring the database to this release, or say why not. Foreseen failures are outcomes, not exceptions."""
    try:
        _deploy(desk, account, retry=retry)
    except MigratorError as error:
        return account.failed(error)
    return account.succeeded()


def _deploy(desk: Desk, account: Account, *, retry: bool) -> None:
    with account.phase("load"):
        release = load(desk)
    with account.phase("wait"):
        session = wait_for_postgres(desk)
    account.reached(session.database)
    with account.phase("state"), session:
        sight = _first_sight(session, release)
    tell(sight, release, desk.events)
    account.saw(sight.state)
    if desk.settings.backup == "always" or not _opens_gate(desk, sight.state):
        _lead(desk, account, release, sight, retry=retry)
    elif sight.is_news and desk.settings.ledger:
        _introduce(desk, account, release)


def _first_sight(session: "Session", release: "Release") -> Sight:
    """What is there; unknown while a leader holds a lock on the version table itself."""
    try:
        seen = look(session, release)
    except DatabaseUnavailable:
        return Sight((), (), None)
    session.close()  # nobody is kept from the server while we think
    return judge(seen, release)


def _introduce(desk: Desk, account: Account, release: "Release") -> None:
    """The database fits, at a version that the ledger does not know yet: once for each such version."""
    from migrator.steps.found import introduce  # noqa: PLC0415

    with account.phase("ledger"):
        introduce(desk, release)


def _lead(desk: Desk, account: Account, release: "Release", sight: Sight, *, retry: bool) -> None:
    """Under the leader lock; returns early when another leader did it all while we waited."""
    gc.enable()  # from here on it may take long
    from migrator.steps.lead import lead, take_stock  # noqa: PLC0415
    from migrator.steps.prune import prune  # noqa: PLC0415

    with account.phase("lock"):
        lock = lead(desk, account, release, sight)
    if lock is None:
        return
    try:
        with account.phase("state"):
            leadership = take_stock(desk, account, lock, release)
        _bring_up(leadership, account, retry=retry)
        if account.backup is not None:
            with account.phase("prune"):
                prune(leadership, account)
    finally:
        lock.release()


def _bring_up(leadership: "Leadership", account: Account, *, retry: bool) -> None:
    from migrator.steps import back_up, book, edited, found, half, migrate, plan, remembered, verify  # noqa: PLC0415

    back_up.refuse_dump_through_pooler(leadership, leadership.sight.state)
    leadership, has_backup = _discovered(leadership, account)
    state = leadership.sight.state
    assert state is not None  # noqa: S101 - discovery told the version tables, or raised
    half.look_for_halves(leadership, retry=retry)
    if not retry:
        remembered.refuse_remembered(leadership)
    leadership, stamped = _proven(leadership, account, state)
    state = leadership.sight.state or state
    refuse_state(state, on_ahead=leadership.desk.settings.on_ahead)
    if state.pending:
        leadership = plan.plan(leadership, state)
        edited.look_for_edits(leadership, state)
    if not has_backup:
        with account.phase("backup"):
            back_up.back_up(leadership, account, state)
    if stamped is not None:
        leadership = _stamped(leadership, account, stamped)
    if not state.pending:
        found.remember(leadership.desk, leadership.release, leadership.sight)
        return
    with book.booked(leadership, account) as entry:
        with account.phase("migrate"):
            tables = migrate.migrate(leadership, account, entry.attempts, ledger_run=entry.run_id)
        with account.phase("verify"):
            verify.verify(leadership, account, tables, entry.left_unvalidated)


def _proven(
    leadership: "Leadership", account: Account, state: State
) -> "tuple[Leadership, Candidate | None]":
    """Where there are tables but no version: the revision that a replay proves them to be."""
    if state.name is not StateName.UNVERSIONED or leadership.desk.settings.on_unversioned == "refuse":
        return leadership, None
    from migrator.steps.unversioned import proven  # noqa: PLC0415

    return proven(leadership, account, state)


def _stamped(leadership: "Leadership", account: Account, candidate: "Candidate") -> "Leadership":
    from migrator.steps.unversioned import stamp_proven  # noqa: PLC0415

    return stamp_proven(leadership, account, candidate)


def _discovered(leadership: "Leadership", account: Account) -> tuple["Leadership", bool]:
    """Where only `env.py` knows its version tables, run it read-only; if it must write, back up before."""
    from migrator.steps import back_up, migrate  # noqa: PLC0415
    from migrator.steps.lead import look_again  # noqa: PLC0415

    if leadership.sight.state is not None:
        return leadership, False
    if leadership.is_empty and leadership.release.targets:
        sight = empty_sight(leadership.release)
        account.saw(sight.state)
        tell(sight, leadership.release, leadership.desk.events)
        return leadership.at(sight), False
    has_backup = False
    with account.phase("discover"):
        tables = migrate.discover(leadership)
    if tables is None:
        with account.phase("backup"):
            back_up.back_up(leadership, account, None)
        has_backup = True
        with account.phase("discover"):
            tables = migrate.discover_writing(leadership)
    with account.phase("state"):
        sight = look_again(leadership, account, tables or ())
    return leadership.at(sight), has_backup


def _opens_gate(desk: Desk, state: State | None) -> bool:
    if state is None or not state.opens_gate(desk.settings.on_ahead):
        return False
    if state.name is not StateName.CURRENT:
        desk.events.record("hazard.found", f"the database is {state.name}: {state.reason}", level="warning")
    return True
