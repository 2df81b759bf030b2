"""One cell's world: a database, the network before it, a project, a disk for backups, and how to hold on."""

import contextlib
import os
import random
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

from migrator.demo.cluster import HOST, Cluster, free_port
from tests.support.environment import env_with
from tests.support.project import Project
from tests.support.proxy import TcpProxy
from tests.support.runner import Migrator
from tests.support.target import Target
from tests.support.waiting import eventually

BASE: Final = "a0"
# "MGRT"; 1 is the leader key, 2 the fence.
LOCKS: Final = 1296519764
# Ours: a revision's statement lasts for as long as somebody holds this key.
HOLD: Final = 77
_ROWS: Final = 20_000
_DISK: Final = "40m"

# Imported by every revision: it records begin and end, and waits where the cell wants it to.
_STEPS: Final = '''
"""What every revision of a cell does."""
import os, pathlib, time
from alembic import op

GATES = pathlib.Path(os.environ["CHAOS_GATES"])


def pause(place):
    if (GATES / f"hold-{place}").exists():
        (GATES / f"here-{place}").touch()
        while (GATES / f"hold-{place}").exists():
            time.sleep(0.02)


def begin(revision):
    pause(f"{revision}-begin")
    run = "current_setting('application_name')"
    op.execute(f"INSERT INTO journal (revision, run) VALUES ('{revision}', {run})")


def middle(revision):
    pause(f"{revision}-middle")
    if (GATES / f"hold-{revision}-statement").exists():
        op.execute("""DO $$ BEGIN
            WHILE EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND classid = 77)
            LOOP PERFORM pg_sleep(0.02); END LOOP;
        END $$""")


def end(revision):
    op.execute(f"UPDATE journal SET ended = clock_timestamp() WHERE revision = '{revision}'")
    pause(f"{revision}-end")
'''
_BASE: Final = f"""
op.execute("CREATE TABLE journal (revision text, run text, "
           "began timestamptz DEFAULT clock_timestamp(), ended timestamptz)")
op.execute("CREATE TABLE book (id int, title text)")
op.execute("INSERT INTO book SELECT n, md5(random()::text) FROM generate_series(1, {_ROWS}) n")
begin("{BASE}")
end("{BASE}")
"""
_HEADER: Final = "from steps import begin, end, middle"


def write_project(project: Project, pending: tuple[str, ...]) -> None:
    """Write the base revision and these; one that begins with `i` builds an index CONCURRENTLY."""
    project.write("steps.py", _STEPS)
    project.write_env(env_with(header='from steps import pause\n\npause("env")'))
    project.write_revision(BASE, upgrade=_BASE, header=_HEADER)
    for id_ in pending:
        project.write_revision(id_, upgrade=_body(id_), header=_HEADER)


def _body(id_: str) -> str:
    if not id_.startswith("i"):
        return f"""
            begin("{id_}")
            op.execute("CREATE TABLE {id_} AS SELECT id FROM book")
            middle("{id_}")
            end("{id_}")
        """
    return f"""
        with op.get_context().autocommit_block():
            op.execute("CREATE INDEX CONCURRENTLY book_{id_} ON book (title)")
        begin("{id_}")
        end("{id_}")
    """


@dataclass(slots=True)
class Scene:
    """What the points and the faults of a cell find at hand."""

    target: Target
    proxy: TcpProxy
    project: Project
    migrator: Migrator
    rival: Migrator
    gates: Path
    disk: Path
    temporary: Path
    gateway: "SilentGateway"
    chance: random.Random
    is_long: bool
    stack: ExitStack = field(repr=False)
    promoted: threading.Event = field(default_factory=threading.Event)  # after a failover

    @property
    def cluster(self) -> Cluster:
        """The server, which faults may stop."""
        return self.target.cluster

    def hold(self, place: str) -> None:
        """Let a revision or `env.py` wait where it comes to this place."""
        (self.gates / f"hold-{place}").touch()

    def let_go(self) -> None:
        """End every such wait."""
        for gate in self.gates.glob("hold-*"):
            gate.unlink()

    def is_at(self, place: str) -> bool:
        """Whether it waits there now."""
        return (self.gates / f"here-{place}").exists()

    def grip(self, *statements: str) -> "Grip":
        """Open a superuser's session that did this in a transaction, and keep it open."""
        grip = Grip(self.target.admin())
        self.stack.callback(grip.close)
        for statement in ("BEGIN", *statements):
            grip.execute(statement)
        return grip

    def sessions(self, condition: str) -> list[tuple[Any, ...]]:
        """Give pid, name and state of migrator's sessions here; nothing while it cannot be asked."""
        query = (
            "SELECT pid, application_name, state, wait_event_type FROM pg_stat_activity "
            f"WHERE datname = current_database() AND application_name LIKE 'migrator%' AND {condition}"
        )
        return self.rows(query)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Fetch as the superuser, straight from the server; nothing while it cannot be asked."""
        with contextlib.suppress(psycopg.Error), self.target.admin() as session:
            session.execute("SET statement_timeout = '5s'")
            return session.execute(query.encode()).fetchall()
        return []


class Grip:
    """A session that holds something until it is closed, or the server is gone."""

    def __init__(self, session: psycopg.Connection[tuple[Any, ...]]) -> None:
        """Take over this session."""
        self._session = session
        self._thread: threading.Thread | None = None

    def execute(self, statement: str) -> None:
        """Run it and wait for it."""
        self._session.execute(statement.encode())

    def queue(self, statement: str) -> None:
        """Run it in a thread: it waits for somebody."""

        def work() -> None:
            with contextlib.suppress(psycopg.Error):
                self.execute(statement)

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """Its backend."""
        return self._session.info.backend_pid

    def close(self) -> None:
        """Let go; closing twice is fine."""
        with contextlib.suppress(psycopg.Error):
            if self._thread is not None and self._thread.is_alive():
                self._session.cancel()
                self._thread.join(5)
            self._session.close()


class SilentGateway:
    """A Pushgateway that accepts connections and never answers."""

    def __init__(self) -> None:
        """Listen; nobody reads."""
        self.port = free_port()
        self._listener = socket.create_server((HOST, self.port))
        self._accepted: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Where to push."""
        return f"http://{HOST}:{self.port}"

    @property
    def was_asked(self) -> bool:
        """Whether somebody is connected, or was."""
        return bool(self._accepted)

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for end in (self._listener, *self._accepted):
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._accepted.append(self._listener.accept()[0])


@contextlib.contextmanager
def scene_on(
    base: Target, folder: Path, *, pending: tuple[str, ...], seed: str, is_long: bool
) -> Iterator[Scene]:
    """Set a cell's scene on a copy of the base database."""
    with ExitStack() as stack:
        target = stack.enter_context(_copy(base, seed))
        proxy = TcpProxy(target.host, target.port)
        stack.callback(proxy.close)
        gateway = SilentGateway()
        stack.callback(gateway.close)
        project = Project(folder / "project")
        write_project(project, pending)
        gates, nobodys, temporary = (_made(folder / name) for name in ("gates", "nobodys", "temporary"))
        disk = stack.enter_context(_small_disk(folder / "disk"))
        environ = {
            "PATH": os.defpath,
            "HOME": str(_made(folder / "home")),
            "TMPDIR": str(temporary),
            "MIGRATOR_LOG_FORMAT": "json",
            "MIGRATOR_LOG_LEVEL": "debug",
            "MIGRATOR_BACKUP_URL": disk.as_uri(),
            "MIGRATOR_PG_BIN": str(target.cluster.binaries.folder),
            "MIGRATOR_WAIT_TIMEOUT": "120s",
            "MIGRATOR_LEADER_TIMEOUT": "120s",
            "MIGRATOR_LOCK_TIMEOUT": "30s",
        }
        away = target.at(proxy.host, proxy.port)
        first = Migrator(
            project.folder, environ | {"DATABASE_URL": away.url, "CHAOS_GATES": str(gates)}, disk
        )
        # On another machine: its way to the server is its own.
        rival = Migrator(
            project.folder, environ | {"DATABASE_URL": target.url, "CHAOS_GATES": str(nobodys)}, disk
        )
        stack.callback(first.close)
        stack.callback(rival.close)
        yield Scene(
            target=target,
            proxy=proxy,
            project=project,
            migrator=first,
            rival=rival,
            gates=gates,
            disk=disk,
            temporary=temporary,
            gateway=gateway,
            chance=random.Random(seed),
            is_long=is_long,
            stack=stack,
        )


@contextlib.contextmanager
def _copy(base: Target, seed: str) -> Iterator[Target]:
    """A copy of the base database, with the same owner."""
    name = f"cell_{random.Random(seed).randrange(16**12):012x}"
    target = Target(base.host, base.port, name, base.user, base.password, base.cluster)
    copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}")
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
    with psycopg.connect(**base.cluster.admin_params(), autocommit=True) as session:
        session.execute(drop.format(sql.Identifier(name)))
        session.execute(copy.format(*map(sql.Identifier, (name, base.database, base.user))))
    try:
        yield target
    finally:
        eventually(lambda: _is_primary(base))
        with psycopg.connect(**base.cluster.admin_params(), autocommit=True) as session:
            session.execute(drop.format(sql.Identifier(name)))


def _is_primary(target: Target) -> bool:
    with contextlib.suppress(psycopg.Error):
        return bool(target.value("SELECT NOT pg_is_in_recovery()"))
    return False


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own where we may mount one; otherwise a folder, whose writers get a quota."""
    _made(folder)
    if os.geteuid() != 0:
        yield folder
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        eventually(
            lambda: subprocess.run(["umount", folder], check=False, capture_output=True).returncode == 0, 10
        )


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


Condition = Callable[[], object]
Base = Callable[[int], Target]
MakeScene = Callable[[str, tuple[str, ...]], AbstractContextManager[Scene]]


def must(condition: Condition, what: str, seconds: float = 30) -> None:
    """Wait until it is so.

    Raises:
        AssertionError: it is not, within so many seconds.
    """
    assert eventually(condition, seconds), f"never came: {what}"
