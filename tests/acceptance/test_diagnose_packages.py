"""Diagnosis of the packages that the worker's interpreter has, and that it has not."""

import json
import shlex
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.support.diagnosed import diagnose
from tests.support.environment import env_with
from tests.support.project import Project
from tests.support.runner import Migrator
from tests.support.target import Target

DRIVER = "packages.driver"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """An interpreter without any package."""
    venv.create(tmp_path / "bare", with_pip=False)
    return tmp_path / "bare" / "bin" / "python"


def _give(python: Path, name: str, text: str) -> None:
    """Install a package that is no more than its version, as the remedy's pip would install the real one."""
    (site,) = python.parent.parent.glob("lib/python3*/site-packages")
    (site / f"{name}.py").write_text(text)


def test_versions_are_told(migrator: Migrator, target: Target) -> None:
    found = diagnose(
        migrator, "packages", DATABASE_URL=target.url.replace("postgresql:", "postgresql+psycopg:")
    )
    assert found.of("packages.python")["python"] == sys.executable
    assert {one["verdict"] for one in found.checks} == {"pass"}
    assert "for which the database's URL asks" in found.of(DRIVER)["seen"]


def test_an_interpreter_that_is_not_there(migrator: Migrator) -> None:
    found = diagnose(migrator, "packages", MIGRATOR_PYTHON="/no/such/python")
    assert found.verdict("packages.python") == "fail"
    assert "MIGRATOR_PYTHON" in found.of("packages.python")["remedy"]
    assert found.verdict("packages.alembic") == "not possible"


def test_something_that_is_no_python(migrator: Migrator) -> None:
    found = diagnose(migrator, "packages.python", MIGRATOR_PYTHON="/bin/true")
    assert found.verdict("packages.python") == "fail"
    assert "no Python 3.9 or newer?" in found.of("packages.python")["seen"]


def test_no_module_named_alembic(migrator: Migrator, bare: Path) -> None:
    finding = diagnose(migrator, "packages.alembic", MIGRATOR_PYTHON=str(bare)).of("packages.alembic")
    assert finding["verdict"] == "fail"
    assert "No module named 'alembic'" in finding["seen"]
    assert shlex.split(finding["remedy"]) == [str(bare), "-m", "pip", "install", "alembic>=1.8"]


@pytest.mark.parametrize(
    ("name", "version", "verdict"),
    [
        ("alembic", "1.7.7", "fail"),
        ("alembic", "1.8.0", "pass"),
        ("alembic", "2.0", "warn"),
        ("sqlalchemy", "1.3.24", "fail"),
        ("sqlalchemy", "1.4.0", "pass"),
        ("sqlalchemy", "2.2.0b1", "warn"),
    ],
)
def test_a_version_outside_of_what_is_supported(
    migrator: Migrator, bare: Path, name: str, version: str, verdict: str
) -> None:
    _give(bare, name, f"__version__ = {version!r}")
    finding = diagnose(migrator, f"packages.{name}", MIGRATOR_PYTHON=str(bare)).of(f"packages.{name}")
    assert (finding["verdict"], finding["package_version"]) == (verdict, version)
    assert (f"-m pip install '{name}" in finding["remedy"]) is (verdict != "pass")


def test_a_package_that_is_there_and_broken(migrator: Migrator, bare: Path) -> None:
    _give(bare, "alembic", "print('noise')\nraise ImportError('libfoo.so.1: cannot open')")
    finding = diagnose(migrator, "packages.alembic", MIGRATOR_PYTHON=str(bare)).of("packages.alembic")
    assert finding["verdict"] == "fail"
    assert "libfoo.so.1" in finding["seen"]
    assert "installed, but cannot be imported" in finding["why"]


class TestDriver:
    @pytest.mark.parametrize(
        ("name", "requirement"),
        [("psycopg2", "psycopg2-binary"), ("asyncpg", "asyncpg"), ("psycopg", "psycopg[binary]")],
    )
    def test_the_one_that_the_url_asks_for(
        self, migrator: Migrator, target: Target, bare: Path, name: str, requirement: str
    ) -> None:
        _give(bare, "sqlalchemy", "__version__ = '2.0.40'")
        broken = {
            "DATABASE_URL": target.url.replace("postgresql:", f"postgresql+{name}:"),
            "MIGRATOR_PYTHON": str(bare),
        }
        finding = diagnose(migrator, DRIVER, **broken).of(DRIVER)
        assert (finding["verdict"], f"No module named '{name}'" in finding["seen"]) == ("fail", True)
        assert shlex.split(finding["remedy"]) == [str(bare), "-m", "pip", "install", requirement]
        _give(bare, name, "__version__ = '9.9'")
        assert diagnose(migrator, DRIVER, **broken).verdict(DRIVER) == "pass"

    def test_the_one_that_the_ini_file_asks_for(
        self, migrator: Migrator, project: Project, bare: Path
    ) -> None:
        ini = (project.folder / "alembic.ini").read_text()
        project.ini(ini.replace("driver://", "postgresql+psycopg2://"))
        finding = diagnose(migrator, DRIVER, MIGRATOR_PYTHON=str(bare)).of(DRIVER)
        assert (finding["verdict"], "psycopg2" in finding["seen"]) == ("fail", True)

    def test_none_at_all(self, migrator: Migrator, bare: Path) -> None:
        finding = diagnose(migrator, DRIVER, MIGRATOR_PYTHON=str(bare)).of(DRIVER)
        assert finding["verdict"] == "fail"
        assert "psycopg[binary]" in finding["remedy"]

    def test_psycopg_3_with_an_old_sqlalchemy(self, migrator: Migrator, target: Target, bare: Path) -> None:
        _give(bare, "sqlalchemy", "__version__ = '1.4.54'")
        _give(bare, "psycopg", "__version__ = '3.2'")
        url = target.url.replace("postgresql:", "postgresql+psycopg:")
        finding = diagnose(migrator, DRIVER, DATABASE_URL=url, MIGRATOR_PYTHON=str(bare)).of(DRIVER)
        assert (finding["verdict"], "psycopg2-binary" in finding["remedy"]) == ("fail", True)

    def test_greenlet_where_env_py_awaits(self, migrator: Migrator, project: Project, bare: Path) -> None:
        project.write_env(env_with(header="from sqlalchemy.ext.asyncio import AsyncEngine", options=""))
        _give(bare, "asyncpg", "__version__ = '0.31'")
        _give(bare, "sqlalchemy", "__version__ = '2.1.0'")
        found = diagnose(migrator, DRIVER, MIGRATOR_PYTHON=str(bare)).all_of(DRIVER)
        assert [one["verdict"] for one in found] == ["pass", "fail"]
        assert "sqlalchemy[asyncio]" in found[1]["remedy"]
        _give(bare, "greenlet", "__version__ = '3'")
        assert diagnose(migrator, DRIVER, MIGRATOR_PYTHON=str(bare)).verdict(DRIVER) == "pass"


def test_the_questions_are_asked_of_any_python(bare: Path) -> None:
    """The text that is handed to the interpreter needs nothing but the standard library."""
    program = Path(__file__).parents[2] / "migrator" / "worker" / "packages.py"
    done = subprocess.run([bare, "-c", program.read_text(), "json"], check=True, capture_output=True)
    assert json.loads(done.stdout.splitlines()[-1])["packages"] == {"json": {"version": "2.0.9"}}
