"""What a person sees, on a real terminal of several widths."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.terminal import Shown, show_on_terminal

ROOT = Path(__file__).parents[2]
TELL = """
import time
from migrator.telemetry.events import EventStream
from migrator.telemetry.human import HumanHandler
from migrator.telemetry.redaction import Redactor
events = EventStream(HumanHandler(next_step="the application may start"), always={}, redactor=Redactor())
def pause(): time.sleep(0.3)
"""
A_RUN = """
events.record("plan.made", "2 revisions to apply: a1, b2", revisions=["a1", "b2"])
events.record("backup.started", "backing up a database of 12.3 MB with pg_dump 16.4, " + "as it is " * 20)
events.record("backup.progressed", "backing up: 1.0 MB written, 1.0 MB/s, 1 of 4 tables",
              tables_done=1, tables=4)
pause()
events.record("backup.progressed", "backing up: 3.0 MB written, 1.0 MB/s, 3 of 4 tables",
              tables_done=3, tables=4)
pause()
events.record("backup.verified", "backup proven")
for number, id_ in ((1, "a1"), (2, "b2")):
    events.record("revision.started", f"revision {id_} ({number} of 2): add " + "many things " * 10,
                  revision=id_, number=number, of=2)
    pause()
    events.record("revision.applied", "applied", revision=id_, seconds=0.3)
events.record("run.finished", "migrated: 2 revisions applied; the database is at b2",
              exit_code=0, exit_name="OK", seconds=1.5, phases={"backup": 0.6, "migrate": 0.6})
"""
A_FAILURE = """
events.record("run.finished", "MIGRATION_FAILED: revision b2 failed: " + "no such table " * 12,
              level="error", exit_code=14, exit_name="MIGRATION_FAILED", seconds=1.5,
              phases={"backup": 0.6, "migrate": 0.6}, error="x",
              remedy="correct the revision or the data it met, then deploy again, " * 3)
"""
A_RESTORE_AND_A_REPLAY = """
events.record("restore.started", "restoring", database_size_bytes=100)
events.record("restore.progressed", "restoring: 50 of 100", database_size_bytes=50)
pause()
events.record("restore.verified", "restored")
events.record("replay.progressed", "replaying: 9 of 10 revisions", replayed=9, of=10)
pause()
events.record("difference.found", "table t is missing")
events.record("run.finished", "done")
"""

Tell = Callable[..., Shown]


@pytest.fixture
def tell(tmp_path: Path) -> Tell:
    """Record events of a run on a terminal so wide."""

    def tell(script: str, columns: int = 80, **environ: str) -> Shown:
        environ = {"PYTHONPATH": str(ROOT), **environ}
        shown = show_on_terminal([sys.executable, "-c", TELL + script], columns, environ, tmp_path)
        assert shown.exit_code == 0, shown.raw
        return shown

    return tell


@pytest.fixture
def migrator(tmp_path: Path) -> Callable[..., Shown]:
    """Run a command on a terminal so wide."""

    def migrator(*words: str, columns: int = 80, **environ: str) -> Shown:
        command = [sys.executable, "-m", "migrator", *words]
        return show_on_terminal(command, columns, {"PYTHONPATH": str(ROOT), **environ}, tmp_path)

    return migrator


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("script", [A_RUN, A_FAILURE, A_RESTORE_AND_A_REPLAY])
def test_no_line_is_wider_than_the_terminal(columns: int, script: str, tell: Tell) -> None:
    assert max(map(len, tell(script, columns).lines)) <= columns


@pytest.mark.parametrize("columns", [60, 80])
def test_long_lines_go_on_below_their_text(columns: int, tell: Tell) -> None:
    lines = tell(A_FAILURE, columns).lines
    (first,) = (number for number, line in enumerate(lines) if line.startswith("    what to do   correct"))
    assert lines[first + 1].startswith(" " * 17)
    assert lines[first + 1][17] != " "


@pytest.mark.parametrize("columns", [60, 80])
def test_a_bar_grows_while_a_backup_is_taken(columns: int, tell: Tell) -> None:
    lines = tell(A_RUN, columns).lines
    width = columns // 5
    for done, text in ((1, "1.0 MB written"), (3, "3.0 MB written")):
        filled = round(done / 4 * width)
        bar = "━" * filled + "─" * (width - filled)
        assert any(f"{bar}  backing up: {text}" in line for line in lines)


def test_a_bar_tells_how_many_revisions_are_applied(tell: Tell) -> None:
    lines = tell(A_RUN).lines
    assert any(f"{'━' * 8}{'─' * 8}  2/2  b2" in line for line in lines)


def test_restores_and_replays_have_a_bar_which_ends_with_them(tell: Tell) -> None:
    lines = tell(A_RESTORE_AND_A_REPLAY).lines
    assert any(f"{'━' * 8}{'─' * 8}  restoring: 50 of 100" in line for line in lines)
    assert any(f"{'━' * 14}{'─' * 2}  replaying: 9 of 10" in line for line in lines)
    assert "replaying" not in "\n".join(lines).partition("table t is missing")[2]


def test_the_ending_stands_between_two_lines_and_says_what_is_next(tell: Tell) -> None:
    lines = [line for line in tell(A_RUN, 60).lines if "━" not in line]
    end = lines[lines.index("─" * 60) :]
    assert end == [
        "─" * 60,
        "✓ migrated: 2 revisions applied; the database is at b2",
        "    next         the application may start",
        "    exit         0 OK",
        "    took         1.50 s: backup 0.60, migrate 0.60",
        "─" * 60,
    ]


def test_a_terminal_has_colours_unless_somebody_does_not_want_them(tell: Tell) -> None:
    assert tell(A_RUN).has_colours
    without = tell(A_RUN, NO_COLOR="1")
    assert not without.has_styles
    assert any("━" in line for line in without.lines)
    assert not tell(A_RUN, NO_COLOR="1", FORCE_COLOR="1").has_styles


def test_a_terminal_without_a_cursor_gets_lines_that_stay(tell: Tell) -> None:
    shown = tell(A_RUN, TERM="dumb")
    assert not shown.has_styles
    assert not shown.has_moved
    assert not any("━" in line for line in shown.lines)


@pytest.mark.parametrize("environ", [{}, {"FORCE_COLOR": "1"}])
def test_away_from_a_terminal_only_force_color_asks_for_colours(environ: dict[str, str]) -> None:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", **environ}
    found = subprocess.run(
        [sys.executable, "-c", TELL + A_FAILURE], capture_output=True, text=True, check=True, env=environ
    )
    assert ("\x1b[" in found.stdout) == ("FORCE_COLOR" in environ)
    assert "no such table " * 11 in found.stdout  # not folded


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
@pytest.mark.parametrize("table", ["settings", "exit-codes"])
def test_a_table_fits_the_terminal(table: str, columns: int, migrator: Callable[..., Shown]) -> None:
    shown = migrator(table, columns=columns)
    assert shown.exit_code == 0
    assert max(map(len, shown.lines)) <= columns
    text = " ".join(" ".join(shown.lines).split())
    assert ("MIGRATOR_CONCURRENTLY_LOCK_TIMEOUT" if table == "settings" else "INTERRUPTED_MIDWAY") in text


def test_a_table_has_no_styles_where_nobody_wants_them(migrator: Callable[..., Shown]) -> None:
    assert migrator("exit-codes").has_styles
    assert not migrator("exit-codes", NO_COLOR="1").has_styles
    assert not migrator("exit-codes", TERM="dumb").has_styles


def test_whoever_stops_reading_a_table_gets_no_traceback(tmp_path: Path) -> None:
    reader = f"{sys.executable} -m migrator settings | true"
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    found = subprocess.run(
        ["bash", "-c", reader], capture_output=True, text=True, check=True, env=environ, cwd=tmp_path
    )
    assert found.stderr == ""


def test_rich_is_imported_only_for_a_person(tmp_path: Path, migrator: Callable[..., Shown]) -> None:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    for words in (
        ["settings"],
        ["settings", "--json"],
        ["wait"],
        ["status", "--json"],
        ["completion", "bash"],
    ):
        command = [sys.executable, "-X", "importtime", "-m", "migrator", *words]
        found = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environ, cwd=tmp_path
        )
        assert "migrator.cli" in found.stderr
        assert "rich" not in {line.rpartition("|")[2].strip() for line in found.stderr.splitlines()}
    assert "rich" in migrator("settings", PYTHONPROFILEIMPORTTIME="1").raw
