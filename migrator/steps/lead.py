"""Lead: take the leader lock, saying who has it while we wait; look again once it is ours."""

from collections.abc import Callable

from migrator.account import Account
from migrator.errors import DatabaseUnavailable, InterruptedMidway
from migrator.history.launch import IDENTITY_SQL
from migrator.history.release import Release
from migrator.history.sight import Seen, Sight, judge, look, tell
from migrator.history.upgrade import Upgrader
from migrator.model import VersionTable
from migrator.postgres.catalog import database_size_bytes, invalid_indexes, object_names, read_version_rows
from migrator.postgres.leader import Holder, LeaderLock, take_leadership
from migrator.postgres.pooler import Admission
from migrator.postgres.scratch import drop_leftovers, leftovers, scratch_prefix
from migrator.postgres.session import Session
from migrator.postgres.unvalidated import unvalidated_constraints
from migrator.steps.desk import Desk
from migrator.steps.launching import listener_for
from migrator.steps.leadership import Leadership


def lead(desk: Desk, account: Account, release: Release, sight: Sight) -> LeaderLock | None:
    """The leader lock, or None when another leader did all there is to do while we waited."""

    def is_needless(session: Session) -> bool:
        if desk.settings.backup == "always":
            return False
        try:
            rows = read_version_rows(session, sight.tables)
        except DatabaseUnavailable:  # the leader holds a lock on the version table itself
            return False
        if not rows or not all(release.graph.fits(table.rows, release.targets) for table in rows):
            return False
        state = judge(Seen(sight.tables, rows), release).state
        if state is None or not state.opens_gate(desk.settings.on_ahead):  # two rows of one lineage also fit
            return False
        account.saw(state)
        return True

    return _lead(desk, account, is_needless)


def lead_anyway(desk: Desk, account: Account) -> LeaderLock:
    """The leader lock, for what no other leader can have done meanwhile."""
    lock = _lead(desk, account, lambda _: False)
    assert lock is not None  # noqa: S101 - nothing made it needless
    return lock


def _lead(desk: Desk, account: Account, is_needless: Callable[[Session], bool]) -> LeaderLock | None:
    def told(holders: tuple[Holder, ...], waited_seconds: float) -> None:
        account.lock_wait_seconds = waited_seconds
        who = ", ".join(map(str, holders)) or "a runner that is just ending"
        desk.events.record(
            "lock.waited",
            f"another runner leads: {who}",
            waited_seconds=round(waited_seconds, 3),
            holders=[str(holder) for holder in holders],
        )

    lock = take_leadership(
        Admission(desk.connector, desk.clock, desk.settings.on_pooler),
        desk.settings.leader_timeout,
        is_needless=is_needless,
        told=told,
    )
    if lock is not None:
        desk.events.record(
            "lock.acquired", "this run leads", waited_seconds=round(account.lock_wait_seconds, 3)
        )
    return lock


def take_stock(desk: Desk, account: Account, lock: LeaderLock, release: Release) -> Leadership:
    """Look again as the leader, and note what the later steps compare with."""
    desk = desk.at(lock.session)
    with desk.connector.reopen("the database, as its leader") as session:
        if not session.value(lock.look_sql):
            raise InterruptedMidway("the leader lock was lost, or is held on another server of the same name")
        identity = str(session.value(IDENTITY_SQL))
        account.database_size_bytes = database_size_bytes(session)
        seen = look(session, release)
        is_empty = not object_names(session, ())
        invalid = invalid_indexes(session)
        unvalidated = unvalidated_constraints(session)
        server_version = session.server_version
        prefix = scratch_prefix(session)
        has_leftovers = bool(leftovers(session, prefix))
    if has_leftovers:
        drop_leftovers(desk.connector, prefix)
    sight = judge(seen, release)
    tell(sight, release, desk.events)
    account.saw(sight.state)
    upgrader = Upgrader(
        listener_for(desk, release, identity, lock.keep_proving, lock.way_through_pooler), lock
    )
    return Leadership(
        desk, lock, release, upgrader, sight, is_empty, invalid, unvalidated, server_version=server_version
    )


def look_again(leadership: Leadership, account: Account, tables: tuple[VersionTable, ...]) -> Sight:
    """Tell the state from the version tables that `env.py` was seen to configure."""
    with leadership.desk.connector.reopen("the version tables") as session:
        seen = look(session, leadership.release, tables)
    sight = judge(seen, leadership.release)
    tell(sight, leadership.release, leadership.desk.events)
    account.saw(sight.state)
    return sight
