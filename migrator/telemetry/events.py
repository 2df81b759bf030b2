"""The event stream: facts in the past tense, one line each on standard output."""

import io
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, TextIO, get_args

from pythonjsonlogger.json import JsonFormatter

from migrator.telemetry.redaction import Redactor

EventName = Literal[
    "run.started",
    "wait.attempted",
    "wait.finished",
    "lock.waited",
    "lock.acquired",
    "state.read",
    "plan.made",
    "backup.started",
    "backup.progressed",
    "backup.taken",
    "backup.verified",
    "backup.skipped",
    "backup.pruned",
    "restore.started",
    "restore.progressed",
    "restore.verified",
    "database.swapped",
    "replay.progressed",
    "attempt.started",
    "revision.started",
    "revision.applied",
    "revision.reverted",
    "revision.blocked",
    "revision.failed",
    "schema.verified",
    "difference.found",
    "hazard.found",
    "metrics.pushed",
    "metrics.failed",
    "output.captured",
    "signal.received",
    "run.finished",
]
EVENT_NAMES: tuple[str, ...] = get_args(EventName)
Level = Literal["debug", "info", "warning", "error"]
_NUMBERS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_LONGEST_MESSAGE = 2000
_LAST: EventName = "run.finished"


class Events(Protocol):
    """Where facts are told."""

    def record(self, event: EventName, message: str, *, level: Level = "info", **facts: Any) -> None:
        """Tell one fact, after it is true."""
        ...


class EventStream:
    """Writes events through a logger that user code cannot reconfigure: no other code can find it by name."""

    def __init__(
        self,
        handler: logging.Handler,
        *,
        always: Mapping[str, str],
        redactor: Redactor,
        level: Level = "info",
    ) -> None:
        """Write to this handler; `always` are the fields on every line."""
        self._logger = logging.Logger("migrator", _NUMBERS[level])  # noqa: LOG001 - nobody is to find it
        self._logger.addHandler(handler)
        self._handler = handler
        self._always = dict(always)
        self._redactor = redactor

    def record(self, event: EventName, message: str, *, level: Level = "info", **facts: Any) -> None:
        """Write one line; the last event is written whatever the level."""
        number = _NUMBERS[level]
        if number < self._logger.level and event != _LAST:
            return
        fields = {"event": event} | self._always | self._redactor.value(facts)
        record = self._logger.makeRecord(
            "migrator", number, "", 0, _cut(self._redactor.text(message)), (), None, extra={"facts": fields}
        )
        self._handler.handle(record)


def _cut(message: str) -> str:
    """A message of bearable length; cut after redaction, so that no half of a secret stays."""
    if len(message) <= _LONGEST_MESSAGE:
        return message
    return f"{message[:_LONGEST_MESSAGE]}… ({len(message)} characters)"


class _Formatter(JsonFormatter):
    """Our field names, in an order people can read."""

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, _message_dict: dict[str, Any]
    ) -> None:
        """Put the fields of the contract on the line."""
        moment = datetime.fromtimestamp(record.created, UTC)
        log_data["timestamp"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        log_data["level"] = record.levelname.lower()
        log_data["severity"] = record.levelname
        facts: dict[str, Any] = getattr(record, "facts", {})
        log_data["event"] = facts.get("event")
        log_data["message"] = record.getMessage()
        log_data.update(facts)


def json_handler(stream: TextIO | None = None) -> logging.Handler:
    """One JSON object per line; a closed pipe downstream is not our failure.

    It is UTF-8 whatever the locale says; half of a character is written as JSON's own escape.
    """
    stream = stream or sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    handler = _QuietStream(stream)
    handler.setFormatter(_Formatter(json_ensure_ascii=False))
    return handler


class _QuietStream(logging.StreamHandler[TextIO]):
    """Standard error is not for logging's own troubles: Railway shows it as errors of the deploy."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Carry on: the exit code says what matters."""
