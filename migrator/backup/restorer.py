"""Which `pg_restore`: one that reads the archive, and best one whose settings the server knows."""

from dataclasses import dataclass
from pathlib import Path

from migrator.backup.client import Client, installed_clients
from migrator.errors import PolicyRefused

# From this version on, pg_restore begins with `SET transaction_timeout`, which older servers refuse.
_TRANSACTION_TIMEOUT = 17


@dataclass(frozen=True, slots=True)
class Restorer:
    """A client whose pg_restore will be used; `startles_server` if its first setting is unknown there."""

    client: Client
    startles_server: bool


def find_restorer(folder: Path | None, dumped_by: str, server_version: int) -> Restorer:
    """Find the pg_restore for an archive of this client, as 16.14, and a server, as 160014.

    An archive can be read by the version that wrote it, and by newer ones. Raises `PolicyRefused`.
    """
    needed = _major(dumped_by)
    knows_it = server_version // 10000 >= _TRANSACTION_TIMEOUT
    found = installed_clients(folder)
    reading = [client for client in found if client.major >= needed]
    if not reading:
        seen = ", ".join(sorted({f"{client.version} in {client.folder}" for client in found})) or "none"
        raise PolicyRefused(
            f"the archive was written by pg_dump {dumped_by}, which an older pg_restore cannot read; "
            f"found: {seen}",
            remedy=f"install the PostgreSQL {needed} client, or point MIGRATOR_PG_BIN at its folder",
        )
    calm = [client for client in reading if knows_it or client.major < _TRANSACTION_TIMEOUT]
    return Restorer(calm[0], startles_server=False) if calm else Restorer(reading[0], startles_server=True)


def _major(version: str) -> int:
    digits = version.partition(".")[0]
    return int(digits) if digits.isdigit() else 0
