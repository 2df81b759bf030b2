"""Arguments and environment in, exit status out: the only place where everything is put together."""

import contextlib
import gc
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from migrator import __version__
from migrator.clock import Stop, SystemClock
from migrator.errors import ExitCode, MigratorError, SettingsInvalid, UsageError
from migrator.settings import Settings
from migrator.settings.reader import read_settings
from migrator.telemetry.events import EventStream, json_handler
from migrator.telemetry.redaction import Redactor

if TYPE_CHECKING:
    import argparse
    import logging
    from collections.abc import Callable

    from migrator.account import Account
    from migrator.model import Outcome
    from migrator.steps.desk import Desk

    Command = Callable[[Desk, Account], Outcome]

_TABLES = {"settings": "the settings", "exit-codes": "the exit codes"}


def entry() -> NoReturn:
    """The console script. Most deploys have nothing to do and last as long as their imports and their exit.

    So the garbage collector does not look through what was just imported, and the interpreter is not taken
    down piece by piece: together a fifth of such a run, measured with `make bench`.
    """
    gc.disable()
    status = main()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # the reader may have gone
            stream.flush()
    os._exit(status)


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Run one command and return its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    environ = os.environ if environ is None else environ
    if given in ([], ["run"]):  # the deploy itself needs no parser
        return _run({}, environ)
    try:
        words = _parser().parse_args(given)
    except UsageError as error:
        print(f"migrator: {error.message}", file=sys.stderr)  # noqa: T201 - no run, no event stream
        return int(error.exit_code)
    command = words.command or "run"
    if command == "run":
        return _run(_flags(words), environ)
    if command == "wait":
        return _wait(_flags(words), environ)
    if command == "demo":
        from migrator.demo.story import tell  # noqa: PLC0415 - an extra, not in the image

        return tell()
    return _table(command, words)


def _run(flags: Mapping[str, str], environ: Mapping[str, str]) -> int:
    def load() -> "Command":
        from migrator.run import run  # noqa: PLC0415 - a damaged installation must still end with its last event

        return run

    return _Stage(flags, environ, "run").perform(load)


def _wait(flags: Mapping[str, str], environ: Mapping[str, str]) -> int:
    def load() -> "Command":
        from migrator.commands.wait import wait  # noqa: PLC0415

        return wait

    return _Stage(flags, environ, "wait").perform(load)


class _Stage:
    """A command's run from its settings to its last event, whatever happens in between."""

    def __init__(
        self, flags: Mapping[str, str], environ: Mapping[str, str], command: Literal["run", "wait"]
    ) -> None:
        self._flags = flags
        self._environ = environ
        self._is_run = command == "run"
        self._stop = Stop()
        self._run_id = os.urandom(8).hex()

    def perform(self, load: "Callable[[], Command]") -> int:
        """Settings, stop signals, events; then the command; then its report."""
        self._stop.install()
        try:
            settings, warnings = read_settings(self._environ, self._flags, needs_backup=self._is_run)
        except SettingsInvalid as error:
            return self._report_bad_settings(error)
        return self._perform(load, settings, warnings)

    def _perform(self, load: "Callable[[], Command]", settings: Settings, warnings: Sequence[str]) -> int:
        from migrator.account import Account  # noqa: PLC0415 - settings decide whether there is a run at all
        from migrator.report import push_metrics, report  # noqa: PLC0415

        if settings.deadline is not None:
            self._stop.set_deadline(settings.deadline)
        redactor = Redactor(_secrets(settings, self._environ))
        always = {"run_id": self._run_id, "app": settings.app, "release": settings.release}
        events = EventStream(
            _handler(settings.log_format), always=always, redactor=redactor, level=settings.log_level
        )
        account = Account(settings.dsn.database or settings.dsn.user or "postgres")
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
        if self._is_run:
            push_metrics(outcome, settings, events, self._stop)
        report(outcome, settings, events, redactor.value, always)
        return int(outcome.exit_code)

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
            dsn=settings.dsn,
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
        events = EventStream(_handler(form), always=always, redactor=redactor)
        file = environ.get("MIGRATOR_TERMINATION_LOG")
        bare = Settings(app=app, release=release, termination_log=Path(file) if file else None)
        report(Account("unknown").failed(error), bare, events, redactor.value, always)
        return int(error.exit_code)


def _bug(error: Exception) -> MigratorError:
    import traceback  # noqa: PLC0415

    lines = traceback.format_exception(error)
    return MigratorError(f"{type(error).__name__}: {error}", traceback="".join(lines))


def _handler(form: Literal["auto", "json", "text"]) -> "logging.Handler":
    if form == "text" or (form == "auto" and sys.stdout.isatty()):
        from migrator.telemetry.human import HumanHandler  # noqa: PLC0415 - only people need it

        return HumanHandler()
    return json_handler()


def _secrets(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    """Every secret this process knows, wherever it came from."""
    dsns = (settings.database_url, settings.direct_database_url)
    found = [dsn.password.reveal() for dsn in dsns if dsn is not None and dsn.password is not None]
    if settings.pushgateway_url is not None:
        account = settings.pushgateway_url.reveal().partition("://")[2].partition("@")
        found += [account[0].partition(":")[2]] if account[1] else []
    return [*found, *_plain_secrets(environ)]


def _plain_secrets(environ: Mapping[str, str]) -> list[str]:
    """Passwords that stand in variables, also in those we could not read."""
    from migrator.settings import Dsn  # noqa: PLC0415

    found = [environ["PGPASSWORD"]] if environ.get("PGPASSWORD") else []
    for name in ("DATABASE_URL", "MIGRATOR_DATABASE_URL", "MIGRATOR_DIRECT_DATABASE_URL"):
        try:
            password = Dsn.parse(environ.get(name, "")).password
        except ValueError:
            continue
        if password is not None:
            found.append(password.reveal())
    return found


def _parser() -> "argparse.ArgumentParser":
    import argparse  # noqa: PLC0415 - a deploy without arguments does not need it

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise UsageError(f"{message}; see `migrator --help`")

    top = Parser(
        prog="migrator",
        allow_abbrev=False,
        description="Migrate a Postgres database with the project's own Alembic revisions, once per deploy. "
        "Its exit code opens or holds the rollout: see `migrator exit-codes`.",
        epilog="Settings come from the environment; see `migrator settings`. A flag wins over a variable.",
    )
    top.add_argument("--version", action="version", version=f"migrator {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    deploy = commands.add_parser(
        "run", allow_abbrev=False, help="the deploy: wait, look, lock, back up, migrate, verify (default)"
    )
    wait = commands.add_parser(
        "wait", allow_abbrev=False, help="wait until Postgres answers as a writable primary"
    )
    _add_flags(deploy)
    _add_flags(wait)
    commands.add_parser("demo", help="the whole deploy on an embedded Postgres with the bundled example")
    for name, what in _TABLES.items():
        table = commands.add_parser(name, allow_abbrev=False, help=f"print {what}")
        form = table.add_mutually_exclusive_group()
        form.add_argument("--markdown", action="store_true", help="as a Markdown table")
        form.add_argument("--json", action="store_true", help="as JSON")
    return top


def _add_flags(parser: "argparse.ArgumentParser") -> None:
    from migrator.settings.definition import ROWS  # noqa: PLC0415

    for row in ROWS:
        told = f"{row.meaning.replace('%', '%%')} [{row.names[0]}; default {row.default}]".replace("`", "")
        parser.add_argument(row.flag, dest=row.field, metavar="VALUE", help=told)


def _flags(words: "argparse.Namespace") -> dict[str, str]:
    return {
        name: value for name, value in vars(words).items() if isinstance(value, str) and name != "command"
    }


def _table(command: str, words: "argparse.Namespace") -> int:
    from migrator.commands import exit_codes, settings  # noqa: PLC0415

    table = settings if command == "settings" else exit_codes
    text = table.markdown() if words.markdown else table.as_json() if words.json else table.text()
    print(text)  # noqa: T201 - this command prints
    return int(ExitCode.OK)
