"""The desk: what every step finds at hand."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from migrator.clock import Clock, Stop
from migrator.postgres.session import Connector, Session
from migrator.settings import Dsn, Settings
from migrator.telemetry.events import Events


@dataclass(frozen=True, slots=True)
class Desk:
    """The collaborators of one run."""

    settings: Settings
    events: Events
    clock: Clock
    stop: Stop
    environ: Mapping[str, str]
    cwd: Path
    run_id: str
    dsn: Dsn
    redact: Callable[[str], str]

    @property
    def application(self) -> str:
        """How our sessions name themselves in `pg_stat_activity`."""
        return f"migrator {self.settings.app}@{self.settings.release[:12]} run {self.run_id}"

    @property
    def connector(self) -> Connector:
        """Opens sessions to the target."""
        return Connector(
            self.dsn,
            self.application,
            self.stop,
            self.settings.role,
            trusts_pooler=self.settings.on_pooler == "session",
        )

    def at(self, session: Session) -> Self:
        """The same desk, bound to the one server that this session reached."""
        host, port = session.address
        return replace(self, dsn=self.dsn.at(host, port, session.numeric_address)) if host else self
