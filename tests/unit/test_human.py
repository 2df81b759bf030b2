"""What a person reads of a run, from recorded events."""

import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from migrator.telemetry.events import EVENT_NAMES, EventStream
from migrator.telemetry.human import HumanHandler
from migrator.telemetry.redaction import Redactor

ALEMBIC_SAYS = "INFO  [alembic.runtime.migration] Running upgrade a1 -> b2, add books"
FAILED: dict[str, Any] = {
    "outcome": "failed",
    "exit_code": 14,
    "exit_name": "MIGRATION_FAILED",
    "seconds": 1.234,
    "phases": {"load": 0.01, "backup": 0.2, "migrate": 1.0},
    "backup": {"location": "/backups/shop/1.dump"},
    "error": "revision b2 failed: no such table (42P01); committed: a1; rolled back: b2",
    "remedy": "correct the revision or the data it met, then deploy again",
    "statement": "ALTER TABLE [bold]nowhere[/bold] ADD x int",
    "where": "/elsewhere/versions/b2_.py:7",
    "committed": ["a1"],
    "rolled_back": ["b2"],
    "half_applied": [],
}


class Terminal(io.StringIO):
    """What a person sees, escapes included."""

    def isatty(self) -> bool:
        return True


class BrokenPipe(io.StringIO):
    """Whoever read this is gone."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError


@pytest.fixture
def page() -> io.StringIO:
    """Standard output that is no terminal."""
    return io.StringIO()


@pytest.fixture
def stream_to() -> Iterator[Callable[[io.StringIO], EventStream]]:
    """Make an event stream that people read here, at debug level."""
    handlers: list[HumanHandler] = []

    def stream(page: io.StringIO) -> EventStream:
        handlers.append(HumanHandler(page))
        return EventStream(handlers[-1], always={"run_id": "r1"}, redactor=Redactor([]), level="debug")

    yield stream
    for handler in handlers:
        handler.close()


@pytest.fixture
def events(page: io.StringIO, stream_to: Callable[[io.StringIO], EventStream]) -> EventStream:
    """The event stream onto the page."""
    return stream_to(page)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 80 columns."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


def start(events: EventStream, id_: str, number: int, of: int, doc: str = "") -> None:
    message = f"revision {id_} ({number} of {of}): {doc}"
    events.record("revision.started", message, revision=id_, number=number, of=of)


def apply(events: EventStream, id_: str, seconds: float) -> None:
    events.record("revision.applied", f"revision {id_} applied", revision=id_, seconds=seconds)


def test_an_applied_revision_is_one_line_with_its_place_id_seconds_and_docstring(
    events: EventStream, page: io.StringIO
) -> None:
    events.record("plan.made", "2 revisions to apply: a1, long_b2", revisions=["a1", "long_b2"])
    start(events, "a1", 1, 2, "add: books")
    start(events, "long_b2", 2, 2, "add authors")
    apply(events, "a1", 0.1)
    apply(events, "long_b2", 12.345)
    assert page.getvalue().splitlines() == [
        "  • 2 revisions to apply",
        "  ✓ 1/2  a1         0.10 s  add: books",
        "  ✓ 2/2  long_b2   12.35 s  add authors",
    ]


def test_brackets_in_messages_are_text_and_not_markup(events: EventStream, page: io.StringIO) -> None:
    nasty = "[bold red]x[/] [/nothing] [link=http://evil]y [array[1]] :warning:"
    for name in ("hazard.found", "output.captured", "state.read", "run.finished"):
        events.record(name, nasty)
    start(events, "[red]", 1, 1, nasty)
    apply(events, "[red]", 1)
    assert page.getvalue().count(nasty) == 5
    assert "[red]" in page.getvalue()


def test_control_characters_do_not_reach_the_terminal(events: EventStream, page: io.StringIO) -> None:
    events.record("hazard.found", "a\x1b[2Jb\x07\nc")
    events.record("output.captured", "\x1b]0;title\x07printed\r")
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", page.getvalue())
    assert len(page.getvalue().splitlines()) == 2


@pytest.mark.parametrize("name", EVENT_NAMES)
def test_no_event_needs_its_facts(name: Any, events: EventStream, page: io.StringIO) -> None:
    events.record(name, "something happened")
    events.record("run.finished", "the end")
    assert "the end" in page.getvalue()


def test_a_failed_run_says_what_stays_what_went_and_what_to_do(
    events: EventStream, page: io.StringIO
) -> None:
    start(events, "b2", 1, 1, "add books")
    events.record("revision.failed", "revision b2: no such table", level="error", revision="b2")
    events.record("run.finished", f"MIGRATION_FAILED: {FAILED['error']}", level="error", **FAILED)
    assert page.getvalue().splitlines() == [
        "  ✗ 1/1  b2    failed  add books",
        "✗ MIGRATION_FAILED: revision b2 failed: no such table (42P01)",
        "    statement    ALTER TABLE [bold]nowhere[/bold] ADD x int",
        "    at           /elsewhere/versions/b2_.py:7",
        "    committed    a1",
        "    rolled back  b2",
        "    backup       /backups/shop/1.dump",
        "    what to do   correct the revision or the data it met, then deploy again",
        "    exit         14 MIGRATION_FAILED, permanent: the same release fails again",
        "    took         1.23 s: backup 0.20, migrate 1.00",
    ]


def test_what_stays_half_done_is_told_with_the_ending(events: EventStream, page: io.StringIO) -> None:
    facts = {**FAILED, "half_applied": ["b2"], "invalid_indexes": ["public.books_idx"]}
    events.record("run.finished", f"MIGRATION_FAILED: {FAILED['error']}", level="error", **facts)
    assert "    in part      b2: what it committed by itself stays\n" in page.getvalue()
    assert "    left INVALID public.books_idx\n" in page.getvalue()


def test_a_failure_before_any_revision_says_where_the_database_is(
    events: EventStream, page: io.StringIO
) -> None:
    facts: dict[str, Any] = {"exit_code": 13, "exit_name": "POLICY_REFUSED", "error": "no room"}
    events.record("run.finished", "POLICY_REFUSED: no room", heads_after=["a1"], **facts)
    assert "    database     at a1, when it was last looked at\n" in page.getvalue()


def test_every_problem_of_the_settings_has_a_line(events: EventStream, page: io.StringIO) -> None:
    problems = ["DATABASE_URL is missing", "MIGRATOR_BACKUP_URL is missing"]
    facts: dict[str, Any] = {"exit_code": 10, "exit_name": "SETTINGS_INVALID", "error": "; ".join(problems)}
    events.record("run.finished", f"SETTINGS_INVALID: {'; '.join(problems)}", problems=problems, **facts)
    assert page.getvalue().splitlines()[:3] == [
        "✗ SETTINGS_INVALID: 2 problems",
        *(f"    problem      {problem}" for problem in problems),
    ]


@pytest.mark.parametrize("exit_code", [0, 33])
def test_only_a_success_opens_what_is_next(exit_code: int, page: io.StringIO) -> None:
    handler = HumanHandler(page, next_step="the application may start")
    events = EventStream(handler, always={}, redactor=Redactor([]))
    events.record("run.finished", "the end", exit_code=exit_code)
    assert ("    next         the application may start\n" in page.getvalue()) == (exit_code == 0)


def test_a_bug_shows_its_traceback(events: EventStream, page: io.StringIO) -> None:
    facts: dict[str, Any] = {
        "exit_code": 1,
        "error": "KeyError: 'x'",
        "traceback": "Traceback:\n  File [1]\nKeyError: 'x'",
    }
    events.record("run.finished", "INTERNAL_ERROR: KeyError: 'x'", level="error", **facts)
    assert page.getvalue().endswith("  │ Traceback:\n  │   File [1]\n  │ KeyError: 'x'\n")


def test_alembics_own_lines_are_left_out_and_what_user_code_prints_is_not(
    events: EventStream, page: io.StringIO
) -> None:
    events.record("output.captured", ALEMBIC_SAYS, stream="stderr")
    events.record("output.captured", "filled 1000 orders", stream="stdout")
    assert page.getvalue() == "  │ filled 1000 orders\n"


def test_a_run_at_debug_level_shows_alembics_own_lines_too(events: EventStream, page: io.StringIO) -> None:
    events.record("run.started", "migrator starts", level="debug")
    events.record("output.captured", ALEMBIC_SAYS, stream="stderr")
    assert ALEMBIC_SAYS in page.getvalue()


def test_a_state_that_is_the_same_at_the_second_look_is_told_once(
    events: EventStream, page: io.StringIO
) -> None:
    events.record("state.read", "the database is pending")
    events.record("lock.acquired", "this run leads")
    events.record("state.read", "the database is pending")
    events.record("state.read", "the database is current")
    assert page.getvalue().splitlines() == [
        "  • the database is pending",
        "  • this run leads",
        "  • the database is current",
    ]


def test_away_from_a_terminal_a_fact_is_one_line_without_escapes(
    events: EventStream, page: io.StringIO
) -> None:
    events.record("hazard.found", "long " * 60, level="warning")
    assert page.getvalue() == f"  ! {('long ' * 60).rstrip()}\n"


def test_a_terminal_gets_folded_lines_with_a_hanging_indent_and_whole_paths(
    terminal: Terminal, stream_to: Callable[[io.StringIO], EventStream]
) -> None:
    path = f"/backups/{'x' * 90}.dump"
    stream_to(terminal).record("hazard.found", f"{'word ' * 30}{path}", level="warning")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())
    assert plain != terminal.getvalue()
    first, *others, last, end = plain.split("\n")
    assert first.startswith("  ! word")
    assert len(first) <= 80
    assert all(line.startswith("    word") for line in others)
    assert (last, end) == (f"    {path}", "")


def test_a_terminal_shows_what_is_running_until_it_ends(
    terminal: Terminal, stream_to: Callable[[io.StringIO], EventStream]
) -> None:
    events = stream_to(terminal)
    start(events, "a1", 1, 2, "add [books]")
    start(events, "b2", 2, 2, "fill")
    apply(events, "a1", 0.1)  # committed by b2's autocommit block, while b2 goes on
    assert "2/2  b2       0 s  fill" in terminal.getvalue().rpartition("✓")[2]
    apply(events, "b2", 0.1)
    assert "fill" in terminal.getvalue().rpartition("✓")[2]
    assert terminal.getvalue().rpartition("✓")[2].count("b2") == 1


def test_whoever_stops_reading_does_not_stop_the_run(
    stream_to: Callable[[io.StringIO], EventStream],
) -> None:
    events = stream_to(BrokenPipe())
    events.record("hazard.found", "nobody reads this")
    events.record("run.finished", "nor this")
