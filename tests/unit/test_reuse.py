"""When the backup of a failed run is used again."""

from dataclasses import replace
from datetime import timedelta

import pytest

from migrator.backup.reuse import Wanted, reusable
from migrator.ledger.runs import RecordedRun
from migrator.model import RevisionId
from tests.unit.test_retention import BEGAN, HERE, manifest

ROWS = {"public.alembic_version": (RevisionId("a1"),)}
WANTED = Wanted(HERE, "1", ROWS, timedelta(minutes=15), "archive", frozenset(), BEGAN + timedelta(minutes=10))
BACKUP = manifest(0, version_rows=ROWS)


def recorded(id_: str, *, exit_code: int | None = 14, release: str = "1") -> RecordedRun:
    return RecordedRun(id_, "shop", release, BEGAN, exit_code=exit_code)


FAILED = recorded("run0")


def test_the_backup_of_a_failed_run_is_used_again() -> None:
    assert reusable([BACKUP], [FAILED], WANTED) is BACKUP


def test_a_run_that_was_killed_has_failed() -> None:
    assert reusable([BACKUP], [recorded("run0", exit_code=None)], WANTED) is BACKUP


def test_in_a_crash_loop_every_run_uses_the_first_ones() -> None:
    assert reusable([BACKUP], [recorded("run2"), recorded("run1"), FAILED], WANTED) is BACKUP


@pytest.mark.parametrize(
    "runs",
    [
        [],
        [recorded("run0", exit_code=0)],
        [recorded("run1", exit_code=0), FAILED],
        [recorded("run1", release="2"), FAILED],
        [recorded("run0", release="2")],
        [recorded("run1")],
    ],
)
def test_only_after_failed_runs_of_the_same_release_without_a_success_since(runs: list[RecordedRun]) -> None:
    assert reusable([BACKUP], runs, WANTED) is None


@pytest.mark.parametrize(
    "wanted",
    [
        replace(WANTED, now=BEGAN + timedelta(minutes=16)),
        replace(WANTED, now=BEGAN - timedelta(seconds=1)),
        replace(WANTED, within=timedelta(0)),
        replace(WANTED, database_id="elsewhere"),
        replace(WANTED, version_rows={"public.alembic_version": (RevisionId("a2"),)}),
        replace(WANTED, verified="restore"),
    ],
)
def test_it_must_be_young_of_the_same_version_rows_and_proven_as_well(wanted: Wanted) -> None:
    assert reusable([BACKUP], [FAILED], wanted) is None


def test_a_partial_one_serves_only_where_all_that_it_lacks_would_be_left_out_again() -> None:
    partial = replace(BACKUP, missing=("public.big", "public.more"))
    for missing in ((), ("public.big",)):
        assert reusable([partial], [FAILED], replace(WANTED, missing=frozenset(missing))) is None
    wider = replace(WANTED, missing=frozenset(("public.big", "public.more", "public.new")))
    assert reusable([partial], [FAILED], wider) is partial


def test_the_youngest_of_several_is_taken() -> None:
    younger = manifest(0, version_rows=ROWS, file="younger.dump", finished=BEGAN + timedelta(minutes=5))
    assert reusable([younger, BACKUP], [FAILED], WANTED) is younger
