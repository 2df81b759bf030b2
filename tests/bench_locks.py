"""What a migration does to the app's traffic, when the table it changes is being read by a long report.

Part of `make bench`. Three ways of migrating, one after the other, each on a database of its own.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.runner import REPOSITORY
from tests.support.traffic import report, traffic

_PER_SECOND: Final = 200
_REPORT_SECONDS: Final = float(os.environ.get("BENCH_REPORT_SECONDS", "20"))
_LONGEST_STALL_SECONDS: Final = 1.0

_FIRST = """
    op.execute("CREATE TABLE orders (id int PRIMARY KEY, changed timestamptz)")
    op.execute("INSERT INTO orders SELECT i FROM generate_series(0, 999) i")
"""
_SECOND = """
    op.execute("ALTER TABLE orders ADD COLUMN total int")
"""
_REVISION = """
from alembic import op

revision = {id!r}
down_revision = {down!r}


def upgrade():
{body}
"""


@dataclass(frozen=True, slots=True)
class Stalled:
    """How the app fared during one way of migrating; seconds."""

    way: str
    succeeded: bool
    took: float
    p99: float
    worst: float
    target: float | None = None

    def __str__(self) -> str:
        """One row of the table."""
        how = "succeeded" if self.succeeded else "failed"
        verdict = "–"
        if self.target is not None:
            verdict = "met" if self.succeeded and self.worst <= self.target else "**missed**"
        cells = (self.way, how, f"{self.took:.1f} s", f"{self.p99:.2f} s", f"{self.worst:.2f} s", verdict)
        return f"| {' | '.join(cells)} |"


HEAD: Final = "| way | migration | took | app, p99 | app, worst | target |\n|---|---|---|---|---|---|"


def write_revisions(versions: Path) -> None:
    """Two revisions: a table, and a column that is added to it."""
    versions.mkdir(parents=True, exist_ok=True)
    for id_, down, body in (("0001", None, _FIRST), ("0002", "0001", _SECOND)):
        (versions / f"{id_}.py").write_text(_REVISION.format(id=id_, down=down, body=body))


def stalled(way: str, project: Path, url: str, params: Any, *, lock_timeout: str = "") -> Stalled:
    """Migrate the project's second revision in one way, while the app works and a report reads.

    `way` is `migrator` for ours, else the plain tool; `params` connect the app and the report.
    """
    alembic = str(Path(sys.executable).with_name("alembic"))
    environ = {"PATH": os.environ["PATH"], "HOME": str(project), "DATABASE_URL": url}
    subprocess.run([alembic, "upgrade", "0001"], cwd=project, env=environ, check=True, capture_output=True)
    is_ours = way == "migrator"
    command = [sys.executable, str(REPOSITORY / "entrypoint.py")] if is_ours else [alembic, "upgrade", "head"]
    environ |= {"MIGRATOR_BACKUP": "off", "MIGRATOR_LOG_FORMAT": "json"} if is_ours else {}
    environ |= {"PGOPTIONS": f"-c lock_timeout={lock_timeout}"} if lock_timeout else {}
    with traffic(params, _PER_SECOND) as app:
        time.sleep(1)
        with report(params, _REPORT_SECONDS):
            began = time.monotonic()
            done = subprocess.run(command, cwd=project, env=environ, check=False, capture_output=True)
            took = time.monotonic() - began
        time.sleep(1)
    return Stalled(
        way,
        done.returncode == 0,
        took,
        app.percentile(0.99),
        app.worst,
        _LONGEST_STALL_SECONDS if is_ours else None,
    )
