"""The projects: what each needs set, how its own tool is called, and what a deploy with migrator is told."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.real_projects.place import Place


@dataclass(frozen=True, slots=True)
class Subject:
    """A public project's history.

    Attributes:
        name: of the history; names its row in the table.
        packages: names the list of exact versions, and the environment.
        python: the interpreter it is made for.
        head: the version row at the end.
        revisions: how many lead there.
        plain: arguments of the project's own tool, whose first is a program of its environment.
        variables: what the project itself is told, whoever migrates it; may write files into the folder.
        settings: what migrator is told besides, by the environment's `site-packages`.
        table: the version table.
        takes_percent: whether its own tool survives a password with a percent sign.
    """

    name: str
    packages: str
    python: str
    head: str
    revisions: int
    plain: Callable[[Path], tuple[str, ...]]
    variables: Callable[[Place], Mapping[str, str]]
    settings: Callable[[Path], Mapping[str, str]] = lambda _site: {}
    table: str = "alembic_version"
    takes_percent: bool = True


def _with_ini(location: str, driver: str) -> Callable[[Place], Mapping[str, str]]:
    """An `alembic.ini` of two lines. Migrator finds a placeholder there, the plain tool the URL."""

    def variables(place: Place) -> Mapping[str, str]:
        url = (
            place.url(driver).replace("%", "%%") if place.is_plain else f"postgresql+{driver}://placeholder/x"
        )
        lines = f"[alembic]\nscript_location = {location}\nsqlalchemy.url = {url}\n"
        (place.folder / "alembic.ini").write_text(lines)
        return {}

    return variables


def _argilla(place: Place) -> Mapping[str, str]:
    return {"ARGILLA_DATABASE_URL": place.url("asyncpg"), "ARGILLA_HOME_PATH": str(place.folder)}


def _airflow(place: Place) -> Mapping[str, str]:
    return {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": place.url("psycopg2"),
        "AIRFLOW_HOME": str(place.folder),
    }


# Its first revision alters tables that no revision makes: they must be there, and Alembic alone fails.
_MLFLOW = (
    "import os, sqlalchemy, mlflow.store.db.utils as utils;"
    "utils._initialize_tables(sqlalchemy.create_engine(os.environ['MLFLOW_BACKEND_STORE_URI']))"
)


def _mlflow(place: Place) -> Mapping[str, str]:
    _with_ini("mlflow:store/db_migrations", "psycopg2")(place)
    return {"MLFLOW_BACKEND_STORE_URI": place.url("psycopg2")}


def _superset(place: Place) -> Mapping[str, str]:
    config = place.folder / "superset_config.py"
    config.write_text(f"SQLALCHEMY_DATABASE_URI = {place.url('psycopg2')!r}\nSECRET_KEY = {'x' * 42!r}\n")
    return {"SUPERSET_CONFIG_PATH": str(config), "FLASK_APP": "superset"}


def _head(_site: Path) -> tuple[str, ...]:
    return ("alembic", "upgrade", "head")


SUBJECTS = (
    Subject(
        "ckan",
        packages="ckan",
        python="3.11",
        head="9445ce34fc23",
        revisions=109,
        plain=_head,
        variables=_with_ini("ckan:migration", "psycopg2"),
    ),
    Subject(
        "argilla",
        packages="argilla",
        python="3.12",
        head="580a6553186f",
        revisions=24,
        plain=lambda site: ("alembic", "-c", f"{site}/argilla_server/alembic.ini", "upgrade", "head"),
        variables=_argilla,
        takes_percent=False,
        settings=lambda site: {"MIGRATOR_ALEMBIC_CONFIG": f"{site}/argilla_server/alembic.ini"},
    ),
    Subject(
        "airflow",
        packages="airflow",
        python="3.12",
        head="d2f4e1b3c5a7",
        revisions=124,
        plain=lambda site: ("alembic", "-c", f"{site}/airflow/alembic.ini", "upgrade", "heads"),
        variables=_airflow,
        takes_percent=False,
        settings=lambda site: {
            "MIGRATOR_ALEMBIC_CONFIG": f"{site}/airflow/alembic.ini",
            "MIGRATOR_TARGET": "heads",
        },
    ),
    Subject(
        "mlflow",
        packages="mlflow",
        python="3.12",
        head="dc11669786a5",
        revisions=67,
        plain=lambda _site: ("python", "-c", _MLFLOW),
        variables=_mlflow,
        settings=lambda site: {
            "MIGRATOR_UPGRADE_COMMAND": json.dumps([str(site.parents[2] / "bin" / "python"), "-c", _MLFLOW])
        },
    ),
    Subject(
        "mlflow auth",
        packages="mlflow",
        python="3.12",
        head="",
        revisions=7,
        plain=_head,
        variables=_with_ini("mlflow.server.auth.db:migrations", "psycopg2"),
        table="alembic_version_auth",
    ),
    Subject(
        "superset",
        packages="superset",
        python="3.11",
        head="4b2a8c9d3e1f",
        revisions=344,
        plain=lambda _site: ("superset", "db", "upgrade"),
        variables=_superset,
        settings=lambda site: {"MIGRATOR_SCRIPT_LOCATION": f"{site}/superset/migrations"},
    ),
)
