"""How long one of many steps back."""

from migrator.steps.crowd import pause_seconds, spread_seconds


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
