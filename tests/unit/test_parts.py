"""Parts are chosen so that everything fits, in little memory."""

from hypothesis import given
from hypothesis import strategies as st

from migrator.backup.stores.parts import LARGEST_OBJECT, MEBI, MOST_PARTS, Parts

TERA = 1_000_000_000_000


@given(st.integers(0, 5 * TERA))
def test_whatever_is_expected_fits(expected_bytes: int) -> None:
    parts = Parts.of(expected_bytes)
    assert parts.limit_bytes >= expected_bytes
    assert 8 * MEBI <= parts.size_bytes <= 512 * MEBI
    assert parts.at_once >= 1


@given(st.integers(0, 200_000_000_000))
def test_up_to_200_gb_memory_stays_at_64_mib(expected_bytes: int) -> None:
    parts = Parts.of(expected_bytes)
    assert parts.size_bytes * (parts.at_once + 1) <= 64 * MEBI


def test_small_ones_travel_four_at_once() -> None:
    assert Parts.of(0) == Parts(8 * MEBI, 4)


def test_no_more_parts_than_the_store_takes() -> None:
    assert Parts.of(10 * TERA).limit_bytes == LARGEST_OBJECT == 512 * MEBI * MOST_PARTS
