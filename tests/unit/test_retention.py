"""Which backups may go, for whatever there is."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from migrator.backup.manifest import Manifest
from migrator.backup.retention import Policy, superfluous
from migrator.model import RevisionId

HERE, ELSEWHERE = "here", "elsewhere"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def manifest(number: int, **others: object) -> Manifest:
    """The backup of one run, so many hours after the first."""
    taken = BEGAN + timedelta(hours=number)
    one = Manifest(
        file=f"{number:04}.dump",
        database="orders",
        database_id=HERE,
        heads=(RevisionId("a1"),),
        server_version="16.4",
        client_version="16.4",
        size_bytes=1,
        sha256="",
        run_id=f"run{number}",
        app="shop",
        release="1",
        started=taken,
        finished=taken,
        verified="archive",
    )
    return replace(one, **others)  # type: ignore[arg-type]


def numbers(found: Sequence[Manifest]) -> list[int]:
    return [int(one.file.removesuffix(".dump")) for one in found]


def policy(keep: int = 2, failed: Sequence[str] = ()) -> Policy:
    return Policy(keep, HERE, frozenset(failed))


def test_the_newest_are_kept() -> None:
    assert numbers(superfluous([manifest(n) for n in range(5)], policy(keep=2))) == [0, 1, 2]


def test_as_many_as_there_may_be_are_all_kept() -> None:
    assert superfluous([manifest(n) for n in range(5)], policy(keep=5)) == ()


def test_the_newest_of_each_of_the_last_three_revisions_is_kept() -> None:
    found = [manifest(n, heads=(RevisionId(f"r{n // 2}"),)) for n in range(10)]
    assert numbers(superfluous(found, policy(keep=1))) == [0, 1, 2, 3, 4, 6, 8]


def test_a_crash_loop_does_not_push_out_what_was_there_before_it() -> None:
    before = [manifest(n, release="1") for n in range(2)]
    loop = [manifest(n, release="2") for n in range(2, 9)]
    gone = superfluous([*before, *loop], policy(keep=4, failed=[f"run{n}" for n in range(2, 9)]))
    assert numbers(gone) == [3, 4, 5, 6, 7]


def test_failed_runs_of_two_releases_are_counted_apart() -> None:
    found = [manifest(n, release=str(n % 2)) for n in range(8)]
    gone = superfluous(found, policy(keep=8, failed=[one.run_id for one in found]))
    assert numbers(gone) == [2, 3, 4, 5]


def test_another_databases_backups_are_not_touched() -> None:
    assert superfluous([manifest(n, database_id=ELSEWHERE) for n in range(9)], policy(keep=1)) == ()


def test_where_it_is_not_known_which_database_this_is_nothing_is_touched() -> None:
    found = [manifest(n, database_id="") for n in range(9)]
    assert superfluous(found, Policy(1, "", ())) == ()


def test_the_newest_whole_one_outlives_partial_ones() -> None:
    found = [manifest(0), *(manifest(n, missing=("public.big",)) for n in range(1, 5))]
    assert numbers(superfluous(found, policy(keep=1))) == [1, 2, 3]


def test_the_newest_that_was_restored_outlives_others() -> None:
    found = [manifest(0, verified="restore"), *(manifest(n) for n in range(1, 5))]
    assert numbers(superfluous(found, policy(keep=1))) == [1, 2, 3]


def test_the_one_in_use_stays_although_another_machines_clock_makes_it_the_oldest() -> None:
    found = [manifest(n) for n in range(5)]
    rule = replace(policy(keep=2), in_use=found[0].file)
    assert numbers(superfluous(found, rule)) == [1, 2]


@st.composite
def shelves(draw: st.DrawFn) -> list[Manifest]:
    count = draw(st.integers(0, 14))
    return [
        manifest(
            number,
            database_id=draw(st.sampled_from([HERE, HERE, HERE, ELSEWHERE, ""])),
            heads=(RevisionId(draw(st.sampled_from(["r1", "r2", "r3", "r4", "r5"]))),),
            release=draw(st.sampled_from(["1", "2"])),
            verified=draw(st.sampled_from(["archive", "restore"])),
            missing=draw(st.sampled_from([(), (), ("public.big",)])),
            finished=BEGAN + timedelta(hours=draw(st.integers(0, 5))),
        )
        for number in range(count)
    ]


@given(shelf=shelves(), keep=st.integers(1, 6), failed=st.sets(st.integers(0, 14).map(lambda n: f"run{n}")))
def test_whatever_there_is_enough_is_kept(shelf: list[Manifest], keep: int, failed: set[str]) -> None:
    gone = superfluous(shelf, Policy(keep, HERE, failed))
    ours = sorted((one for one in shelf if one.database_id == HERE), key=lambda one: (one.finished, one.file))
    kept = [one for one in ours if one not in gone]
    assert set(numbers(gone)) <= set(numbers(ours)), "only what is of this database"
    assert kept[-1:] == ours[-1:], "never the newest"
    good = [one for one in ours if one.run_id not in failed]
    assert set(numbers(good[-keep:])) <= set(numbers(kept)) or len(kept) >= keep
    assert len(kept) >= min(keep, len([one for one in ours if one.run_id not in failed]))
    whole = [one for one in ours if not one.is_partial]
    assert numbers(whole[-1:]) == [n for n in numbers(kept) if n in numbers(whole[-1:])]


@given(shelf=shelves(), keep=st.integers(1, 6), failed=st.sets(st.integers(0, 14).map(lambda n: f"run{n}")))
def test_tidying_up_twice_is_tidying_up_once(shelf: list[Manifest], keep: int, failed: set[str]) -> None:
    rule = Policy(keep, HERE, failed)
    gone = superfluous(shelf, rule)
    assert superfluous([one for one in shelf if one not in gone], rule) == ()


@given(shelf=shelves(), keep=st.integers(1, 6))
def test_in_which_order_they_are_listed_does_not_matter(shelf: list[Manifest], keep: int) -> None:
    assert superfluous(shelf, policy(keep)) == superfluous(shelf[::-1], policy(keep))
