"""When a refusal counts."""

from migrator.errors import AccessDenied, MigratorError, StateRefused
from migrator.steps.standing import Standing
from tests.support.clock import HandClock


def counts(*looks: tuple[float, MigratorError | None]) -> list[bool]:
    """Consider what each look was refused for, so many seconds after the one before."""
    clock = HandClock()
    standing = Standing(clock)
    found: list[bool] = []
    for seconds, refusal in looks:
        clock.sleep(seconds)
        found.append(standing.consider(refusal))
    return found


def test_a_state_counts_after_five_seconds() -> None:
    bad = StateRefused("diverged")
    assert counts((0, bad), (4.9, bad), (0.2, bad)) == [False, False, True]


def test_a_refused_login_counts_after_fifteen() -> None:
    bad = AccessDenied("no such role")
    assert counts((100, bad), (14.9, bad), (0.2, bad)) == [False, False, True]


def test_what_passed_meanwhile_begins_anew() -> None:
    bad = StateRefused("diverged")
    assert counts((0, bad), (4, None), (4, bad), (4, bad), (2, bad)) == [False, False, False, False, True]


def test_another_refusal_begins_anew() -> None:
    state, access = StateRefused("diverged"), AccessDenied("no such role")
    assert counts((0, state), (4, access), (4, state), (4, state), (2, state)) == [
        False,
        False,
        False,
        False,
        True,
    ]
