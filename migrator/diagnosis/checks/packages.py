"""The packages: what the worker's interpreter has of what the project's migrations import."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from shlex import quote

from migrator.diagnosis.finding import Check, Finding, failed, impossible, passed, warned
from migrator.diagnosis.patient import Patient
from migrator.errors import MigratorError
from migrator.history.installed import Installed, Package, installed
from migrator.history.release import find_python, is_async, locate_project

_OLDEST_PYTHON = (3, 9)
# The oldest that is supported, and the newest that migrator is tested with.
_RANGES = {"alembic": ((1, 8), (1, 20)), "sqlalchemy": ((1, 4), (2, 1))}
_DRIVERS = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "asyncpg": "asyncpg"}


_ASKED = (*_RANGES, *_DRIVERS, "greenlet")


def _answer(patient: Patient) -> Installed:
    return _asked_once(_python(patient), tuple(patient.environ.items()))


@lru_cache(maxsize=1)
def _asked_once(python: Path, environ: tuple[tuple[str, str], ...]) -> Installed:
    """Importing them all takes a second, which is enough for all checks of this section."""
    return installed(python, dict(environ), _ASKED)


def _python(patient: Patient) -> Path:
    desk = patient.desk
    return find_python(desk.settings, patient.environ, desk.cwd)


def _interpreter(patient: Patient) -> Iterator[Finding]:
    python = _python(patient)
    try:
        found = _answer(patient)
    except MigratorError as error:
        yield failed(error.message, why="the worker cannot be started: exit 13", remedy=error.remedy)
        return
    version = ".".join(map(str, found.python))
    facts = {"python": str(python), "python_version": version}
    if found.python < _OLDEST_PYTHON:
        yield failed(
            f"{python} is Python {version}",
            why="the worker needs Python 3.9 or newer",
            remedy="point MIGRATOR_PYTHON at a newer interpreter that has the project's packages",
            **facts,
        )
    else:
        yield passed(f"{python}, Python {version}", **facts)


def _alembic(patient: Patient) -> Iterator[Finding]:
    yield _of_range("alembic", patient)


def _sqlalchemy(patient: Patient) -> Iterator[Finding]:
    yield _of_range("sqlalchemy", patient)


def _of_range(name: str, patient: Patient) -> Finding:
    python = _python(patient)
    found = _answer(patient).packages[name]
    oldest, newest = _RANGES[name]
    supported = f"{_dotted(oldest)} to {_dotted(newest)}"
    facts = {"package": name, "package_version": found.version, "python": str(python)}
    if found.error is not None:
        return _missing(name, found, str(python), f"{name}>={_dotted(oldest)}")
    if found.release < oldest:
        return failed(
            f"{name} {found.version} is too old",
            why=f"the worker knows {supported}",
            remedy=f"{quote(str(python))} -m pip install '{name}>={_dotted(oldest)}'",
            **facts,
        )
    if found.release > newest:
        return warned(
            f"{name} {found.version} is newer than this migrator",
            why=f"it is tested with {supported}",
            remedy=f"{quote(str(python))} -m pip install '{name}<{newest[0]}.{newest[1] + 1}'",
            **facts,
        )
    return passed(f"{name} {found.version}", **facts)


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))


def _missing(name: str, found: Package, python: str, requirement: str) -> Finding:
    """`No module named …` of the very module, or of what it needs in turn."""
    if found.error and found.error.startswith("ModuleNotFoundError"):
        why = "it is not installed for this interpreter: migrations run with the project's own packages"
    else:
        why = "it is installed, but cannot be imported, so no migration can run"
    return failed(
        f"{name} cannot be imported by {python}: {found.error}",
        why=f"{why} (MIGRATOR_PYTHON names another interpreter)",
        remedy=f"{quote(python)} -m pip install {quote(requirement)}",
        package=name,
        python=python,
    )


def _driver(patient: Patient) -> Iterator[Finding]:
    """The one that the URL asks for; where none does, any that SQLAlchemy can use."""
    python = str(_python(patient))
    answer = _answer(patient)
    asked = _asked_for(patient)
    yield _named(*asked, answer, python) if asked else _any(answer, python)
    yield from _greenlet(patient, python)


def _any(answer: Installed, python: str) -> Finding:
    there = [name for name in _DRIVERS if answer.packages[name].error is None]
    if there:
        return passed(f"no URL asks for a driver; there is {', '.join(there)}", drivers=there)
    return failed(
        f"no driver for Postgres can be imported by {python}: {answer.packages['psycopg'].error}",
        why="SQLAlchemy cannot connect without one",
        remedy=f"{quote(python)} -m pip install 'psycopg[binary]'",
        python=python,
    )


def _named(name: str, where: str, answer: Installed, python: str) -> Finding:
    if name not in _DRIVERS:
        return impossible(f"{where} asks for the driver {name}, which migrator does not know", driver=name)
    found = answer.packages[name]
    if found.error is not None:
        return _missing(name, found, python, _DRIVERS[name])
    if name == "psycopg" and answer.packages["sqlalchemy"].release < (2, 0):
        return failed(
            f"{where} asks for psycopg, and SQLAlchemy is {answer.packages['sqlalchemy'].version}",
            why="psycopg 3 came with SQLAlchemy 2.0",
            remedy=f"{quote(python)} -m pip install psycopg2-binary",
            driver=name,
        )
    return passed(
        f"{name} {found.version}, for which {where} asks", driver=name, package_version=found.version
    )


def _asked_for(patient: Patient) -> tuple[str, str] | None:
    """The driver and who asks for it: the environment's URL, else the one of the ini file."""
    desk = patient.desk
    if desk.dsn.driver:
        return desk.dsn.driver, "the database's URL"
    try:
        project = locate_project(desk.settings, _python(patient), desk.cwd)
    except MigratorError:  # the section of the files tells it
        return None
    scheme, _, driver = (project.url_driver or "").partition("+")
    return (driver, "alembic.ini") if scheme.startswith("postgres") and driver else None


def _greenlet(patient: Patient, python: str) -> Iterator[Finding]:
    """SQLAlchemy 2.1 no longer installs it by itself."""
    desk = patient.desk
    try:
        project = locate_project(desk.settings, _python(patient), desk.cwd)
    except MigratorError:
        return
    if not is_async(project):
        return
    found = _answer(patient).packages["greenlet"]
    if found.error is not None:
        yield _missing("greenlet", found, python, "sqlalchemy[asyncio]")


CHECKS = (
    Check("packages.python", _interpreter),
    Check("packages.alembic", _alembic),
    Check("packages.sqlalchemy", _sqlalchemy),
    Check("packages.driver", _driver),
)
