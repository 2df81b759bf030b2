"""Metrics of a run: one pure function of its outcome, and the push."""

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from urllib.parse import unquote, urlsplit, urlunsplit

from migrator import __version__
from migrator.clock import Stop
from migrator.errors import ExitCode

_PUSH_SECONDS = 5.0
# A run that was told to stop is gone within 5 s: what is left of these is the push's.
_LEAVING_SECONDS = 4.0
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Measured:
    """What the metrics are computed from; absent numbers are absent gauges."""

    app: str
    database: str
    release: str
    outcome: str
    exit_code: ExitCode
    finished: datetime
    duration_seconds: float
    phases: Mapping[str, float]
    revisions_applied: int
    revisions_pending: int
    lock_wait_seconds: float = 0.0
    blocked_attempts: int = 0
    backup_size_bytes: int | None = None
    backup_duration_seconds: float | None = None
    backup_finished: datetime | None = None
    database_size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One gauge with its value."""

    name: str
    help: str
    value: float
    labels: tuple[tuple[str, str], ...] = ()


def samples(measured: Measured) -> tuple[Sample, ...]:
    """All gauges of one run."""
    return tuple(_samples(measured))


def _samples(it: Measured) -> Iterator[Sample]:
    succeeded = it.exit_code == ExitCode.OK
    finished = it.finished.timestamp()
    yield Sample("migrator_success", "1 if the last run opened the gate", float(succeeded))
    yield Sample("migrator_exit_code", "exit code of the last run", float(it.exit_code))
    yield Sample("migrator_retryable", "1 if time alone may cure it", float(it.exit_code.is_retryable))
    yield Sample("migrator_duration_seconds", "the whole run", it.duration_seconds)
    for phase, seconds in it.phases.items():
        help_ = "one phase of the run"
        yield Sample("migrator_phase_duration_seconds", help_, seconds, (("phase", phase),))
    yield Sample("migrator_revisions_applied", "revisions this run committed", float(it.revisions_applied))
    yield Sample("migrator_revisions_pending", "revisions still to apply", float(it.revisions_pending))
    yield Sample("migrator_lock_wait_seconds", "waited for the leader lock", it.lock_wait_seconds)
    yield Sample("migrator_blocked_attempts", "attempts that met a table lock", float(it.blocked_attempts))
    yield from _backup_samples(it)
    if it.database_size_bytes is not None:
        yield Sample("migrator_database_size_bytes", "size of the database", float(it.database_size_bytes))
    yield Sample("migrator_last_run_timestamp_seconds", "when the last run ended", finished)
    if succeeded:
        yield Sample("migrator_last_success_timestamp_seconds", "when a run last opened the gate", finished)
    about = (("release", it.release), ("version", __version__), ("outcome", it.outcome))
    yield Sample("migrator_info", "what ran", 1.0, about)


def _backup_samples(it: Measured) -> Iterator[Sample]:
    if it.backup_size_bytes is not None:
        yield Sample("migrator_backup_size_bytes", "size of the backup", float(it.backup_size_bytes))
    if it.backup_duration_seconds is not None:
        yield Sample("migrator_backup_duration_seconds", "to take the backup", it.backup_duration_seconds)
    if it.backup_finished is not None:
        when = it.backup_finished.timestamp()
        yield Sample("migrator_last_backup_timestamp_seconds", "when a backup was last taken", when)


def push(url: str, measured: Measured, grouping: tuple[tuple[str, str], ...], stop: Stop) -> None:
    """POST all gauges, so that those of the last success stay after a failure.

    Takes at most 5 s, name resolution and a gateway that drips included, and no longer than a run that was
    told to stop has left. Raises `OSError` when the gateway cannot be reached or refuses.
    """
    failures: list[Exception] = []

    def work() -> None:
        try:
            _post(url, measured, grouping)
        except Exception as error:  # noqa: BLE001 - handed to the caller's thread below
            failures.append(error)

    worker = threading.Thread(target=work, name="pushgateway", daemon=True)
    worker.start()
    began = time.monotonic()
    while worker.is_alive() and time.monotonic() - began < _PUSH_SECONDS:
        if stop.told_seconds > _LEAVING_SECONDS:
            break
        worker.join(_LOOK_SECONDS)
    if worker.is_alive():
        raise OSError(f"no answer within {time.monotonic() - began:.1f} s")
    if failures:
        raise OSError(str(failures[0])) from failures[0]


def _post(url: str, measured: Measured, grouping: tuple[tuple[str, str], ...]) -> None:
    # Only a run that pushes pays for the import.
    from prometheus_client import CollectorRegistry, Gauge, pushadd_to_gateway  # noqa: PLC0415
    from prometheus_client.exposition import basic_auth_handler, default_handler  # noqa: PLC0415

    registry = CollectorRegistry()
    gauges: dict[str, Gauge] = {}
    for sample in samples(measured):
        names = [name for name, _ in sample.labels]
        if sample.name not in gauges:
            gauges[sample.name] = Gauge(sample.name, sample.help, names, registry=registry)
        gauge = gauges[sample.name]
        (gauge.labels(**dict(sample.labels)) if names else gauge).set(sample.value)
    address, user, password = _without_account(url)
    handler = default_handler
    if user:
        handler = partial(basic_auth_handler, username=user, password=password)
    pushadd_to_gateway(
        address,
        job="migrator",
        registry=registry,
        grouping_key=dict(grouping) | {"app": measured.app, "database": measured.database},
        timeout=_PUSH_SECONDS,
        handler=handler,
    )


def _without_account(url: str) -> tuple[str, str, str]:
    """Take user and password out of the URL: the HTTP library would look them up as a host's name."""
    parts = urlsplit(url)
    account, _, host = parts.netloc.rpartition("@")
    user, _, password = account.partition(":")
    return urlunsplit(parts._replace(netloc=host)), unquote(user), unquote(password)
