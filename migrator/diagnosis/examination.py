"""The examination: every check is asked, a thread for each section, and nothing stops at a failure."""

import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from migrator.clock import STOPS, Stop, SystemClock
from migrator.diagnosis.finding import Check, Finding, impossible
from migrator.diagnosis.patient import Patient
from migrator.errors import DatabaseUnavailable, MigratorError
from migrator.history.sight import Sight, judge
from migrator.postgres.looking import open_to_look
from migrator.postgres.session import Session
from migrator.steps.begin import load
from migrator.steps.desk import Desk
from migrator.steps.peek import peek

# With the time an interpreter takes to start and leave, 15 s against a host that swallows every packet.
_LIMIT_SECONDS = 12.0
_TURN_SECONDS = 0.02
_LEAVING_SECONDS = 3.0

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Answer:
    """One finding of one check."""

    check: Check
    finding: Finding


def examine(checks: Iterable[Check], desk: Desk, flags: Mapping[str, str]) -> tuple[Answer, ...]:
    """Ask each check, and give the answers in the order of the checks.

    Without a deep one it ends in time whatever hangs: what has not answered by then could not be looked at.
    """
    asked = tuple(checks)
    sections: dict[str, list[Check]] = {}
    for check in asked:
        sections.setdefault(check.section, []).append(check)
    common = _Common(desk, flags)
    found: dict[str, tuple[Finding, ...]] = {}
    threads = [_start(section, common, found) for section in sections.values()]
    end = time.monotonic() + _LIMIT_SECONDS
    has_end = not any(check.is_deep for check in asked)
    try:
        while any(thread.is_alive() for thread in threads) and not (has_end and time.monotonic() > end):
            desk.clock.sleep(_TURN_SECONDS)
    except STOPS:
        common.stop.tell(desk.stop.received or signal.SIGTERM)
        if not has_end:  # a scratch database is to be dropped
            _join(threads, _LEAVING_SECONDS)
        raise
    answers = {check.id: found.get(check.id, (_unanswered(),)) for check in asked}
    return tuple(Answer(check, one) for check in asked for one in answers[check.id])


def _join(threads: Iterable[threading.Thread], seconds: float) -> None:
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(end - time.monotonic(), 0))


def _start(
    section: Sequence[Check], common: "_Common", found: dict[str, tuple[Finding, ...]]
) -> threading.Thread:
    def work() -> None:
        with ExitStack() as stack:
            patient = common.patient(stack)
            for check in section:
                if common.stop.received is not None:
                    return
                found[check.id] = _ask(check, patient)

    # Nobody waits for a library that waits for the network.
    thread = threading.Thread(target=work, name=section[0].section, daemon=True)
    thread.start()
    return thread


def _ask(check: Check, patient: Patient) -> tuple[Finding, ...]:
    try:
        return tuple(check.ask(patient))
    except MigratorError as error:
        return (impossible(error.message, why="it could not be looked at", remedy=error.remedy),)
    except Exception as error:  # noqa: BLE001 - whoever is ill wants to hear the rest
        said = f"a bug in this check: {type(error).__name__}: {error}"
        return (
            impossible(said, why="migrator did not foresee this", remedy="report it with this diagnosis"),
        )


def _unanswered() -> Finding:
    return impossible(
        f"no answer within {_LIMIT_SECONDS:g} s",
        why="something on the way does not answer, and a diagnosis waits for nothing longer than that",
        remedy="see the checks of `connection`; ask again for this one alone with --only",
    )


class _Common:
    """What the sections share: once it is known that nobody lets us in, nobody knocks again."""

    def __init__(self, desk: Desk, flags: Mapping[str, str]) -> None:
        # A signal is the main thread's: what waits in a section must not answer it.
        self.stop = Stop()
        self._desk = replace(desk, stop=self.stop, clock=SystemClock(self.stop))
        self._flags = flags
        self._knock = _Once(self._let_in)
        self._release = _Once(lambda: load(self._desk))
        self._sight: _Once[Sight] | None = None
        self._lock = threading.Lock()

    def patient(self, stack: ExitStack) -> Patient:
        """The patient as one section sees it; its session is closed with the stack."""
        session = _Once(lambda: stack.enter_context(self._session()))
        return Patient(
            desk=self._desk,
            environ=self._desk.environ,
            flags=self._flags,
            session=session,
            release=self._release,
            sight=lambda: self._seen(session),
        )

    def _seen(self, session: Callable[[], Session]) -> Sight:
        with self._lock:
            if self._sight is None:
                self._sight = _Once(lambda: self._look(session()))
        return self._sight()

    def _look(self, session: Session) -> Sight:
        release = self._release()
        return judge(peek(session, release), release)

    def _session(self) -> Session:
        self._knock()
        return open_to_look(self._desk.connector)

    def _let_in(self) -> bool:
        settings = self._desk.settings
        if settings.database_url is None and settings.direct_database_url is None:
            raise DatabaseUnavailable(
                "there is no address of a database",
                remedy="migrator diagnose --only environment",
            )
        try:
            open_to_look(self._desk.connector).close()
        except MigratorError as error:  # said once, where it belongs
            raise DatabaseUnavailable(
                "no session can be opened: see connection.login", remedy="migrator diagnose --only connection"
            ) from error
        return True


class _Once(Generic[Value]):
    """A value, or our error, that is made when it is first asked for, whoever asks."""

    def __init__(self, make: Callable[[], Value]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: list[Any] = []
        self._error: MigratorError | None = None

    def __call__(self) -> Value:
        """The value. Raises our error again each time."""
        with self._lock:
            if not self._made and self._error is None:
                try:
                    self._made.append(self._make())
                except MigratorError as error:
                    self._error = error
            if self._error is not None:
                raise self._error
            value: Value = self._made[0]
            return value
