"""Look before you queue: behind an old transaction, our wait for a lock would hold up the app's traffic."""

from collections.abc import Collection

from migrator.history.listen import Listener
from migrator.postgres.activity import Observer
from migrator.postgres.leader import LeaderLock
from migrator.postgres.locks import Blocker, TableLock

_OLD_SECONDS = 5.0
_LOOK_SECONDS = 0.5


def wait_for_old_holders(
    listener: Listener, lock: LeaderLock, wanted: Collection[TableLock], patience_seconds: float
) -> tuple[Blocker, ...]:
    """Wait, outside every queue, while somebody has held for long what conflicts with these locks.

    Returns those who still do when patience has ended; usually nobody. Raises `InterruptedMidway` when the
    leader lock is lost meanwhile.
    """
    observer = Observer(listener.connector)
    clock = listener.clock
    end = clock.monotonic() + patience_seconds
    first_seen: dict[int, float] = {}
    told: set[int] = set()
    try:
        while wanted:
            now = clock.monotonic()
            found = observer.holders(wanted)
            first_seen = {one.pid: first_seen.get(one.pid, now) for one in found}
            old = tuple(one for one in found if _age_seconds(one, now - first_seen[one.pid]) > _OLD_SECONDS)
            if not old or now >= end:
                return old
            if not {one.pid for one in old} <= told:
                told |= {one.pid for one in old}
                _tell(listener, old)
            lock.keep_proving()
            clock.sleep(_LOOK_SECONDS)
    finally:
        observer.close()
    return ()


def _age_seconds(one: Blocker, seen_seconds: float) -> float:
    """Without `pg_read_all_stats` the age is hidden: it is at least as old as we have been seeing it."""
    return seen_seconds if one.age_seconds is None else one.age_seconds


def _tell(listener: Listener, old: Collection[Blocker]) -> None:
    named = ", ".join(map(str, old))
    listener.events.record(
        "revision.blocked",
        f"not queueing behind {named}",
        level="warning",
        blockers=[str(one) for one in old],
        remedy=GRANT if any(one.is_hidden for one in old) else None,
    )


GRANT = "GRANT pg_read_all_stats to the role that migrates shows what such sessions do, and since when"
