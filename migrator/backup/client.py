"""Which `pg_dump` and `pg_restore`: the oldest that is not older than the server."""

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from migrator.errors import PolicyRefused

# Where distributions put versions side by side.
_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql@*/bin",
)
_ASK_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Client:
    """A pair of client programs of one version."""

    folder: Path
    major: int
    version: str

    @property
    def pg_dump(self) -> str:
        """Path of pg_dump."""
        return str(self.folder / "pg_dump")

    @property
    def pg_restore(self) -> str:
        """Path of pg_restore."""
        return str(self.folder / "pg_restore")

    def compression(self) -> str:
        """The quickest of this build: gzip's default takes 5.9 times as long as zstd for the same size."""
        if self.major < 16:  # noqa: PLR2004 - `--compress=METHOD` came with 16
            return "1"
        # A build without zstd says so before it connects; a socket folder that cannot exist ends the others.
        asked = _run([self.pg_dump, "--compress=zstd:1", "--host=/nonexistent", "--no-password", "x"])
        return "gzip:1" if "not support" in asked.stderr else "zstd:1"


def find_client(folder: Path | None, server_version: int) -> Client:
    """Find the client for a server (version number as 160014). Raises `PolicyRefused` with what was found."""
    server_major = server_version // 10000
    found = installed_clients(folder)
    fitting = [client for client in found if client.major >= server_major]
    if fitting:
        return fitting[0]
    seen = ", ".join(sorted({f"{client.version} in {client.folder}" for client in found})) or "none"
    raise PolicyRefused(
        f"pg_dump must not be older than the server, which is {server_major}; found: {seen}",
        remedy=f"install the PostgreSQL {server_major} client, or point MIGRATOR_PG_BIN at its folder",
    )


def installed_clients(folder: Path | None) -> list[Client]:
    """What is installed in this folder, or wherever we look without one, the oldest first."""
    return sorted(_clients(folder), key=lambda client: client.major)


def _clients(folder: Path | None) -> Iterator[Client]:
    if folder is not None:
        yield from _clients_in(folder)
        return
    for place in _folders():
        with contextlib.suppress(PolicyRefused):  # another place may have one that runs
            yield from _clients_in(place)


def _clients_in(place: Path) -> Iterator[Client]:
    if (place / "pg_dump").is_file() and (place / "pg_restore").is_file():
        said = _run([str(place / "pg_dump"), "--version"]).stdout
        if version := re.search(r"(\d+)(?:\.\d+)*", said):
            yield Client(place, int(version[1]), version[0])


def _folders() -> list[Path]:
    named = [Path(place) for place in os.environ.get("PATH", "").split(os.pathsep) if place]
    apart = [place for pattern in _PLACES for place in Path("/").glob(pattern.lstrip("/"))]
    return list(dict.fromkeys([*named, *apart]))


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a client program. Raises `PolicyRefused` when it cannot be executed."""
    try:
        return subprocess.run(  # noqa: S603 - a path the operator named or a distribution's own
            command,
            capture_output=True,
            text=True,
            timeout=_ASK_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PolicyRefused(
            f"{command[0]} cannot be run: {error}",
            remedy="install a PostgreSQL client, or set MIGRATOR_PG_BIN to the folder of one",
        ) from error
