"""The termination message: one line of JSON that always fits."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.telemetry.termination import termination_message, write_termination_message

LAST = {
    "event": "run.finished",
    "outcome": "failed",
    "exit_code": 14,
    "exit_name": "MIGRATION_FAILED",
    "error": "revision a1 failed",
    "remedy": "correct the revision",
    "heads_before": ["a0"],
    "heads_after": [],
    "run_id": "42",
    "phases": {"wait": 1.0},
}


def test_what_a_person_needs_is_kept() -> None:
    assert json.loads(termination_message(LAST)) == {
        "outcome": "failed",
        "exit_code": 14,
        "exit_name": "MIGRATION_FAILED",
        "error": "revision a1 failed",
        "remedy": "correct the revision",
        "heads_before": ["a0"],
        "run_id": "42",
    }


def test_the_longest_text_gives_way_first() -> None:
    message = json.loads(termination_message({**LAST, "error": "x" * 10_000}))
    assert message["error"].endswith("x…")
    assert message["remedy"] == "correct the revision"


_ANYTHING = st.text(st.characters(), max_size=50) | st.sampled_from(
    ["x" * 5000, "€" * 3000, "\udcff" * 900, '"' * 4000]
)
_HEADS = st.lists(_ANYTHING, max_size=3) | st.just(["abcdef012345"] * 1000) | st.none()


@given(
    event=st.fixed_dictionaries(
        {"exit_code": st.integers(0, 143), "heads_before": _HEADS, "heads_after": _HEADS},
        optional=dict.fromkeys(("outcome", "exit_name", "error", "remedy", "run_id"), _ANYTHING | st.none()),
    )
)
def test_it_is_one_line_of_json_and_never_longer_than_4096_bytes(event: dict[str, object]) -> None:
    line = termination_message(event)
    assert len(line) <= 4096
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json.loads(line)["exit_code"] == event["exit_code"]


def test_it_is_written_to_the_file(tmp_path: Path) -> None:
    write_termination_message(tmp_path / "log", LAST)
    assert json.loads((tmp_path / "log").read_bytes())["exit_code"] == 14


@pytest.mark.parametrize("name", ["missing/log", "."])
def test_a_file_that_cannot_be_written_changes_nothing(tmp_path: Path, name: str) -> None:
    write_termination_message(tmp_path / name, LAST)
    assert list(tmp_path.iterdir()) == []
