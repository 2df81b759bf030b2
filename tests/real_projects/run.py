"""`make real-projects`: histories nobody here wrote, migrated by us and by the plain tool, and compared.

Each project is installed by name, in exact versions, into an environment of its own that has nothing of ours;
the worker runs there. Not part of `make test`: installing them takes minutes.
"""

import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from migrator.demo.cluster import Cluster, embedded_binaries

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
_PLACE = REPOSITORY / ".real-projects"
_IDLE_ROUNDS = 7


@dataclass(frozen=True, slots=True)
class Subject:
    """A public project: its name (also its list of packages'), its `alembic.ini`, its number of revisions."""

    name: str
    ini: str
    revisions: int


_SUBJECTS = (
    Subject("ckan", "[alembic]\nscript_location = ckan:migration\nsqlalchemy.url = {url}\n", revisions=109),
)


def main() -> int:
    """Migrate every project on every embedded server; print a line each; 1 if anything differs."""
    wrong = 0
    for subject in _SUBJECTS:
        python = _installed(subject)
        for major in (16, 18):
            with tempfile.TemporaryDirectory() as folder, Cluster.start(embedded_binaries(major)) as cluster:
                line, is_right = _Comparison(subject, python, cluster, Path(folder)).line()
            print(line, flush=True)
            wrong += not is_right
    return min(wrong, 1)


def _installed(subject: Subject) -> Path:
    """The interpreter of the project's environment, made when it is missing."""
    python = _PLACE / subject.name / "bin" / "python"
    packages = HERE / f"{subject.name}.txt"
    stamp = _PLACE / subject.name / ".ready"
    if not stamp.exists() or stamp.stat().st_mtime < packages.stat().st_mtime:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(_PLACE / subject.name)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "-r", str(packages)]
        subprocess.run(install, check=True)
        stamp.touch()
    return python


class _Comparison:
    """One project on one server: ours in one database, the plain tool in another."""

    def __init__(self, subject: Subject, python: Path, cluster: Cluster, folder: Path) -> None:
        self._subject = subject
        self._python = python
        self._cluster = cluster
        self._folder = folder
        self._password = f"p%{secrets.token_hex(4)}"
        cluster.create_role("owner", self._password)

    def line(self) -> tuple[str, bool]:
        """What was measured, and whether it is as it should be."""
        ours, plain = self._prepared("ours"), self._prepared("plain")
        our_full, first = self._ours(ours, "ours")
        plain_full = self._plain(plain)
        pairs = [(self._ours(ours, "ours")[0], self._plain(plain)) for _ in range(_IDLE_ROUNDS)]
        _, again = self._ours(ours, "ours")
        same = self._schema("ours") == self._schema("plain")
        applied = len(first["revisions_applied"])
        is_right = same and applied == self._subject.revisions and again["outcome"] == "nothing to do"
        idle = statistics.median(our / their for our, their in pairs)
        return (
            f"{self._subject.name} on PostgreSQL {self._cluster.binaries.major}: {applied} revisions, "
            f"{'same schema' if same else 'SCHEMA DIFFERS'}; "
            f"full {our_full:.2f} s (plain {plain_full:.2f} s); "
            f"nothing to do {statistics.median(our for our, _ in pairs):.2f} s "
            f"(plain {statistics.median(their for _, their in pairs):.2f} s, ratio {idle:.2f})"
        ), is_right

    def _prepared(self, name: str) -> Path:
        self._cluster.create_database(name, "owner")
        folder = self._folder / name
        folder.mkdir()
        # The plain tool reads its URL from the ini; ours is told by DATABASE_URL, with a placeholder there.
        url = self._url(name).replace("%", "%%") if name == "plain" else "postgresql+psycopg2://placeholder/x"
        (folder / "alembic.ini").write_text(self._subject.ini.format(url=url))
        return folder

    def _url(self, name: str) -> str:
        account = f"owner:{quote(self._password, safe='')}"
        return f"postgresql+psycopg2://{account}@127.0.0.1:{self._cluster.port}/{name}"

    def _ours(self, folder: Path, name: str) -> tuple[float, dict[str, Any]]:
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "DATABASE_URL": self._url(name),
            "MIGRATOR_BACKUP": "off",
            "MIGRATOR_LOG_FORMAT": "json",
            "MIGRATOR_PYTHON": str(self._python),
        }
        seconds, out = _timed([sys.executable, str(REPOSITORY / "entrypoint.py")], folder, environ)
        last: dict[str, Any] = json.loads(out.splitlines()[-1])
        return seconds, last

    def _plain(self, folder: Path) -> float:
        environ = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        return _timed([str(self._python.with_name("alembic")), "upgrade", "head"], folder, environ)[0]

    def _schema(self, name: str) -> list[str]:
        """The dump without comments, our ledger, and the random words newer versions put around it."""
        command = [
            str(self._cluster.binaries.folder / "pg_dump"),
            "--schema-only",
            "--exclude-schema=migrator",
        ]
        command += ["--host=127.0.0.1", f"--port={self._cluster.port}", "--username=owner", name]
        dump = subprocess.run(
            command, env={"PGPASSWORD": self._password}, capture_output=True, text=True, check=True
        ).stdout
        return [line for line in dump.splitlines() if line and not line.startswith(("--", "\\"))]


def _timed(command: list[str], folder: Path, environ: dict[str, str]) -> tuple[float, str]:
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{command} ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return time.perf_counter() - began, done.stdout


if __name__ == "__main__":
    raise SystemExit(main())
