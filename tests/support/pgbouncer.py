"""A real PgBouncer in front of a target."""

from dataclasses import dataclass
from typing import Literal

from migrator.demo.cluster import HOST, Keeper, free_port
from tests.support.service import Service, program
from tests.support.target import Target

PoolMode = Literal["session", "transaction", "statement"]
AuthType = Literal["scram-sha-256", "plain"]


@dataclass(frozen=True, slots=True)
class PgBouncer:
    """The pooler and the target as it is reached through it."""

    target: Target
    service: Service

    @property
    def url(self) -> str:
        """The target's URL through the pooler."""
        return self.target.url

    @property
    def log(self) -> str:
        """What the pooler has said."""
        return self.service.log

    def close(self) -> None:
        """Stop it; stopping twice is fine."""
        self.service.close()


def pgbouncer_before(
    target: Target,
    *,
    pool_mode: PoolMode = "transaction",
    auth_type: AuthType = "scram-sha-256",
    **settings: str,
) -> PgBouncer:
    """Start a pooler before this target; further settings are those of section `[pgbouncer]`.

    Source: https://www.pgbouncer.org/config.html
    """
    path, port, keeper = program("pgbouncer"), free_port(), Keeper()
    # The password in clear lets it log in to a server that asks for SCRAM, whichever way it asks its clients.
    users = keeper.write("userlist.txt", f'"{target.user}" "{target.password.replace(chr(34), chr(34) * 2)}"')
    section = {
        "listen_addr": HOST,
        "listen_port": str(port),
        "unix_socket_dir": "",
        "auth_type": auth_type,
        "auth_file": str(users),
        "pool_mode": pool_mode,
        **settings,
    }
    where = f"{target.database} = host={target.host} port={target.port} dbname={target.database}"
    lines = ("[databases]", where, "[pgbouncer]", *(f"{name} = {value}" for name, value in section.items()))
    service = Service.start(keeper, port, path, keeper.write("pgbouncer.ini", *lines))
    return PgBouncer(target.at(HOST, port), service)
