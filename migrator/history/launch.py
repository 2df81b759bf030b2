"""What a worker is told: its orders, its environment, its interpreter."""

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from migrator.clock import Stop
from migrator.history.process import WorkerProcess
from migrator.history.project import Project
from migrator.history.release import env_source, is_async
from migrator.postgres.catalog import BEING_BUILT
from migrator.postgres.keepalives import CLIENT, SERVER_AT_WORK, UNENDING
from migrator.postgres.leader import FENCE_SQL
from migrator.postgres.session import Way
from migrator.settings import Dsn, Settings

# Which database a session is in, as text: a pooler or a proxy cannot disguise it.
IDENTITY_SQL = (
    "SELECT concat_ws('/', datname, oid, extract(epoch FROM pg_postmaster_start_time())) "
    "FROM pg_database WHERE datname = current_database()"
)
# Limits of every migration session besides its timeouts.
_PARAMETERS = SERVER_AT_WORK | UNENDING | {"transaction_timeout": "0"}
# What also sessions must have that no SQLAlchemy engine opens; where it is not ordered, they do without.
_BY_ENVIRONMENT = ("client_connection_check_interval", "default_transaction_read_only")
_NAME_BYTES = 63
_WORKER = Path(__file__).parent.parent / "worker" / "main.py"


@dataclass(frozen=True, slots=True)
class Launch:
    """Starts workers of one release against one database, as this host and port reach it.

    On a scratch database (`is_scratch`) every connection is led there, whatever address the project has.
    """

    settings: Settings
    project: Project
    python: Path
    dsn: Dsn
    identity: str
    environ: Mapping[str, str]
    application: str
    stop: Stop
    is_scratch: bool = False
    way_through_pooler: Way | None = None  # the one that was proven, if any

    def history(self) -> WorkerProcess:
        """A worker that asks Alembic for the revisions; it connects to nothing."""
        return self._start({}, {"mode": "history"}, command=())

    def reading_discovery(self, look_sql: str | None) -> WorkerProcess:
        """A worker that runs `env.py` without migrating, in sessions that are read-only."""
        return self._start(self._read_only(), {"mode": "discover", "look_sql": look_sql})

    def writing_discovery(self, look_sql: str) -> WorkerProcess:
        """The same, for user code that insists on writing."""
        limits = self._limits(self.settings.lock_timeout)
        return self._start(limits, {"mode": "discover", "look_sql": look_sql})

    def upgrade(
        self,
        look_sql: str,
        lock_timeout: timedelta,
        only: Collection[str] | None = None,
        ledger_run: str | None = None,
    ) -> WorkerProcess:
        """A worker that upgrades to the target; of what a project's own command plans, `only` these.

        What a revision commits by itself it keeps in the ledger, under this run.
        """
        orders = {
            "mode": "upgrade",
            "only": sorted(only) if only is not None else None,
            "ledger_run": ledger_run,
        }
        return self._start(self._limits(lock_timeout), orders | self._led(look_sql))

    def take_back(
        self, look_sql: str, lock_timeout: timedelta, target: str, only: Collection[str]
    ) -> WorkerProcess:
        """A worker that downgrades the target database to a revision or `base`, by these revisions alone."""
        orders = {"mode": "downgrade", "target": target, "only": sorted(only)}
        return self._start(self._limits(lock_timeout), orders | self._led(look_sql))

    def _led(self, look_sql: str) -> dict[str, Any]:
        """What whoever changes the target must see, and how it waits for locks."""
        return {
            "look_sql": look_sql,
            "data_lock_timeout": str(milliseconds(self.settings.lock_timeout)),
            "lock_patience_seconds": self.settings.lock_patience.total_seconds(),
        }

    def stamp(self, look_sql: str, revisions: Collection[str]) -> WorkerProcess:
        """A worker that writes the rows of these heads, and nothing else."""
        orders = {"mode": "stamp", "look_sql": look_sql, "only": sorted(revisions)}
        return self._start(self._limits(self.settings.lock_timeout), orders)

    def sql(self) -> WorkerProcess:
        """A worker that tells the SQL of what an upgrade would run; its sessions are read-only."""
        return self._start(self._read_only(), {"mode": "sql"})

    def models(self) -> WorkerProcess:
        """A worker that tells in what the database is not what the models say; its sessions are read-only."""
        return self._start(self._read_only(), {"mode": "models"})

    def replay(self, only: Collection[str], snapshot: Mapping[str, Any] | None) -> WorkerProcess:
        """A worker that builds these revisions, telling the schema after each if it is to."""
        orders = {"mode": "replay", "target": "heads", "only": sorted(only), "snapshot": snapshot}
        return self._start(self._limits(timedelta(0)), orders)

    def downgrade(
        self, target: str, only: Collection[str], snapshot: Mapping[str, Any] | None
    ) -> WorkerProcess:
        """A worker that takes these revisions back on a scratch database, telling the schema after each."""
        orders = {"mode": "downgrade", "target": target, "only": sorted(only), "snapshot": snapshot}
        return self._start(self._limits(timedelta(0)), orders)

    def on_scratch(self, dsn: Dsn, identity: str) -> Self:
        """The same release against a scratch database."""
        return replace(self, dsn=dsn, identity=identity, is_scratch=True)

    @property
    def own_command(self) -> tuple[str, ...]:
        """The project's own command, if plain Alembic cannot load it."""
        return own_command(self.settings, self.project, self.python, self.environ)

    @property
    def worker_name(self) -> str:
        """How the worker's sessions name themselves: cut where Postgres would, but never in the run's id."""
        who, _, run = self.application.encode("ascii", "replace").decode().rpartition(" run ")
        tail = f" run {run} worker"
        return who[: _NAME_BYTES - len(tail)] + tail

    def _limits(self, lock_timeout: timedelta) -> dict[str, str]:
        return _PARAMETERS | {
            "application_name": self.worker_name,
            "lock_timeout": str(milliseconds(lock_timeout)),
            "statement_timeout": str(milliseconds(self.settings.statement_timeout)),
        }

    def _read_only(self) -> dict[str, str]:
        return self._limits(self.settings.lock_timeout) | {"default_transaction_read_only": "on"}

    def _start(
        self,
        parameters: Mapping[str, str],
        mode: Mapping[str, Any],
        *,
        command: tuple[str, ...] | None = None,
    ) -> WorkerProcess:
        """Start the project's own command where it has one, else our program under its interpreter."""
        file, toml = self.project.config_file, self.project.toml_file
        orders: dict[str, Any] = {
            "config_file": str(file) if file else None,
            "toml_file": str(toml) if toml else None,
            "section": self.project.section,
            "script_location": self.project.script_location,
            "x": [f"{name}={value}" for name, value in self.settings.alembic_x],
            "target": self.settings.target,
            "url": self.dsn.url(),
            "driver": self.dsn.driver,
            "url_driver": self.project.url_driver,
            "libpq_options": self.environ.get("PGOPTIONS", ""),
            "is_async": is_async(self.project),
            "configure": self._configure_options(),
            "parameters": dict(parameters),
            "keepalives": dict(CLIENT),
            "concurrently_lock_timeout": str(milliseconds(self.settings.concurrently_lock_timeout)),
            "fence_sql": FENCE_SQL,
            "look_sql": None,
            "being_built_sql": BEING_BUILT,
            "identity_sql": IDENTITY_SQL,
            "identity": self.identity,
            "role": self.settings.role,
            "way_through_pooler": self.way_through_pooler,
            "scratch": self.dsn.libpq() if self.is_scratch else None,
            **mode,
        }
        command = self.own_command if command is None else command
        started = command or (str(self.python), str(_WORKER))
        environ = self._environment(parameters)
        if command:  # its program lies beside the project's interpreter, as in an activated environment
            environ["PATH"] = os.pathsep.join([str(self.python.parent), environ.get("PATH", os.defpath)])
        return WorkerProcess(started, orders, environ, self.stop, joins=bool(command))

    def _configure_options(self) -> dict[str, Any]:
        return {"transaction_per_migration": True} if self.settings.transaction == "revision" else {}

    def _environment(self, parameters: Mapping[str, str]) -> dict[str, str]:
        """Say where the database is in every way projects expect: `DATABASE_URL` and libpq's variables.

        Sessions that user code opens without SQLAlchemy get by environment what they must have.
        """
        options = [f"-c {name}={parameters[name]}" for name in _BY_ENVIRONMENT if name in parameters]
        environ = {**self.environ, "PYTHONUNBUFFERED": "1", "DATABASE_URL": self._database_url()}
        if parameters:
            environ["PGAPPNAME"] = parameters["application_name"]
            environ["PGOPTIONS"] = " ".join([self.environ.get("PGOPTIONS", ""), *options]).strip()
        if self.dsn.hosts:
            host, port = self.dsn.hosts[0]
            environ |= {"PGHOST": host, "PGPORT": str(port or 5432)}
        for name, value in (("PGUSER", self.dsn.user), ("PGDATABASE", self.dsn.database)):
            if value:
                environ[name] = value
        if self.dsn.password:
            environ["PGPASSWORD"] = self.dsn.password.reveal()
        return self._led_to_scratch(environ) if self.is_scratch else environ

    def _led_to_scratch(self, environ: dict[str, str]) -> dict[str, str]:
        """No variable may lead user code to the live database: its own sessions are not redirected."""
        for name, value in environ.items():
            named = _parsed(value) if "://" in value else None
            if named is not None:
                environ[name] = self.dsn.url(named.driver)
        for name in ("PGSERVICE", "PGSERVICEFILE", "PGHOSTADDR", "PGPASSFILE"):
            environ.pop(name, None)
        return environ

    def _database_url(self) -> str:
        """The operator's own text if it names what was chosen; the driver in it is kept anyway."""
        given = self.environ.get("DATABASE_URL", "")
        named = _parsed(given)
        if named is not None and replace(named, driver=None) == replace(self.settings.dsn, driver=None):
            return given
        return self.dsn.url((named and named.driver) or self.dsn.driver)


def own_command(
    settings: Settings, project: Project, python: Path, environ: Mapping[str, str]
) -> tuple[str, ...]:
    """The project's own upgrade command: the setting's, or Flask-Migrate's where `env.py` needs it.

    Its `env.py` asks for `current_app`, which only `flask` sets up.
    """
    if settings.upgrade_command:
        return settings.upgrade_command
    if not environ.get("FLASK_APP") or not re.search(r"\bcurrent_app\b", env_source(project)):
        return ()
    folder = ["--directory", str(project.folder)] if project.folder else []
    given = [word for name, value in settings.alembic_x for word in ("-x", f"{name}={value}")]
    return (str(python), "-m", "flask", "db", "upgrade", *folder, *given, settings.target)


def milliseconds(duration: timedelta) -> int:
    """As Postgres takes its timeouts; 0 is none."""
    return round(duration.total_seconds() * 1000)


def _parsed(url: str) -> Dsn | None:
    try:
        return Dsn.parse(url) if url else None
    except ValueError:  # another kind of URL: ours takes its place
        return None
