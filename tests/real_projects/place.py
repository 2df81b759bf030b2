"""Where one history is migrated: a database, a folder, and who may write there."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from migrator.demo.cluster import Cluster

OWNER = "owner"


@dataclass(frozen=True, slots=True)
class Place:
    """A database of its own, and a folder of its own to start things in."""

    name: str
    folder: Path
    cluster: Cluster
    password: str
    is_plain: bool

    def url(self, driver: str = "") -> str:
        """Give the database's URL for this driver."""
        account = f"{OWNER}:{quote(self.password, safe='')}"
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        return f"{scheme}://{account}@127.0.0.1:{self.cluster.port}/{self.name}"

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """Open a session as the owner, in autocommit."""
        return psycopg.connect(self.url(), autocommit=True)

    def versions(self, table: str) -> list[str]:
        """Give the version rows; empty when there is no such table."""
        with self.connect() as session:
            if session.execute("SELECT to_regclass(%s)", (table,)).fetchall() == [(None,)]:
                return []
            query = sql.SQL("SELECT version_num FROM {} ORDER BY 1").format(sql.Identifier(table))
            return [str(row) for (row,) in session.execute(query)]

    def dump(self) -> str:
        """Give the schema as SQL, without our ledger and what differs between any two dumps."""
        command = [
            str(self.cluster.binaries.folder / "pg_dump"),
            "--schema-only",
            "--exclude-schema=migrator",
        ]
        command += ["--host=127.0.0.1", f"--port={self.cluster.port}", f"--username={OWNER}", self.name]
        environ = {"PATH": os.defpath, "PGPASSWORD": self.password}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
        lines = done.stdout.splitlines()
        return "\n".join(line for line in lines if line and not line.startswith(("--", "\\")))


def make_place(name: str, folder: Path, cluster: Cluster, password: str, *, is_plain: bool = False) -> Place:
    """Make the database and the folder."""
    cluster.create_database(name, OWNER)
    place = Place(name, folder / name, cluster, password, is_plain)
    place.folder.mkdir()
    return place
