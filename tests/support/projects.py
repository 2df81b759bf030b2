"""The projects under `tests/projects`: copied where they are used, run by us and by their plain tool."""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from psycopg import sql

from tests.support.runner import Migrator, Result
from tests.support.target import Target

PROJECTS: Final = Path(__file__).parents[1] / "projects"

_WRAPPER: Final = """\
#!/bin/sh
echo started >> {starts}
exec {python} "$@"
"""


def with_driver(target: Target, driver: str) -> str:
    """Give the target's URL as SQLAlchemy wants it for this driver."""
    return target.url.replace("postgresql:", f"postgresql+{driver}:", 1)


def no_variables(_target: Target) -> Mapping[str, str]:
    """Give none: the project reads `sqlalchemy.url`."""
    return {}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of project, and what it makes of an empty database.

    Attributes:
        name: names the test.
        rows: by version table, the rows at the end.
        applied: how many revisions a run reports; in a loop over tenants each is applied several times.
        folder: under `tests/projects`; the name, if empty.
        variables: what the project's own deployment sets, whoever migrates it.
        settings: what is told to migrator alone.
        driver: the driver in DATABASE_URL, if the operator writes one.
        before: SQL that the owner runs first, as the project's documentation says.
        plain: arguments of the project's own `alembic`.
        starts_worker: whether even a run with nothing to do has to ask Alembic.
        environment: the one of ours that it runs in, inside `.venv`; the tests' own, if empty.
    """

    name: str
    rows: Mapping[str, Iterable[str]]
    applied: int
    folder: str = ""
    variables: Callable[[Target], Mapping[str, str]] = no_variables
    settings: Mapping[str, str] = field(default_factory=dict)
    driver: str = ""
    before: str = ""
    plain: tuple[str, ...] = ("upgrade", "head")
    starts_worker: bool = False
    environment: str = ""

    @property
    def python(self) -> Path:
        """The interpreter that has the project's packages."""
        return (
            Path(sys.prefix, self.environment, "bin", "python") if self.environment else Path(sys.executable)
        )

    def url(self, target: Target) -> str:
        """Give DATABASE_URL as the operator would write it for this project."""
        return with_driver(target, self.driver) if self.driver else target.url


@dataclass(frozen=True, slots=True)
class Copy:
    """A project's folder, copied for a test, with an interpreter that counts how often it is started."""

    folder: Path
    python: Path
    starts: Path

    def count_starts(self) -> int:
        """How many workers have been started by now."""
        return len(self.starts.read_text().splitlines()) if self.starts.exists() else 0


def copy_project(name: str, place: Path, python: Path = Path(sys.executable)) -> Copy:
    """Copy a project into this place; its environment looks like a virtual one beside `python`'s packages."""
    place.mkdir(exist_ok=True)
    folder = place / "project"
    shutil.copytree(PROJECTS / name, folder, ignore=shutil.ignore_patterns("__pycache__"))
    binaries = place / "environment" / "bin"
    binaries.mkdir(parents=True)
    (binaries.parent / "lib").symlink_to(python.parent.parent / "lib")
    wrapper, starts = binaries / "python", place / "starts"
    wrapper.write_text(_WRAPPER.format(starts=starts, python=python))
    wrapper.chmod(0o755)
    return Copy(folder, wrapper, starts)


def migrator_in(migrator: Migrator, copy: Copy, environ: Mapping[str, str]) -> Migrator:
    """Run the entrypoint in the copy's folder, with its interpreter and these variables."""
    merged = {**migrator.environ, "MIGRATOR_PYTHON": str(copy.python), **environ}
    return dataclasses.replace(migrator, folder=copy.folder, environ=merged)


def second_database(target: Target, name: str) -> Target:
    """Make another database of the same owner, dropped with the target."""
    other = dataclasses.replace(target, database=f"{target.database}_{name}")
    other.cluster.create_database(other.database, other.user)
    return other


def plain_alembic(
    copy: Copy, target: Target, arguments: Iterable[str], environ: Mapping[str, str], *, driver: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run the project's own `alembic` on the target; an ini that keeps the URL gets it, as a person would."""
    for ini in copy.folder.rglob("alembic.ini"):
        url = with_driver(target, driver or "psycopg").replace("%", "%%")
        line = f"sqlalchemy.url = {url}".replace("\\", r"\\")
        ini.write_text(re.sub(r"(?m)^sqlalchemy\.url = .*$", line, ini.read_text()))
    command = [str(copy.python), "-m", "alembic", *arguments]
    return subprocess.run(
        command,
        cwd=copy.folder,
        env={"PATH": os.defpath, "HOME": str(copy.folder), **environ},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        timeout=120,
    )


def rows_of(target: Target, tables: Iterable[str]) -> dict[str, list[str]]:
    """Give each version table's rows."""
    query = "SELECT version_num FROM {} ORDER BY 1"
    with target.connect() as session:
        return {
            table: [
                row for (row,) in session.execute(sql.SQL(query).format(sql.Identifier(*table.split("."))))
            ]
            for table in tables
        }


def dump(target: Target) -> str:
    """Give all of the database as SQL, without the ledger and what differs between any two dumps."""
    command = [str(target.cluster.binaries.folder / "pg_dump"), "--inserts", "--exclude-schema=migrator"]
    command += [
        f"--host={target.host}",
        f"--port={target.port}",
        f"--username={target.user}",
        target.database,
    ]
    done = subprocess.run(
        command, env={"PGPASSWORD": target.password}, capture_output=True, text=True, check=True
    )
    return "\n".join(line for line in done.stdout.splitlines() if line and not line.startswith(("--", "\\")))


def assert_idle(result: Result) -> None:
    """See that a run had nothing to do, and took no lock to find out."""
    assert (result.exit_code, result.last["outcome"]) == (0, "nothing to do"), result.last
    assert not result.named("lock.acquired"), result.last["phases"]


def said(result: Result) -> str:
    """What a failing assertion should show of a run."""
    errors = [event["message"] for event in result.events if event["level"] in {"warning", "error"}]
    return "\n".join([*errors, str(result.last), result.stderr[-2000:]])
