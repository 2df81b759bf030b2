"""What a worker is told: its orders, its environment, its interpreter."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from migrator.clock import Stop
from migrator.history.process import WorkerProcess
from migrator.history.project import Project
from migrator.history.release import is_async
from migrator.postgres.leader import FENCE_SQL
from migrator.settings import Dsn, Settings

# Which database a session is in, as text: a pooler or a proxy cannot disguise it.
IDENTITY_SQL = (
    "SELECT concat_ws('/', datname, oid, extract(epoch FROM pg_postmaster_start_time())) "
    "FROM pg_database WHERE datname = current_database()"
)
# Limits of every migration session besides its timeouts. A client that was killed must not hold its locks for
# longer than a second; one that the network lost, not for longer than the keepalives.
_PARAMETERS = {
    "client_connection_check_interval": "1000",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "15000",
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "transaction_timeout": "0",
}
# What also sessions must have that no SQLAlchemy engine opens; where it is not ordered, they do without.
_BY_ENVIRONMENT = ("client_connection_check_interval", "default_transaction_read_only")
_NAME_BYTES = 63


@dataclass(frozen=True, slots=True)
class Launch:
    """Starts workers of one release against one database, as this host and port reach it."""

    settings: Settings
    project: Project
    python: Path
    dsn: Dsn
    identity: str
    environ: Mapping[str, str]
    application: str
    stop: Stop

    def history(self) -> WorkerProcess:
        """A worker that asks Alembic for the revisions; it connects to nothing."""
        return self._start("history", {}, look_sql=None)

    def discovery(self, look_sql: str, *, may_write: bool) -> WorkerProcess:
        """A worker that runs `env.py` without migrating; without `may_write` every session is read-only."""
        read_only = {} if may_write else {"default_transaction_read_only": "on"}
        return self._start(
            "discover", self._limits(self.settings.lock_timeout) | read_only, look_sql=look_sql
        )

    def upgrade(self, look_sql: str, lock_timeout: timedelta) -> WorkerProcess:
        """A worker that upgrades to the target."""
        return self._start("upgrade", self._limits(lock_timeout), look_sql=look_sql)

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

    def _start(self, mode: str, parameters: Mapping[str, str], *, look_sql: str | None) -> WorkerProcess:
        file, toml = self.project.config_file, self.project.toml_file
        orders: dict[str, Any] = {
            "mode": mode,
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
            "concurrently_lock_timeout": str(milliseconds(self.settings.concurrently_lock_timeout)),
            "fence_sql": FENCE_SQL,
            "look_sql": look_sql,
            "identity_sql": IDENTITY_SQL,
            "identity": self.identity,
        }
        return WorkerProcess(self.python, orders, self._environment(parameters), self.stop)

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
        return environ

    def _database_url(self) -> str:
        """The operator's own text if it names what was chosen; the driver in it is kept anyway."""
        given = self.environ.get("DATABASE_URL", "")
        named = _parsed(given)
        if named is not None and replace(named, driver=None) == replace(self.settings.dsn, driver=None):
            return given
        return self.dsn.url((named and named.driver) or self.dsn.driver)


def milliseconds(duration: timedelta) -> int:
    """As Postgres takes its timeouts; 0 is none."""
    return round(duration.total_seconds() * 1000)


def _parsed(url: str) -> Dsn | None:
    try:
        return Dsn.parse(url) if url else None
    except ValueError:  # another kind of URL: ours takes its place
        return None
