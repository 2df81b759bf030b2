"""Many gates before a database that is being migrated, as two hundred pods of a deploy are."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg

from tests.support.runner import REPOSITORY
from tests.support.waiting import eventually

HELD: Final = 20260504
"""The advisory lock for which the revision waits, so that whoever holds it says when it may commit."""

SLOW_UPGRADE: Final = f"op.execute('SELECT pg_advisory_lock({HELD})')"


@dataclass(frozen=True, slots=True)
class Crowd:
    """How a crowd of gates fared: seconds from the commit to each one's end, and its exit status."""

    late_seconds: tuple[float, ...]
    exit_codes: tuple[int, ...]
    waited_seconds: float
    core_seconds: float  # per gate and minute, while they waited


def gates_at_a_commit(
    number: int, folder: Path, environ: Mapping[str, str], params: Any, *, head: str, settle_seconds: float
) -> Crowd:
    """Start so many gates, let each look, then let the revision commit, and wait for them all to end.

    `params` connect a superuser to the target, which holds the lock `HELD` so far; `head` is the version row
    that the commit makes.
    """
    with psycopg.connect(**params, autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", (HELD,))
        files = [folder / f"gate{one}.events" for one in range(number)]
        with _processes() as started:
            run = started(folder, environ, "run", folder / "run.events")
            assert eventually(lambda: _has_said(folder / "run.events", "revision.started"), 60), "no revision"
            gates = [started(folder, environ, "gate", file) for file in files]
            assert eventually(lambda: all(_has_said(file, "wait.attempted") for file in files), 240)
            began, before = time.monotonic(), _core_seconds(gates)
            time.sleep(settle_seconds)
            waited = time.monotonic() - began
            used = (_core_seconds(gates) - before) / number / waited * 60
            commit = _Commit(params, head)
            holder.execute("SELECT pg_advisory_unlock(%s)", (HELD,))
            ends = _ends(gates)
            moment = commit.moment()
            run.wait(60)
    return Crowd(tuple(end - moment for end in ends), tuple(one.returncode for one in gates), waited, used)


class _Commit:
    """Notices, within milliseconds, when the version row can be seen."""

    def __init__(self, params: Any, head: str) -> None:
        self._moment = 0.0
        self._thread = threading.Thread(target=self._watch, args=(params, head), daemon=True)
        self._thread.start()

    def moment(self) -> float:
        self._thread.join(60)
        assert self._moment, "it was never seen"
        return self._moment

    def _watch(self, params: Any, head: str) -> None:
        with psycopg.connect(**params, autocommit=True) as session:
            query = "SELECT 1 FROM alembic_version WHERE version_num = %s"
            while session.execute(query, (head,)).fetchone() is None:
                time.sleep(0.005)
        self._moment = time.monotonic()


@contextlib.contextmanager
def _processes() -> Iterator[Callable[[Path, Mapping[str, str], str, Path], subprocess.Popen[bytes]]]:
    """Start processes that do not outlive the block."""
    started: list[subprocess.Popen[bytes]] = []

    def start(folder: Path, environ: Mapping[str, str], command: str, said: Path) -> subprocess.Popen[bytes]:
        with said.open("wb") as output:
            started.append(
                subprocess.Popen(
                    [sys.executable, str(REPOSITORY / "entrypoint.py"), command],
                    cwd=folder,
                    env=dict(environ),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            )
        return started[-1]

    try:
        yield start
    finally:
        for one in started:
            one.kill()
            one.wait()


def _has_said(file: Path, event: str) -> bool:
    return f'"event": "{event}"' in file.read_text()


def _core_seconds(gates: list[subprocess.Popen[bytes]]) -> float:
    ticks = 0
    for one in gates:
        fields = Path(f"/proc/{one.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _ends(gates: list[subprocess.Popen[bytes]]) -> list[float]:
    """When each one ended, as nearly as asking all of them again and again can tell."""
    left, ends = dict(enumerate(gates)), {}
    while left:
        for number, one in list(left.items()):
            if one.poll() is not None:
                ends[number] = time.monotonic()
                del left[number]
        time.sleep(0.005)
    return [ends[number] for number in range(len(gates))]
