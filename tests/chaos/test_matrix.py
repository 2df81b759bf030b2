"""Every point of the line, every fault: see `cell.run_cell` for what must be true after each."""

from collections.abc import Callable
from dataclasses import asdict

import pytest

from tests.chaos.cell import run_cell
from tests.chaos.faults import Fault
from tests.chaos.matrix import IS_LONG, ROUNDS, possible, short
from tests.chaos.points import Point
from tests.chaos.scene import MakeScene

CELLS = possible() if IS_LONG else short()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("round_", range(ROUNDS))
@pytest.mark.parametrize(
    ("point", "fault"), CELLS, ids=[f"{point.name}-{fault.name}".replace(" ", "_") for point, fault in CELLS]
)
def test_a_fault_leaves_a_boundary_one_leader_and_a_job_for_the_next_run(
    point: Point,
    fault: Fault,
    round_: int,
    make_scene: MakeScene,
    record_property: Callable[[str, object], None],
) -> None:
    record_property("point", point.name)
    record_property("fault", fault.name)
    with make_scene(f"{point.name} {fault.name} {round_}", point.pending) as scene:
        record = run_cell(scene, point, fault)
    for name, value in asdict(record).items():
        record_property(name, value)
