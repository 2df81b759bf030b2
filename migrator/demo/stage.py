"""The stage of the demonstration: a server, and a folder with the example and its backups."""

import secrets
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from migrator.demo.cluster import Cluster, embedded_binaries
from migrator.demo.example import Bookshop

MAJOR: Final = 18
_NAME: Final = "bookshop"


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the deploys happen: an ordinary role owns the database, as it should."""

    shop: Bookshop
    backups: Path
    cluster: Cluster
    owner_password: str

    @classmethod
    def set_up(cls, stack: ExitStack) -> "Stage":
        """Make it all; the stack takes it down.

        Raises:
            PolicyRefused: the extra `demo` is missing, or this machine lets us start no server.
            DatabaseUnavailable: the server did not come up.
        """
        binaries = embedded_binaries(MAJOR)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="migrator-demo-"))).resolve()
        shop = Bookshop.copied_to(folder / _NAME)
        cluster = stack.enter_context(Cluster.start(binaries))
        stage = cls(shop, folder / "backups", cluster, secrets.token_urlsafe(16))
        cluster.create_role(_NAME, stage.owner_password)
        cluster.create_database(_NAME, _NAME)
        return stage

    @property
    def settings(self) -> dict[str, str]:
        """What every deploy is told."""
        return self._settings(self.owner_password)

    @property
    def shown_settings(self) -> dict[str, str]:
        """The same for people to read."""
        return self._settings("***")

    def head(self) -> str:
        """Look up the revision the database is at, without migrator's help; empty if there is none."""
        with psycopg.connect(**self.cluster.admin_params(_NAME)) as session:
            if session.execute("SELECT to_regclass('alembic_version')").fetchone() == (None,):
                return ""
            row = session.execute("SELECT string_agg(version_num, ', ') FROM alembic_version").fetchone()
        return row[0] or "" if row else ""

    def _settings(self, password: str) -> dict[str, str]:
        address = f"{self.cluster.host}:{self.cluster.port}"
        return {
            "DATABASE_URL": f"postgresql://{_NAME}:{password}@{address}/{_NAME}",
            "MIGRATOR_BACKUP_URL": self.backups.as_uri(),
            "MIGRATOR_PG_BIN": str(self.cluster.binaries.folder),
        }
