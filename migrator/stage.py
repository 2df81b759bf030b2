"""The stage: a command's run from its settings to its last event, whatever happens in between."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from migrator import __version__
from migrator.clock import Stop, SystemClock
from migrator.errors import ExitCode, MigratorError, SettingsInvalid
from migrator.settings import Dsn, Settings
from migrator.settings.reader import Need, read_settings, readable_settings
from migrator.telemetry.events import EventStream, json_handler
from migrator.telemetry.redaction import Redactor

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from typing import TextIO

    from migrator.account import Account
    from migrator.model import Outcome
    from migrator.steps.desk import Desk

    Command = Callable[[Desk, Account], Outcome]


_NEXT_STEP = "the application may start"
Kind = Literal["run", "steps", "facts"]


class Stage:
    """What every command finds set up: settings, stop signals, events, and the report at the end."""

    def __init__(
        self,
        flags: Mapping[str, str],
        environ: Mapping[str, str],
        kind: "Kind",
        need: Need,
        *,
        bears_bad_settings: bool = False,
    ) -> None:
        """Set up for a command of this kind, with this need of backups; a diagnosis bears bad settings."""
        self._bears_bad_settings = bears_bad_settings
        self._flags = flags
        self._environ = environ
        self._kind = kind
        self._need = need
        self._stop = Stop()
        self._run_id = os.urandom(8).hex()

    def perform(self, load: "Callable[[], Command]") -> int:
        """Settings, stop signals, events; then the command; then its report."""
        self._stop.install()
        try:
            settings, warnings = read_settings(self._environ, self._flags, need=self._need)
        except SettingsInvalid as error:
            if not self._bears_bad_settings:
                return self._report_bad_settings(error)
            settings, warnings = readable_settings(self._environ, self._flags), ()
        return self._perform(load, settings, warnings)

    def _perform(self, load: "Callable[[], Command]", settings: Settings, warnings: Sequence[str]) -> int:
        from migrator.account import Account  # noqa: PLC0415 - settings decide whether there is a run at all
        from migrator.report import push_metrics, report  # noqa: PLC0415

        dsn = _address(settings)
        if settings.deadline is not None:
            self._stop.set_deadline(settings.deadline)
        redactor = Redactor(_secrets(settings, self._environ))
        always = {"run_id": self._run_id, "app": settings.app, "release": settings.release}
        events = self._events(settings, always, redactor)
        account = Account(dsn.database or dsn.user or "postgres")
        events.record("run.started", f"migrator {__version__} starts", level="debug", version=__version__)
        for warning in warnings:
            events.record("hazard.found", warning, level="warning")
        try:
            outcome = load()(self._desk(settings, events, redactor), account)
        except Exception as error:  # noqa: BLE001 - the one place where a bug becomes exit 1
            outcome = account.failed(_bug(error))
        if self._stop.received is not None:
            name = self._stop.received.name
            events.record("signal.received", f"{name} received", level="warning", signal=name)
        if self._kind == "run":
            push_metrics(outcome, settings, events, self._stop)
        if self._kind != "facts" or outcome.exit_code is not ExitCode.OK:
            report(outcome, settings, events, redactor.value, always)
        return int(outcome.exit_code)

    def _events(self, settings: Settings, always: Mapping[str, str], redactor: Redactor) -> EventStream:
        """Where facts are printed, events are for whoever looks on: on standard error, and only warnings."""
        level = settings.log_level
        if self._kind == "facts" and level in {"debug", "info"}:
            level = "warning"
        return EventStream(self._handler(settings.log_format), always=always, redactor=redactor, level=level)

    def _handler(self, form: Literal["auto", "json", "text"]) -> "logging.Handler":
        if form == "text" or (form == "auto" and self._stream.isatty()):
            from migrator.telemetry.human import HumanHandler  # noqa: PLC0415 - only people need it

            return HumanHandler(self._stream, next_step=_NEXT_STEP if self._kind == "run" else "")
        return json_handler(self._stream)

    @property
    def _stream(self) -> "TextIO":
        return sys.stderr if self._kind == "facts" else sys.stdout

    def _desk(self, settings: Settings, events: EventStream, redactor: Redactor) -> "Desk":
        from migrator.steps.desk import Desk  # noqa: PLC0415 - imports the driver, which may be damaged

        return Desk(
            settings=settings,
            events=events,
            clock=SystemClock(self._stop),
            stop=self._stop,
            environ=self._environ,
            cwd=Path.cwd(),
            run_id=self._run_id,
            dsn=_address(settings),
            redact=redactor.text,
        )

    def _report_bad_settings(self, error: SettingsInvalid) -> int:
        """Bad settings have no settings to be reported by: what can be read of them is."""
        from migrator.account import Account  # noqa: PLC0415
        from migrator.report import report  # noqa: PLC0415

        environ = self._environ
        app = environ.get("MIGRATOR_APP", "").strip() or "app"
        release = environ.get("MIGRATOR_RELEASE", "").strip() or "unknown"
        always = {"run_id": self._run_id, "app": app, "release": release}
        redactor = Redactor(_plain_secrets(environ))
        wanted = self._flags.get("log_format") or environ.get("MIGRATOR_LOG_FORMAT", "")
        form: Any = wanted.strip().lower() if wanted.strip().lower() in {"json", "text"} else "auto"
        events = EventStream(self._handler(form), always=always, redactor=redactor)
        file = environ.get("MIGRATOR_TERMINATION_LOG")
        bare = Settings(app=app, release=release, termination_log=Path(file) if file else None)
        report(Account("unknown").failed(error), bare, events, redactor.value, always)
        return int(error.exit_code)


def _address(settings: Settings) -> Dsn:
    """The target's address; an empty one where only a diagnosis goes on without."""
    return settings.direct_database_url or settings.database_url or Dsn()


def _bug(error: Exception) -> MigratorError:
    import traceback  # noqa: PLC0415

    lines = traceback.format_exception(error)
    return MigratorError(f"{type(error).__name__}: {error}", traceback="".join(lines))


def _secrets(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    """Every secret this process knows, wherever it came from."""
    dsns = (settings.database_url, settings.direct_database_url, settings.scratch_database_url)
    found = [dsn.password.reveal() for dsn in dsns if dsn is not None and dsn.password is not None]
    if settings.pushgateway_url is not None:
        account = settings.pushgateway_url.reveal().partition("://")[2].partition("@")
        found += [account[0].partition(":")[2]] if account[1] else []
    return [*found, *_bucket_secrets(settings, environ), *_plain_secrets(environ)]


def _bucket_secrets(settings: Settings, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The keys of the backups' bucket, which files may hold."""
    from migrator.settings import Access, Bucket, parse_destination  # noqa: PLC0415

    if settings.backup_url is None:
        return ()
    destination = parse_destination(settings.backup_url.reveal())
    try:
        return Access.from_variables(environ, destination).secrets if isinstance(destination, Bucket) else ()
    except ValueError:  # whoever needs them refuses them
        return ()


_URLS = (
    "DATABASE_URL",
    "MIGRATOR_DATABASE_URL",
    "MIGRATOR_DIRECT_DATABASE_URL",
    "MIGRATOR_SCRATCH_DATABASE_URL",
)
_PLAIN = ("PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def _plain_secrets(environ: Mapping[str, str]) -> list[str]:
    """Passwords that stand in variables, also in those we could not read."""
    found = [environ[name] for name in _PLAIN if environ.get(name)]
    for name in _URLS:
        try:
            password = Dsn.parse(environ.get(name, "")).password
        except ValueError:
            continue
        if password is not None:
            found.append(password.reveal())
    return found
