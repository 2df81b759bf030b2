"""A patient without the command around it: checks are asked one by one, against a real target."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from migrator.clock import Stop, SystemClock
from migrator.diagnosis.finding import Check, Finding, Verdict
from migrator.diagnosis.patient import Patient
from migrator.errors import MigratorError
from migrator.history.release import Release
from migrator.history.sight import Sight, judge
from migrator.postgres.session import Session
from migrator.settings.reader import read_settings
from migrator.steps.begin import load
from migrator.steps.desk import Desk
from migrator.steps.peek import peek
from tests.support.runner import Migrator

_READ_ONLY: Final = (
    "SELECT set_config('default_transaction_read_only', 'on', false), "
    "set_config('statement_timeout', '5s', false)"
)


class Heard:
    """Events, kept."""

    def __init__(self) -> None:
        """Nothing was told yet."""
        self.told: list[tuple[str, str]] = []

    def record(self, event: str, message: str, **_: Any) -> None:
        """Keep one."""
        self.told.append((event, message))


def patient_of(migrator: Migrator, **environ: str | None) -> Patient:
    """What `diagnose`, started as this migrator is, would find at hand."""
    merged = {name: value for name, value in {**migrator.environ, **environ}.items() if value is not None}
    desk = _desk(merged, migrator.folder)

    session = Sessions(desk)

    def release() -> Release:
        return load(desk)

    def sight() -> Sight:
        return judge(peek(session(), release()), release())

    return Patient(desk, merged, session, release, sight)


class Sessions:
    """One session for as long as something is asked, as a section has."""

    def __init__(self, desk: Desk) -> None:
        """Nothing is open yet."""
        self._desk = desk
        self._open: Session | None = None

    def __call__(self) -> Session:
        """The session."""
        if self._open is None:
            self._open = self._desk.connector.reopen("the diagnosis")
            self._open.rows(_READ_ONLY)
        return self._open

    def close(self) -> None:
        """Close what was opened."""
        if self._open is not None:
            self._open.close()
            self._open = None


def _desk(environ: Mapping[str, str], folder: Path) -> Desk:
    settings, _ = read_settings(environ)
    stop = Stop()
    return Desk(
        settings=settings,
        events=Heard(),
        clock=SystemClock(stop),
        stop=stop,
        environ=environ,
        cwd=folder,
        run_id=os.urandom(8).hex(),
        dsn=dataclasses.replace(settings.dsn),
        redact=lambda text: text,
    )


def asked(check: Check | Callable[[Patient], Iterable[Finding]], patient: Patient) -> list[Finding]:
    """The answers; what could not be looked at is one too, as for the command."""
    try:
        found = list((check.ask if isinstance(check, Check) else check)(patient))
    except MigratorError as error:
        return [Finding(Verdict.IMPOSSIBLE, error.message, remedy=error.remedy)]
    finally:
        assert isinstance(patient.session, Sessions)
        patient.session.close()
    assert found, "nothing was answered"
    for one in found:
        assert one.seen
        assert one.verdict in {Verdict.PASS, Verdict.IMPOSSIBLE} or (one.why and one.remedy)
    return found


def named(checks: tuple[Check, ...], id_: str) -> Check:
    """The check of this id."""
    (found,) = (one for one in checks if one.id == id_)
    return found
