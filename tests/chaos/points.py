"""The points of the line: how a run is brought to each, held there, and let go."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import psycopg
from psycopg import sql

from tests.chaos.scene import HOLD, LOCKS, Scene, must
from tests.support.runner import Running

_LEADS: Final = (
    "SELECT FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND granted "
    f"AND classid = {LOCKS} AND objid = 1 AND application_name LIKE 'migrator%' "
    "AND datname = current_database()"
)
_WORKER = "application_name LIKE '%worker'"
_RUNNER = "application_name NOT LIKE '%worker' AND application_name NOT LIKE '%backup'"


@dataclass(frozen=True, slots=True)
class Hold:
    """How one run is held at a point: what it is given, how we know that it is there, how it goes on."""

    arrive: Callable[[Running], None]
    leave: Callable[[], None]
    environ: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the line, and what there is to be hit at it."""

    name: str
    hold: Callable[[Scene], Hold]
    has_leader: bool = True  # a lock session
    has_worker: bool = False
    has_worker_session: bool = False
    is_dumped: bool = False  # the backup is complete
    is_over: bool = False  # everything is committed and proven
    is_brief: bool = False  # migrator itself waits there for two seconds at most
    pending: tuple[str, ...] = ("b1", "c2")


def _waiting_for_postgres(scene: Scene) -> Hold:
    def alter(text: str) -> None:
        params = scene.cluster.admin_params()
        name = sql.Identifier(scene.target.database)
        with psycopg.connect(**params, autocommit=True) as session:
            session.execute(sql.SQL("ALTER DATABASE {} {}").format(name, sql.SQL(text)))

    alter("SET default_transaction_read_only = on")
    return Hold(
        lambda running: _heard(running, "wait.attempted"),
        lambda: alter("RESET default_transaction_read_only"),
    )


def _waiting_for_the_leader(scene: Scene) -> Hold:
    grip = scene.grip(f"SELECT pg_advisory_lock({LOCKS}, 1)")
    return Hold(lambda running: _heard(running, "lock.waited"), grip.close)


def _lock_held(scene: Scene) -> Hold:
    """It has the leader key, and waits for the fence of an earlier run."""
    grip = scene.grip(f"SELECT pg_advisory_lock_shared({LOCKS}, 2)")
    return Hold(lambda _: must(lambda: scene.rows(_LEADS), "the leader lock"), grip.close)


def _reading_state(scene: Scene) -> Hold:
    """It leads, and waits for the version table."""
    fence = scene.grip(f"SELECT pg_advisory_lock_shared({LOCKS}, 2)")
    table = scene.grip()

    def arrive(_running: Running) -> None:
        must(lambda: scene.rows(_LEADS), "the leader lock")
        table.execute("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE")
        fence.close()
        must(lambda: scene.sessions(f"{_RUNNER} AND wait_event_type = 'Lock'"), "a look at the version table")

    return Hold(arrive, table.close)


def _mid_dump(scene: Scene) -> Hold:
    grip = scene.grip("LOCK TABLE journal IN ACCESS EXCLUSIVE MODE")
    dump = "application_name LIKE '%backup' AND wait_event_type = 'Lock'"
    return Hold(lambda _: must(lambda: scene.sessions(dump), "a dump that waits"), grip.close)


def _dumped(scene: Scene) -> Hold:
    """The backup is proven; the worker is about to load `env.py`."""
    scene.hold("env")

    def arrive(running: Running) -> None:
        _heard(running, "backup.verified")
        must(lambda: scene.is_at("env"), "env.py")

    return Hold(arrive, scene.let_go)


def _mid_revision(scene: Scene) -> Hold:
    """Inside a statement, or in Python between two of them, as the seed has it."""
    mode = {"MIGRATOR_TRANSACTION": scene.chance.choice(["project", "revision"])}
    revision = scene.chance.choice(["b1", "c2"])
    if scene.chance.random() < 0.5:
        scene.hold(f"{revision}-middle")
        return Hold(lambda _: must(lambda: scene.is_at(f"{revision}-middle"), revision), scene.let_go, mode)
    scene.hold(f"{revision}-statement")
    grip = scene.grip(f"SELECT pg_advisory_lock({HOLD}, {HOLD})")
    held = f"{_WORKER} AND state = 'active' AND query LIKE 'DO %'"
    return Hold(lambda _: must(lambda: scene.sessions(held), "the statement"), grip.close, mode)


def _between_revisions(scene: Scene) -> Hold:
    """The first is committed; the second has not sent a statement yet."""
    scene.hold("c2-begin")

    def arrive(running: Running) -> None:
        _heard(running, "revision.applied")
        must(lambda: scene.is_at("c2-begin"), "c2")

    return Hold(arrive, scene.let_go, {"MIGRATOR_TRANSACTION": "revision"})


def _mid_concurrently(scene: Scene) -> Hold:
    """The index stands, INVALID; its build waits for a session that has written to the table."""
    grip = scene.grip("INSERT INTO book VALUES (0, 'meanwhile')")

    def arrive(_running: Running) -> None:
        must(lambda: scene.rows("SELECT FROM pg_class WHERE relname = 'book_i2'"), "the index")
        must(lambda: scene.sessions(f"{_WORKER} AND wait_event_type = 'Lock'"), "a build that waits")

    return Hold(arrive, grip.close)


def _verifying(scene: Scene) -> Hold:
    """Everything is committed; the fresh connection waits for the version table."""
    scene.hold("c2-end")
    grip = scene.grip()

    def arrive(_running: Running) -> None:
        must(lambda: scene.is_at("c2-end"), "the end of c2")
        # In the queue behind the worker, which goes first because it reads the table already.
        grip.queue("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE")
        waits = f"SELECT FROM pg_locks WHERE pid = {grip.pid} AND NOT granted"
        must(lambda: scene.rows(waits), "our place in the queue")
        scene.let_go()
        must(lambda: scene.sessions(f"{_RUNNER} AND wait_event_type = 'Lock'"), "a look at the result")

    return Hold(arrive, grip.close, {"MIGRATOR_TRANSACTION": "project"})


def _pushing(scene: Scene) -> Hold:
    return Hold(
        lambda _: must(lambda: scene.gateway.was_asked, "a push"),
        lambda: None,
        {"MIGRATOR_PUSHGATEWAY_URL": scene.gateway.url},
    )


def _heard(running: Running, event: str) -> None:
    running.wait_for_event(event)


POINTS: Final = (
    Point("waiting for Postgres", _waiting_for_postgres, has_leader=False),
    Point("waiting for the leader", _waiting_for_the_leader, has_leader=False),
    Point("lock held", _lock_held),
    Point("reading state", _reading_state, is_brief=True),
    Point("mid-dump", _mid_dump),
    Point("between dump and migration", _dumped, has_worker=True, is_dumped=True),
    Point("mid-revision", _mid_revision, has_worker=True, has_worker_session=True, is_dumped=True),
    Point("between revisions", _between_revisions, has_worker=True, has_worker_session=True, is_dumped=True),
    Point(
        "mid-CONCURRENTLY",
        _mid_concurrently,
        has_worker=True,
        has_worker_session=True,
        is_dumped=True,
        pending=("b1", "i2"),
    ),
    Point("verifying", _verifying, is_dumped=True),
    Point("pushing", _pushing, has_leader=False, is_dumped=True, is_over=True),
)
