"""The faults: how each is done to a run that is held at a point, and what its exit code may be."""

import contextlib
import os
import resource
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import psycopg

from migrator.demo.cluster import Cluster
from tests.chaos.points import Point
from tests.chaos.scene import LOCKS, Scene, must
from tests.support.processes import worker_of
from tests.support.runner import Running

KILLED: Final = -9
OK, POLICY_REFUSED, BACKUP_FAILED, INTERRUPTED_MIDWAY, TERMINATED = 0, 13, 33, 34, 143


def _nothing(_scene: Scene) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `codes` are the exit codes it may have at a point, or the reason why it cannot be there."""

    name: str
    inject: Callable[[Scene, Running], None]
    codes: Callable[[Point], frozenset[int] | str]
    repair: Callable[[Scene], None] = _nothing
    stays: bool = False  # it is repaired once the run has ended


def codes_of(point: Point, fault: Fault) -> frozenset[int]:
    """The codes of a cell that can be."""
    codes = fault.codes(point)
    assert not isinstance(codes, str), codes
    return codes


def _kill_runner(_scene: Scene, running: Running) -> None:
    running.signal(signal.SIGKILL)


def _kill_worker(_scene: Scene, running: Running) -> None:
    worker = worker_of(running.pid)
    assert worker is not None
    os.kill(worker, signal.SIGKILL)


def _stop(_scene: Scene, running: Running) -> None:
    running.signal(signal.SIGTERM)


def _kill_lock_session(scene: Scene, _running: Running) -> None:
    killed = scene.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid) "
        f"WHERE locktype = 'advisory' AND granted AND classid = {LOCKS} AND objid = 1 "
        "AND application_name LIKE 'migrator%' AND datname = current_database()"
    )
    assert killed


def _kill_worker_session(scene: Scene, _running: Running) -> None:
    killed = scene.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name LIKE 'migrator%worker'"
    )
    assert killed


def _restart(scene: Scene, _running: Running) -> None:
    scene.cluster.restart("immediate")


def _cut(scene: Scene, _running: Running) -> None:
    scene.proxy.cut()
    _later(30.0 if scene.is_long else scene.chance.uniform(0.5, 4.0), scene.proxy.resume)


def _silence(scene: Scene, _running: Running) -> None:
    scene.proxy.silence()


def _resume(scene: Scene) -> None:
    scene.proxy.resume()


def _fill_disk(scene: Scene, running: Running) -> None:
    if os.geteuid() != 0:
        resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (4096, 4096))
        return
    with contextlib.suppress(OSError), (scene.disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(65536))


def _empty_disk(scene: Scene) -> None:
    (scene.disk / "filler").unlink(missing_ok=True)


def _fail_over(scene: Scene, _running: Running) -> None:
    """The server comes back as a standby, read-only; some seconds later it is promoted."""
    with psycopg.connect(**scene.cluster.admin_params(), autocommit=True) as session:
        folder = session.execute("SHOW data_directory").fetchone()
        assert folder is not None
        session.execute(f"COPY (SELECT '') TO '{folder[0]}/standby.signal'".encode())
    scene.cluster.restart("immediate")
    scene.promoted.clear()
    _later(scene.chance.uniform(1.0, 5.0), lambda: _promote(scene))


def _promote(scene: Scene) -> None:
    try:
        promote(scene.cluster)
    finally:
        scene.promoted.set()


def promote(cluster: Cluster) -> None:
    """Let the standby become the primary, and see that it is."""
    with psycopg.connect(**cluster.admin_params(), autocommit=True) as session:
        session.execute("SELECT pg_promote(true, 30) WHERE pg_is_in_recovery()")


def _await_promotion(scene: Scene) -> None:
    must(scene.promoted.is_set, "the promotion")


def _hang_gateway(_scene: Scene, _running: Running) -> None:
    """It hangs since the run was started; nobody has asked it yet."""


def _later(seconds: float, do: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, do)
    timer.daemon = True
    timer.start()


def _always(code: int) -> Callable[[Point], frozenset[int]]:
    return lambda _: frozenset({code})


def _of_a_stop(point: Point) -> frozenset[int]:
    """What is proven stays proven: a stop while the metrics are pushed changes nothing."""
    return frozenset({OK if point.is_over else TERMINATED})


def _of_the_worker(point: Point) -> frozenset[int] | str:
    if point.has_worker:
        return frozenset({INTERRUPTED_MIDWAY})
    return "no worker runs then"


def _of_the_worker_session(point: Point) -> frozenset[int] | str:
    if point.has_worker_session:
        return frozenset({INTERRUPTED_MIDWAY})
    return "no session of a worker's is open then"


def _of_the_lock(point: Point) -> frozenset[int] | str:
    if not point.has_leader:
        return "this run holds no lock then"
    # Also while the result cannot be read: each look at it begins by seeing that we lead.
    return frozenset({INTERRUPTED_MIDWAY})


def _of_a_lost_server(point: Point) -> frozenset[int]:
    if not point.has_leader:
        return frozenset({OK})
    return frozenset({INTERRUPTED_MIDWAY} | ({BACKUP_FAILED} if point.name == "mid-dump" else set()))


def _of_a_full_disk(point: Point) -> frozenset[int]:
    """A disk that is full before the dump begins is refused: only a person makes room."""
    if point.is_dumped:
        return frozenset({OK})
    return frozenset({BACKUP_FAILED if point.name == "mid-dump" else POLICY_REFUSED})


FAULTS: Final = (
    Fault("runner killed", _kill_runner, _always(KILLED)),
    Fault("worker killed", _kill_worker, _of_the_worker),
    Fault("SIGTERM", _stop, _of_a_stop),
    Fault("lock session ended", _kill_lock_session, _of_the_lock),
    Fault("worker session ended", _kill_worker_session, _of_the_worker_session),
    Fault("server crashed", _restart, _of_a_lost_server),
    Fault("network cut", _cut, _of_a_lost_server),
    Fault("network silent", _silence, _of_a_lost_server, _resume, stays=True),
    Fault("disk full", _fill_disk, _of_a_full_disk, _empty_disk, stays=True),
    Fault("failover", _fail_over, _of_a_lost_server, _await_promotion),
    Fault("Pushgateway hangs", _hang_gateway, _always(OK)),
)
