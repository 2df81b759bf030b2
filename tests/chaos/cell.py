"""One cell: bring a run to a point, do the fault to it, and see what must be true afterwards."""

import time
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from tests.chaos.faults import KILLED, OK, POLICY_REFUSED, Fault, codes_of
from tests.chaos.points import Hold, Point
from tests.chaos.scene import BASE, Scene, must
from tests.support.journal import version
from tests.support.overlap import one_leader_at_a_time
from tests.support.runner import Result, Running
from tests.support.target import Target

_RETRYABLE: Final = range(30, 50)
# What the server needs to see that a silent client is gone: its keepalives, 10 s and three times 5 s.
_KEEPALIVE_SECONDS: Final = 25.0
_LOCK_SECONDS: Final = 5.0
_LONGEST_SECONDS: Final = 200.0


@dataclass(frozen=True, slots=True)
class Record:
    """How a cell went, for the table."""

    point: str
    fault: str
    exit_code: int
    seconds: float
    rival_code: int | None
    was_repaired: bool


def run_cell(scene: Scene, point: Point, fault: Fault) -> Record:
    """Run it. Raises `AssertionError` for whatever is not as it should be."""
    codes = codes_of(point, fault)
    has_rival = scene.chance.random() < 0.5
    hold = point.hold(scene)
    given = {"MIGRATOR_PUSHGATEWAY_URL": scene.gateway.url} if fault.name == "Pushgateway hangs" else {}
    with one_leader_at_a_time(scene.target):
        running = scene.migrator.start(**{**hold.environ, **given})
        hold.arrive(running)
        time.sleep(scene.chance.uniform(0.0, 0.3))
        fault.inject(scene, running)
        injected = time.monotonic()
        rival = scene.rival.start(**hold.environ) if has_rival else None
        result = _ended(scene, running, hold, point, fault)
        _see_locks_go(scene, run_id(running), fault, injected)
        hold.leave()
        fault.repair(scene)
        rivals = _see_rival(rival, fault)
        must(
            lambda: not scene.sessions(f"application_name LIKE '%{run_id(running)}%'"),
            "the end of its sessions",
            10,
        )
        _see_end(result, codes, fault)
        _see_boundary(scene, point, result, is_first=rival is None)
        next_run = _see_next_run(scene, point)
    _see_journal(scene.target, point)
    _see_nothing_left(scene)
    return Record(
        point.name,
        fault.name,
        result.exit_code,
        result.seconds,
        rivals.exit_code if rivals else None,
        any(_has_repaired(one) for one in (rivals, next_run) if one),
    )


def run_id(running: Running) -> str:
    """The id that every event carries, and every session's name."""
    return str(running.events[0]["run_id"])


def _ended(scene: Scene, running: Running, hold: Hold, point: Point, fault: Fault) -> Result:
    """The run's end: what goes on is let go, what must end has to do so where it is held."""
    must_be_let_go = fault.name in {"worker session ended", "disk full"}
    if OK in fault.codes(point) or point.is_brief or must_be_let_go:
        time.sleep(scene.chance.uniform(0.0, 0.5))
        if not point.has_leader and fault.name in {"network silent", "failover"}:
            time.sleep(scene.chance.uniform(0.5, 8.0))
            fault.repair(scene)
        hold.leave()
    return running.finish(_LONGEST_SECONDS)


def _see_locks_go(scene: Scene, run: str, fault: Fault, injected: float) -> None:
    """No advisory lock stays longer than 5 s after the server can know that its client is gone."""
    patience = _LOCK_SECONDS
    if fault.name == "network silent":
        patience += max(0.0, injected + _KEEPALIVE_SECONDS - time.monotonic())
    locks = (
        "SELECT application_name, objid FROM pg_locks JOIN pg_stat_activity USING (pid) "
        f"WHERE locktype = 'advisory' AND granted AND application_name LIKE '%{run}%'"
    )
    must(lambda: scene.rows("SELECT 1"), "an answer of the server")
    must(lambda: not scene.rows(locks), f"the end of its advisory locks: {scene.rows(locks)}", patience)


def _see_end(result: Result, codes: frozenset[int], fault: Fault) -> None:
    """The exit code is the contract's, and the last event says how it ended, unless it was killed."""
    assert result.exit_code in codes, f"{result.exit_code} is not of {sorted(codes)}: {result.last}"
    if result.exit_code == KILLED:
        return
    assert result.last["event"] == "run.finished", result.last
    assert result.last["exit_code"] == result.exit_code
    if fault.name == "Pushgateway hangs":
        assert result.named("metrics.failed")


def _see_rival(rival: Running | None, fault: Fault) -> Result | None:
    """Who came in the middle of it ends well, or says that time alone may cure it."""
    if rival is None:
        return None
    result = rival.finish(_LONGEST_SECONDS)
    # A disk that is full beforehand is for a person to make room on.
    refused = {POLICY_REFUSED} if fault.name == "disk full" else set()
    assert result.exit_code in {OK, *_RETRYABLE, *refused}, result.last
    return result


def _see_boundary(scene: Scene, point: Point, result: Result, *, is_first: bool) -> None:
    """The version rows, the journal and the schema tell the same; what was left half-way is named."""
    must(lambda: scene.rows("SELECT WHERE NOT pg_is_in_recovery()"), "a primary")
    target = scene.target
    lineage = (BASE, *point.pending)
    (row,) = version(target)
    done = lineage[: lineage.index(row) + 1]
    assert tuple(one for (one,) in target.rows("SELECT revision FROM journal ORDER BY began")) == done
    there = {name for (name,) in target.rows(_BUILT)}
    assert there - {"i2"} == set(done) - {BASE, "i2"}
    if there > set(done) and is_first and result.exit_code != KILLED:
        named = f"{result.last.get('half_applied')} {result.last.get('invalid_indexes')}"
        assert "i2" in named, result.last


_BUILT: Final = """
SELECT relname FROM pg_class WHERE relname IN ('b1', 'c2')
UNION ALL SELECT 'i2' FROM pg_class WHERE relname = 'book_i2'
"""


def _see_next_run(scene: Scene, point: Point) -> Result:
    """The next run finishes the job, also where an INVALID index was left."""
    result = scene.migrator()
    assert result.exit_code == OK, result.last
    assert version(scene.target) == [point.pending[-1]]
    if point.pending[-1] == "i2":
        assert scene.target.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'book_i2'::regclass")
    return result


def _has_repaired(result: Result) -> bool:
    """Whether a run dropped an INVALID index before it built it again."""
    return any(
        "an INVALID index of an interrupted build" in one["message"] for one in result.named("hazard.found")
    )


def _see_journal(target: Target, point: Point) -> None:
    """Every revision ran to its end exactly once, and no two runs at the same time."""
    rows = target.rows("SELECT revision, run, began, ended FROM journal ORDER BY began")
    assert [row[0] for row in rows] == [BASE, *point.pending]
    assert all(row[3] is not None for row in rows)
    for (_, run, _, ended), (_, next_run, began, _) in pairwise(rows):
        assert run == next_run or ended <= began, rows


def _see_nothing_left(scene: Scene) -> None:
    """No temporary file, no scratch database."""
    assert list(scene.temporary.iterdir()) == []
    files = [path.name for path in scene.disk.rglob("*") if path.is_file()]
    assert [name for name in files if not name.endswith((".dump", ".manifest.json"))] == []
    assert len(files) % 2 == 0, files
    assert scene.rows("SELECT datname FROM pg_database WHERE datname LIKE 'migrator%'") == []
