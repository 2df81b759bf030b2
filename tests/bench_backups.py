"""What a backup through us costs beside `pg_dump` with the same options straight to a file.

The two take turns; the ratio is the median of the ratios of neighbours. Ours is the whole phase: preflight,
snapshot, fingerprint, dump, digest, decoding, reading back, manifest.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from migrator.backup.client import Client, find_client
from migrator.demo.cluster import Cluster, embedded_binaries

REPOSITORY = Path(__file__).parents[1]
# BENCH_BACKUP_MB=1000 is what the targets are about; BENCH_BACKUP_URL measures another destination, with keys
# from the environment; BENCH_PG_BIN another client.
_MEGABYTES = int(os.environ.get("BENCH_BACKUP_MB", "300"))
_ROUNDS = int(os.environ.get("BENCH_BACKUP_ROUNDS", "5"))
_HIGHEST_RATIO, _MOST_BYTES = 1.15, 150_000_000

# A third each of what compresses well, somewhat, and hardly.
_FILL = """
CREATE TABLE orders (id bigint PRIMARY KEY, at timestamptz, customer int, note text, amount numeric);
INSERT INTO orders SELECT n, now() - n * interval '1 s', n % 9973, repeat('as usual ', 6) || n, n / 7.0
FROM generate_series(1, {rows}) n;
CREATE TABLE event (id bigint PRIMARY KEY, body jsonb);
INSERT INTO event SELECT n, jsonb_build_object('kind', n % 17, 'key', md5(n::text), 'path', '/a/' || n)
FROM generate_series(1, {rows}) n;
CREATE TABLE picture (id bigint PRIMARY KEY, body bytea);
INSERT INTO picture SELECT n, decode(repeat(md5(n::text), 4) || md5(random()::text), 'hex')
FROM generate_series(1, {rows}) n;
CREATE INDEX ON orders (customer); CREATE INDEX ON orders (at);
VACUUM ANALYZE
"""
_ROWS_PER_MEGABYTE = 1900
# A process starts with the peak memory of the one that made it; so a small one makes the measured one.
_LAUNCHER = """
import os, sys, time
out, *command = sys.argv[1:]
began = time.perf_counter()
pid = os.fork()
if pid == 0:
    os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    os.execv(command[0], command)
_, status, used = os.wait4(pid, 0)
print(time.perf_counter() - began, used.ru_maxrss * 1024, os.waitstatus_to_exitcode(status))
"""


@dataclass(frozen=True, slots=True)
class Overhead:
    """The medians of all rounds."""

    where: str
    database_bytes: int
    archive_bytes: int
    compression: str
    plain_seconds: float
    our_seconds: float
    ratio: float
    peak_bytes: int

    def __str__(self) -> str:
        """One row of the table."""
        missed = [f"time above {_HIGHEST_RATIO:g}×"] if self.ratio > _HIGHEST_RATIO else []
        missed += [f"{_MOST_BYTES / 1e6:.0f} MB or more"] if self.peak_bytes >= _MOST_BYTES else []
        cells = (
            self.where,
            f"{self.database_bytes / 1e6:.0f} MB",
            f"{self.archive_bytes / 1e6:.0f} MB, {self.compression}",
            f"{self.plain_seconds:.2f} s",
            f"{self.our_seconds:.2f} s",
            f"{self.ratio:.2f}×",
            f"{self.peak_bytes / 1e6:.0f} MB",
            f"**missed**: {', '.join(missed)}" if missed else "met",
        )
        return f"| {' | '.join(cells)} |"


HEAD = (
    "| to | database | archive | `pg_dump` to a file | through us | ratio | memory, ours | target |\n"
    "|---|---|---|---|---|---|---|---|"
)


def main() -> int:
    """Measure and print the table."""
    with tempfile.TemporaryDirectory() as folder, Cluster.start(embedded_binaries(18)) as cluster:
        print(f"{HEAD}\n{overhead(Path(folder), cluster)}")
        machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
        print(f"\n{_ROUNDS} rounds, {machine}")
    return 0


def overhead(folder: Path, cluster: Cluster) -> Overhead:
    """Fill a database, then let the two take turns."""
    cluster.create_role("backup_bench", "bench")
    cluster.create_database("backup_bench", "backup_bench")
    url = f"postgresql://backup_bench:{quote('bench')}@127.0.0.1:{cluster.port}/backup_bench"
    with psycopg.connect(url, autocommit=True) as session:
        for statement in _FILL.format(rows=_MEGABYTES * _ROWS_PER_MEGABYTE).split(";"):
            session.execute(statement.encode())
        size = session.execute("SELECT pg_database_size(current_database())").fetchone()
    bin_folder = os.environ.get("BENCH_PG_BIN") or str(embedded_binaries(18).folder)
    client = find_client(Path(bin_folder), 180000)
    project = _project(folder)
    where = os.environ.get("BENCH_BACKUP_URL") or (folder / "backups").as_uri()
    _ours(project, url, where, client)
    pairs = [(_plain(folder, url, client), _ours(project, url, where, client)) for _ in range(_ROUNDS)]
    return Overhead(
        where=where.partition(":")[0],
        database_bytes=int(size[0]) if size else 0,
        archive_bytes=pairs[-1][1]["backup"]["size_bytes"],
        compression=client.compression(),
        plain_seconds=statistics.median(plain for plain, _ in pairs),
        our_seconds=statistics.median(ours["phases"]["backup"] for _, ours in pairs),
        ratio=statistics.median(ours["phases"]["backup"] / plain for plain, ours in pairs),
        peak_bytes=max(ours["peak_bytes"] for _, ours in pairs),
    )


def _plain(folder: Path, url: str, client: Client) -> float:
    file = folder / "plain.dump"
    file.unlink(missing_ok=True)
    command = [client.pg_dump, "--format=custom", f"--compress={client.compression()}", f"--file={file}", url]
    began = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - began


def _ours(project: Path, url: str, where: str, client: Client) -> dict[str, Any]:
    """What the last event says, with the peak memory of the largest process."""
    environ = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "PATH", "HOME"))}
    environ |= {
        "DATABASE_URL": url,
        "MIGRATOR_BACKUP_URL": where,
        "MIGRATOR_PG_BIN": str(client.folder),
        "MIGRATOR_LOG_FORMAT": "json",
    }
    out = project / "events"
    command = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(out)]
    command += [sys.executable, str(REPOSITORY / "entrypoint.py"), "backup"]
    said = subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True, check=True)
    last: dict[str, Any] = json.loads(out.read_text().splitlines()[-1])
    if last["exit_code"]:
        raise RuntimeError(last["error"])
    return last | {"peak_bytes": int(said.stdout.split()[1])}


def _project(folder: Path) -> Path:
    project = folder / "project"
    (project / "migrations" / "versions").mkdir(parents=True)
    (project / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/migrations\n")
    (project / "migrations" / "env.py").write_text("from alembic import context\n")
    return project


if __name__ == "__main__":
    raise SystemExit(main())
