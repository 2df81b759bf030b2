"""`make bench`: migrator beside plain Alembic, on the same histories, in one run.

Machines are shared and noisy, so the two take turns and the result is the median of the ratios of neighbours;
the seconds are only there to give an idea. A target that is missed is printed as missed.
"""

import os
import platform
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import alembic
import sqlalchemy

from migrator.clock import Stop
from migrator.demo.cluster import Cluster, embedded_binaries
from migrator.postgres.session import Connector
from migrator.schema.reading import read_snapshot
from migrator.settings import Dsn
from tests.bench_locks import HEAD, Stalled, stalled, write_revisions
from tests.support.gates import SLOW_UPGRADE, gates_at_a_commit
from tests.support.sampler import connection_count
from tests.support.schemas import many_tables

REPOSITORY = Path(__file__).parents[1]
_PAGE = REPOSITORY / "docs" / "benchmarks.md"
_ROUNDS = int(os.environ.get("BENCH_ROUNDS", "15"))
_FULL_ROUNDS = int(os.environ.get("BENCH_FULL_ROUNDS", "5"))
_GATES = int(os.environ.get("BENCH_GATES", "200"))
_MOST_CONNECTIONS, _LATEST_SECONDS = 30, 2.0
_LONGEST_READ_SECONDS = 2.0

_ENV_PY = """\
from logging.config import fileConfig

from sqlalchemy import engine_from_config, pool

from alembic import context

config = context.config
if config.config_file_name is not None:
    fileConfig(config.config_file_name)
connectable = engine_from_config(
    config.get_section(config.config_ini_section, {}), prefix="sqlalchemy.", poolclass=pool.NullPool
)
with connectable.connect() as connection:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
"""
_INI = """\
[alembic]
script_location = %(here)s/migrations
path_separator = os
sqlalchemy.url = {url}

[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = plain
[logger_root]
level = WARNING
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain
[formatter_plain]
format = %(message)s
"""
_REVISION = '''\
"""Add table {number}.

Revision ID: {id}
Revises: {down}
"""

from typing import Sequence, Union

import sqlalchemy as sa
from alembic import op

revision: str = "{id}"
down_revision: Union[str, None] = {down!r}
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    op.create_table(
        "t{number}",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("t{number}")
'''


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process took: seconds from start to exit, and its peak memory in bytes."""

    seconds: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table."""

    what: str
    plain: Cost
    ours: Cost
    ratio: float
    target: float
    is_idle: bool

    @property
    def verdict(self) -> str:
        """Whether the targets were met: time, and memory where nothing is to do (else both load Alembic)."""
        missed = [] if self.ratio <= self.target else [f"time above {self.target:g}×"]
        if self.is_idle and self.ours.peak_bytes >= self.plain.peak_bytes:
            missed.append("memory above plain Alembic's")
        return "met" if not missed else f"**missed**: {', '.join(missed)}"


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many gates fared before a database that was being migrated."""

    gates: int
    refused: int
    peak_connections: int
    late_seconds: tuple[float, ...]
    core_seconds: float  # per gate and minute of waiting

    def __str__(self) -> str:
        """One row of the table."""
        late = sorted(self.late_seconds)
        missed = (
            [] if self.peak_connections < _MOST_CONNECTIONS else [f"{_MOST_CONNECTIONS} connections or more"]
        )
        missed += [f"{self.refused} did not open"] if self.refused else []
        missed += [f"later than {_LATEST_SECONDS:g} s"] if late[-1] > _LATEST_SECONDS else []
        cells = (
            f"{self.gates}",
            f"{self.peak_connections}",
            f"{statistics.median(late):.2f} s",
            f"{late[int(len(late) * 0.95)]:.2f} s",
            f"{late[-1]:.2f} s",
            f"{self.core_seconds:.2f} s",
            f"**missed**: {', '.join(missed)}" if missed else "met",
        )
        return f"| {' | '.join(cells)} |"


def main() -> int:
    """Measure everything, print the tables and write the page."""
    with tempfile.TemporaryDirectory() as folder, Cluster.start(embedded_binaries(18)) as cluster:
        bench = _Bench(Path(folder), cluster)
        lines = [
            bench.nothing_pending(20, 0.6),
            bench.nothing_pending(1000, 0.5),
            bench.all_pending(200, 1.6),
        ]
        waiting = bench.gates(_GATES)
        read_seconds = bench.schema(1000)
        stalls = "\n".join([HEAD, *map(str, bench.stalls())])
    pages = _Pages(_table(lines), stalls, _gate_table(waiting), _schema_line(read_seconds))
    print(f"{pages.table}\n\n{pages.stalls}\n\n{pages.gates}\n\n{pages.schema}")
    _PAGE.write_text(_page(pages), encoding="utf-8")
    return 0


@dataclass(frozen=True, slots=True)
class _Pages:
    table: str
    stalls: str
    gates: str
    schema: str


class _Bench:
    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self._folder = folder
        self._cluster = cluster
        self._password = secrets.token_urlsafe(12)
        cluster.create_role("bench", self._password)

    def nothing_pending(self, revisions: int, target: float) -> Line:
        """A deploy with nothing to do, after one that did everything."""
        with self._database(f"idle{revisions}") as url:
            project = self._project(revisions, url)
            self._ours(project, url)
            pairs = [(self._plain(project), self._ours(project, url)) for _ in range(_ROUNDS)]
        return _line(f"nothing to do, {revisions:,} revisions", pairs, target, is_idle=True)

    def all_pending(self, revisions: int, target: float) -> Line:
        """All revisions on a fresh database, without a backup."""
        pairs = []
        for number in range(_FULL_ROUNDS):
            with self._database(f"plain{number}") as plain_url, self._database(f"ours{number}") as our_url:
                plain = self._plain(self._project(revisions, plain_url))
                pairs.append((plain, self._ours(self._project(revisions, our_url), our_url)))
        return _line(f"{revisions:,} revisions on a fresh database", pairs, target, is_idle=False)

    def gates(self, number: int) -> Waiting:
        """Many gates that all wait when the last revision commits."""
        with self._database("gates") as url:
            project = self._project(20, url)
            self._ours(project, url)
            versions = project / "migrations" / "versions"
            last = max(versions.glob("*.py")).name.partition("_")[0]
            text = _REVISION.format(number=20, id="ffff", down=last)
            body = text.replace("def upgrade() -> None:", f"def upgrade() -> None:\n    {SLOW_UPGRADE}")
            (versions / "ffff_last.py").write_text(body)
            environ = {**_environ(url), "PATH": os.environ["PATH"], "HOME": str(project)}
            params = self._cluster.admin_params("gates")
            with connection_count(self._cluster) as sampler:
                crowd = gates_at_a_commit(number, project, environ, params, head="ffff", settle_seconds=20)
        refused = sum(code != 0 for code in crowd.exit_codes)
        return Waiting(number, refused, sampler.peak, crowd.late_seconds, crowd.core_seconds)

    def stalls(self) -> list[Stalled]:
        """What three ways of migrating do to the app's traffic, while a report reads the table."""
        found = []
        for number, (way, timeout) in enumerate(
            (("plain Alembic", ""), ("plain Alembic, `lock_timeout=5s`", "5s"), ("migrator", ""))
        ):
            name = f"stall{number}"
            with self._database(name) as url:
                project = self._project(0, url)
                write_revisions(project / "migrations" / "versions")
                params = self._cluster.admin_params(name)
                found.append(stalled(way, project, url, params, lock_timeout=timeout))
        return found

    def schema(self, tables: int) -> float:
        """The median seconds of reading a schema of so many tables and taking its fingerprint."""
        with self._database("schema") as url:
            connector = Connector(Dsn.parse(url), "bench", Stop())
            with connector.open() as session:
                session.rows(many_tables(tables))
                times = []
                for _ in range(_FULL_ROUNDS):
                    began = time.perf_counter()
                    _ = read_snapshot(session).fingerprint
                    times.append(time.perf_counter() - began)
        return statistics.median(times)

    @contextmanager
    def _database(self, name: str) -> Iterator[str]:
        self._cluster.create_database(name, "bench")
        yield f"postgresql+psycopg://bench:{quote(self._password)}@127.0.0.1:{self._cluster.port}/{name}"

    def _project(self, revisions: int, url: str) -> Path:
        folder = self._folder / f"{revisions}-{url.rpartition('/')[2]}"
        versions = folder / "migrations" / "versions"
        versions.mkdir(parents=True)
        (folder / "alembic.ini").write_text(_INI.format(url=url.replace("%", "%%")))
        (folder / "migrations" / "env.py").write_text(_ENV_PY)
        down = None
        for number in range(revisions):
            id_ = f"{number:04x}{secrets.token_hex(4)}"
            text = _REVISION.format(number=number, id=id_, down=down)
            (versions / f"{id_}_add_table_{number}.py").write_text(text)
            down = id_
        return folder

    def _plain(self, project: Path) -> Cost:
        alembic = Path(sys.executable).with_name("alembic")
        return _measured([str(alembic), "upgrade", "head"], project, {})

    def _ours(self, project: Path, url: str) -> Cost:
        return _measured([sys.executable, str(REPOSITORY / "entrypoint.py")], project, _environ(url))


def _environ(url: str) -> dict[str, str]:
    return {"DATABASE_URL": url, "MIGRATOR_BACKUP": "off", "MIGRATOR_LOG_FORMAT": "json"}


# A process starts with the peak memory of the one that made it; so a small one makes those that are measured.
_LAUNCHER = """
import os, sys, time
folder, *command = sys.argv[1:]
began = time.perf_counter()
pid = os.fork()
if pid == 0:
    os.chdir(folder)
    silence = os.open(os.devnull, os.O_RDWR)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    os.execv(command[0], command)
_, status, used = os.wait4(pid, 0)
print(time.perf_counter() - began, used.ru_maxrss * 1024, os.waitstatus_to_exitcode(status))
"""


def _measured(command: list[str], folder: Path, environ: dict[str, str]) -> Cost:
    """Run a command to its end, its output thrown away. Raises `RuntimeError` when it fails."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), **environ}
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(folder), *command]
    said = subprocess.run(launcher, env=environ, capture_output=True, text=True, check=True).stdout.split()
    if said[2] != "0":
        raise RuntimeError(f"{command} ended with status {said[2]}")
    return Cost(float(said[0]), int(said[1]))


def _line(what: str, pairs: list[tuple[Cost, Cost]], target: float, *, is_idle: bool) -> Line:
    ratio = statistics.median(ours.seconds / plain.seconds for plain, ours in pairs)
    return Line(
        what, _median(plain for plain, _ in pairs), _median(ours for _, ours in pairs), ratio, target, is_idle
    )


def _median(costs: Iterator[Cost]) -> Cost:
    listed = list(costs)
    return Cost(
        statistics.median(one.seconds for one in listed),
        round(statistics.median(one.peak_bytes for one in listed)),
    )


def _table(lines: list[Line]) -> str:
    head = [
        "| deploy | plain Alembic | migrator | ratio | at most | memory, plain | memory, ours | target |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *map(_cells, lines)])


def _cells(one: Line) -> str:
    cells = (
        one.what,
        f"{one.plain.seconds:.2f} s",
        f"{one.ours.seconds:.2f} s",
        f"{one.ratio:.2f}×",
        f"{one.target:g}×",
        f"{one.plain.peak_bytes / 1e6:.0f} MB",
        f"{one.ours.peak_bytes / 1e6:.0f} MB",
        one.verdict,
    )
    return f"| {' | '.join(cells)} |"


def _gate_table(waiting: Waiting) -> str:
    head = [
        "| gates | peak connections | median | 95 % | last | core time of one, a minute | target |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, str(waiting)])


def _schema_line(seconds: float) -> str:
    verdict = "met" if seconds < _LONGEST_READ_SECONDS else "**missed**"
    return (
        f"1,000 tables with keys, references, indexes and defaults: {seconds:.2f} s, "
        f"at most {_LONGEST_READ_SECONDS:g} s: {verdict}."
    )


def _page(pages: _Pages) -> str:
    today = time.strftime("%Y-%m-%d", time.gmtime())
    machine = f"{os.cpu_count()} cores, {platform.machine()}, embedded PostgreSQL 18 on the same machine"
    tools = f"Alembic {alembic.__version__}, SQLAlchemy {sqlalchemy.__version__}"
    return f"""# Benchmarks

Written by `make bench` on {today}: {machine},
Python {platform.python_version()}, {tools}.

Times are from start to exit of the whole process. Plain Alembic (`alembic upgrade head`) and migrator
(`migrator run`) take turns, {_ROUNDS} rounds with nothing to do and {_FULL_ROUNDS} with everything to do. The
ratio is the median of the ratios of neighbouring runs; seconds and memory are medians. Memory is the peak
resident set of the largest process.

{pages.table}

## The app's traffic

An app makes 200 small transactions a second on a table that a report reads for 20 s, and a migration adds a
column to it. Each transaction's time counts from when it was due. The longest an app's transaction may be
held up by ours is 1 s.

{pages.stalls}

## Gates

So many processes of `migrator gate` wait on the same machine while a run applies a revision; all have looked
before it commits. Connections are sampled every 5 ms from their start to their end, and are to stay below
{_MOST_CONNECTIONS}; each gate's end is told in seconds from the moment when the commit could be seen, the
last at most {_LATEST_SECONDS:g} s. All of them, the run and the server share the cores of this one machine;
pods have their own.

{pages.gates}

## Fingerprint

Reading a schema from the catalogs and hashing it; the median of {_FULL_ROUNDS}.

{pages.schema}
"""


if __name__ == "__main__":
    raise SystemExit(main())
