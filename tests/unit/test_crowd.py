"""How long one of many steps back."""

from migrator.steps.crowd import pause_seconds, rest, spread_seconds
from tests.support.clock import HandClock


def test_the_first_pauses_are_short_and_all_stay_below_two_seconds() -> None:
    assert pause_seconds(1, looked_seconds=0.005) <= 0.3
    for number in range(1, 2000, 7):
        assert 0.25 <= pause_seconds(number, looked_seconds=0.005) <= 1.75


def test_where_looks_are_slow_they_take_a_small_share_of_the_time() -> None:
    pauses = [pause_seconds(9, looked_seconds=0.5) for _ in range(200)]
    assert min(pauses) >= 5
    assert max(pauses) <= 10
    assert max(pauses) - min(pauses) > 2, "whoever came together must not come together again"


def test_no_pause_is_endless() -> None:
    assert pause_seconds(10**6, looked_seconds=3600) <= 30


def test_on_a_machine_with_a_core_to_spare_nobody_steps_back_long() -> None:
    assert 0 <= spread_seconds() < 60


class CrowdedClock(HandClock):
    """Where processes queue for a core, whoever slept wakes late."""

    late_seconds: tuple[float, ...] = (0.3, 0.2, 0.0)

    def sleep(self, seconds: float) -> None:
        late, self.late_seconds = (*self.late_seconds, 0.0)[0], self.late_seconds[1:]
        super().sleep(seconds)
        self.now += late


def test_where_nobody_queues_for_a_core_a_rest_is_as_long_as_it_was_meant() -> None:
    clock = HandClock()
    rest(clock, 1.5)
    assert clock.slept == [1.5]


def test_whoever_wakes_late_lets_the_others_go_first() -> None:
    clock = CrowdedClock()
    rest(clock, 1.5)
    assert len(clock.slept) == 3
    assert all(0.05 <= one <= 0.4 for one in clock.slept[1:])


def test_nobody_rests_for_ever_on_a_machine_that_is_always_crowded() -> None:
    clock = CrowdedClock()
    clock.late_seconds = (1.0,) * 100
    rest(clock, 1.5)
    assert len(clock.slept) == 9
