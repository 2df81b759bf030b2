"""Report an outcome everywhere it is awaited: metrics, last event, termination message."""

from collections.abc import Mapping
from typing import Any

from migrator.clock import Stop
from migrator.errors import ExitCode
from migrator.model import Outcome
from migrator.settings import Settings
from migrator.telemetry.events import Events, Level
from migrator.telemetry.metrics import Measured, push
from migrator.telemetry.termination import write_termination_message


def report(
    outcome: Outcome, settings: Settings, events: Events, redact: Any, always: Mapping[str, str]
) -> None:
    """Write the last event, then the termination message. Nothing here changes the outcome."""
    facts = last_event(outcome)
    level: Level = "info" if outcome.exit_code is ExitCode.OK else "error"
    events.record("run.finished", outcome.message, level=level, **facts)
    write_termination_message(settings.termination_log, redact({**always, **facts}))


def push_metrics(outcome: Outcome, settings: Settings, events: Events, stop: Stop) -> None:
    """Push what a run measured, if it is to be pushed, before its last event. Other commands have no run."""
    if settings.pushgateway_url is None:
        return
    try:
        push(settings.pushgateway_url.reveal(), _measured(outcome, settings), settings.grouping, stop)
    except OSError as error:
        message = f"metrics could not be pushed: {error}"
        events.record("metrics.failed", message, level="warning")
    else:
        events.record("metrics.pushed", "metrics pushed", level="debug")


def _measured(outcome: Outcome, settings: Settings) -> Measured:
    backup = outcome.backup
    return Measured(
        app=settings.app,
        database=outcome.database,
        release=settings.release,
        outcome=outcome.ending.value,
        exit_code=outcome.exit_code,
        finished=outcome.finished,
        duration_seconds=outcome.seconds,
        phases=outcome.phases,
        revisions_applied=len(outcome.applied),
        revisions_pending=outcome.pending,
        lock_wait_seconds=outcome.lock_wait_seconds,
        blocked_attempts=outcome.blocked_attempts,
        backup_size_bytes=backup.size_bytes if backup else None,
        backup_duration_seconds=backup.seconds if backup else None,
        backup_finished=backup.finished if backup else None,
        database_size_bytes=outcome.database_size_bytes,
    )


def last_event(outcome: Outcome) -> dict[str, Any]:
    """What `run.finished` says: enough to answer what happened without any other line."""
    facts: dict[str, Any] = {
        "outcome": outcome.ending.value,
        "exit_code": int(outcome.exit_code),
        "exit_name": outcome.exit_code.name,
        "retryable": outcome.exit_code.is_retryable,
        "seconds": round(outcome.seconds, 3),
        "phases": {name: round(seconds, 3) for name, seconds in outcome.phases.items()},
        "database": outcome.database,
        "state": outcome.state,
        "heads_before": _listed(outcome.heads_before),
        "heads_after": _listed(outcome.heads_after),
        "revisions_applied": list(outcome.applied),
        "revisions_pending": outcome.pending,
        "lock_wait_seconds": round(outcome.lock_wait_seconds, 3),
        "backup": outcome.backup.facts if outcome.backup else None,
        "error": outcome.error,
        "remedy": outcome.remedy,
    }
    return facts | {
        name: value for name, value in outcome.facts.items() if name not in facts and value is not None
    }


def _listed(heads: tuple[Any, ...] | None) -> list[str] | None:
    return None if heads is None else list(heads)
