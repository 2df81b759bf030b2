"""The event stream: one JSON object per line, the contract's fields on each, whatever else happens."""

import io
import json
import logging
import logging.config
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.telemetry.events import EVENT_NAMES, EventStream, Level, json_handler
from migrator.telemetry.redaction import Redactor

ALWAYS = {"run_id": "42", "app": "shop", "release": "1.2"}
FIELDS = ["timestamp", "level", "severity", "event", "message", "run_id", "app", "release"]


class Output:
    """What an event stream has written, through a file as standard output is one."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self.bytes = io.BytesIO()
        self.stream = io.TextIOWrapper(self.bytes, encoding=encoding, write_through=True)

    def events(self, level: Level = "info", *, secret: str = "hunter2") -> EventStream:
        return EventStream(json_handler(self.stream), always=ALWAYS, redactor=Redactor([secret]), level=level)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.bytes.getvalue().splitlines()]


@pytest.fixture
def output() -> Output:
    return Output()


@pytest.fixture
def logging_restored() -> Iterator[None]:
    root = logging.getLogger()
    before, level, number = root.handlers[:], root.level, logging.root.manager.disable
    yield
    logging.disable(number)
    root.handlers[:] = before
    root.setLevel(level)


def test_the_fields_of_the_contract_are_on_every_line_in_this_order(output: Output) -> None:
    events = output.events()
    events.record("plan.made", "2 revisions to apply", revisions=["a", "b"])
    events.record("run.finished", "done", level="error")
    first, last = output.lines()
    assert list(first) == [*FIELDS, "revisions"]
    assert list(last) == FIELDS
    assert {name: first[name] for name in FIELDS[1:]} == {
        "level": "info",
        "severity": "INFO",
        "event": "plan.made",
        "message": "2 revisions to apply",
        **ALWAYS,
    }
    assert (last["level"], last["severity"]) == ("error", "ERROR")


def test_the_timestamp_is_rfc_3339_in_utc(output: Output) -> None:
    output.events().record("run.started", "starts")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", output.lines()[0]["timestamp"])


@pytest.mark.parametrize(("level", "seen"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_events_below_the_level_are_left_out(output: Output, level: Level, seen: int) -> None:
    events = output.events(level)
    for one in ("debug", "info", "warning", "error"):
        events.record("hazard.found", one, level=one)
    assert [line["message"] for line in output.lines()] == ["debug", "info", "warning", "error"][-seen:]


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_the_last_event_is_written_whatever_the_level(output: Output, level: Level) -> None:
    output.events(level).record("run.finished", "done", level="info")
    assert output.lines()[0]["event"] == "run.finished"


@pytest.mark.usefixtures("logging_restored")
def test_nobody_can_silence_the_stream_through_logging(output: Output) -> None:
    events = output.events()
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": True, "root": {"level": "CRITICAL"}})
    events.record("run.started", "after dictConfig")
    logging.disable(logging.CRITICAL)
    events.record("run.finished", "after disable")
    assert [line["message"] for line in output.lines()] == ["after dictConfig", "after disable"]
    assert "migrator" not in logging.root.manager.loggerDict


def test_a_line_break_stays_inside_its_line(output: Output) -> None:
    output.events().record("output.captured", "one\ntwo\r\n\u2028three", line="\x1b[1m\x00")
    (line,) = output.lines()
    assert line["message"] == "one\ntwo\r\n\u2028three"
    assert line["line"] == "\x1b[1m\x00"


def test_a_percent_sign_is_no_placeholder(output: Output) -> None:
    output.events().record("output.captured", "100% %s %(x)s {y}")
    assert output.lines()[0]["message"] == "100% %s %(x)s {y}"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_line_is_utf_8_whatever_the_locale_says(encoding: str) -> None:
    output = Output(encoding)
    output.events().record("run.finished", "57P01–57P03 … ✓")
    assert output.lines()[0]["message"] == "57P01–57P03 … ✓"


def test_bytes_that_are_not_utf_8_do_not_cost_the_line(output: Output) -> None:
    output.events().record("run.finished", "caf\udce9", where="caf\udce9")
    assert output.lines()[0]["event"] == "run.finished"


def test_no_secret_is_in_message_or_facts(output: Output) -> None:
    output.events().record("hazard.found", "hunter2!", where=["postgresql://u:hunter2@h/d", {"x": "hunter2"}])
    assert b"hunter2" not in output.bytes.getvalue()
    assert output.lines()[0]["where"] == ["postgresql://u:***@h/d", {"x": "***"}]


_FACTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(message=st.text(st.characters()), facts=_FACTS, secret=st.text(min_size=4))
def test_every_line_is_json_whatever_it_carries(message: str, facts: Any, secret: str) -> None:
    output = Output()
    output.events(secret=secret).record("output.captured", message, facts=facts)
    (line,) = output.lines()
    assert list(line) == [*FIELDS, "facts"]


def test_a_reader_that_has_gone_is_not_our_failure(capfd: pytest.CaptureFixture[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w")
    events = EventStream(json_handler(stream), always=ALWAYS, redactor=Redactor())
    events.record("run.finished", "done")
    with pytest.raises(BrokenPipeError):
        stream.close()
    assert capfd.readouterr().err == ""


def test_every_name_is_a_noun_and_a_participle() -> None:
    assert all(re.fullmatch(r"[a-z]+\.[a-z]+(ed|en|ade|ound|ead)", name) for name in EVENT_NAMES)
    assert len(set(EVENT_NAMES)) == len(EVENT_NAMES)


def test_a_long_message_is_cut_only_after_its_secrets_are_masked(output: Output) -> None:
    output.events(secret="correct-horse").record("output.captured", "x" * 1995 + "correct-horse" + "y" * 500)
    (line,) = output.lines()
    assert line["message"] == "x" * 1995 + "***" + "y" * 2 + "… (2498 characters)"
