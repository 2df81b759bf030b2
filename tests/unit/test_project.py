"""Where the revisions are: the same folders Alembic finds, without importing anything."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from migrator.errors import SettingsInvalid
from migrator.history.project import Project


@pytest.fixture
def cwd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a working directory with two script folders, of which one lies in a package."""
    for folder in ("migrations/versions", "pkg/db/versions", "more dir", "other"):
        (tmp_path / folder).mkdir(parents=True)
    for package in ("pkg", "pkg/db"):
        (tmp_path / package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return tmp_path


@pytest.fixture
def write(cwd: Path) -> Callable[[str, str], Path]:
    def write_file(name: str, text: str) -> Path:
        path = cwd / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write_file


def locate(
    cwd: Path,
    config: str | None = None,
    *,
    section: str = "alembic",
    script_location: str | None = None,
    python: Path | None = None,
) -> Project:
    return Project.locate(cwd, config=config, section=section, script_location=script_location, python=python)


def ini(options: Mapping[str, str], section: str = "alembic") -> str:
    return "\n".join([f"[{section}]", *(f"{name} = {value}" for name, value in options.items()), ""])


HERE = {"script_location": "%(here)s/migrations"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "options",
    [
        HERE,
        {"script_location": "migrations"},
        {"script_location": "./migrations", "root": "x"},
        {"base": "migrations", "script_location": "%(here)s/%(base)s"},
        {**HERE, "recursive_version_locations": "true", "sourceless": "True"},
        {**HERE, "version_locations": "%(here)s/other %(here)s/migrations/versions"},
        {**HERE, "version_locations": "other, migrations/versions,pkg"},
        {**HERE, "version_locations": "other:more dir", "path_separator": "os"},
        {**HERE, "version_locations": "other;more dir;", "path_separator": ";"},
        {**HERE, "version_locations": "other:more dir", "version_path_separator": ":"},
        {**HERE, "version_locations": "other pkg", "version_path_separator": "space"},
        {**HERE, "version_locations": "\n  other\n  more dir", "path_separator": "newline"},
        {**HERE, "version_locations": "other:pkg", "path_separator": ":", "version_path_separator": "space"},
        {**HERE, "version_locations": ""},
    ],
)
def test_an_ini_file_means_what_it_means_to_alembic(
    cwd: Path, write: Callable[[str, str], Path], options: dict[str, str]
) -> None:
    config = write("alembic.ini", ini(options))
    script = ScriptDirectory.from_config(Config(str(config)))
    project = locate(cwd)
    assert project.config_file == config
    assert project.script_location == Config(str(config)).get_main_option("script_location")
    assert project.folder == Path(script.dir).absolute()
    assert list(project.version_folders) == [Path(one) for one in script._version_locations]  # noqa: SLF001
    assert project.recursive == script.recursive_version_locations
    assert project.sourceless == script.sourceless


@pytest.mark.parametrize(
    "table",
    [
        'script_location = "%(here)s/migrations"',
        'script_location = "migrations"\nrecursive_version_locations = true\nsourceless = true',
        'script_location = "migrations"\nversion_locations = ["%(here)s/other", "more dir"]',
    ],
)
def test_a_pyproject_table_means_what_it_means_to_alembic(
    cwd: Path, write: Callable[[str, str], Path], table: str
) -> None:
    config = write("pyproject.toml", f"[project]\nname = 'x'\n[tool.alembic]\n{table}\n")
    script = ScriptDirectory.from_config(Config(toml_file=str(config)))
    project = locate(cwd)
    assert (project.config_file, project.toml_file) == (None, config)
    assert list(project.version_folders) == [Path(one) for one in script._version_locations]  # noqa: SLF001
    assert (project.recursive, project.sourceless) == (script.recursive_version_locations, script.sourceless)


@pytest.mark.parametrize(
    "spelling",
    [
        "[tool.alembic]\n{}",
        "[tool]\nalembic.{}",
        "[ tool . 'alembic' ]\n{}",
        "tool.alembic.{}",
        "tool = {{alembic = {{{}}}}}",
    ],
)
def test_every_spelling_of_the_pyproject_table_is_found(
    cwd: Path, write: Callable[[str, str], Path], spelling: str
) -> None:
    write("pyproject.toml", spelling.format('script_location = "migrations"'))
    assert locate(cwd).folder == cwd / "migrations"


def test_the_ini_file_wins_over_pyproject_option_by_option(
    cwd: Path, write: Callable[[str, str], Path]
) -> None:
    write("alembic.ini", ini(HERE))
    write("pyproject.toml", "[tool.alembic]\nscript_location = 'pkg'\nversion_locations = ['other']\n")
    project = locate(cwd)
    assert project.folder == cwd / "migrations"
    assert project.version_folders == (cwd / "other",)


def test_a_pyproject_without_our_table_is_not_part_of_the_project(
    cwd: Path, write: Callable[[str, str], Path]
) -> None:
    write("alembic.ini", ini(HERE))
    write("pyproject.toml", "[project]\ndependencies = ['alembic']\n[tool.ruff]\n")
    assert locate(cwd).toml_file is None


def test_a_named_config_is_read_relative_to_the_working_directory(
    cwd: Path, write: Callable[[str, str], Path]
) -> None:
    config = write("deploy/db.ini", ini({"script_location": "%(here)s/../migrations"}))
    project = locate(cwd, "deploy/db.ini")
    assert project.config_file == config
    assert project.folder == cwd / "migrations"


def test_a_named_section_is_read(cwd: Path, write: Callable[[str, str], Path]) -> None:
    write("alembic.ini", ini(HERE) + ini({"script_location": "pkg/db"}, section="second"))
    assert locate(cwd, section="second").folder == cwd / "pkg/db"


def test_what_flask_migrate_writes_is_found_without_a_script_location(
    cwd: Path, write: Callable[[str, str], Path]
) -> None:
    config = write("migrations/alembic.ini", ini({"file_template": "%%(rev)s"}))
    write("migrations/env.py", "")
    for project in (locate(cwd), locate(cwd, "migrations/alembic.ini")):
        assert project.config_file == config
        assert project.folder == cwd / "migrations"
        assert project.env_file == cwd / "migrations/env.py"


def test_a_script_location_is_enough(cwd: Path) -> None:
    project = locate(cwd, script_location="migrations")
    assert project.config_file is None
    assert project.folder == cwd / "migrations"
    assert project.env_file is None


def test_a_set_script_location_wins_over_the_configured_one(
    cwd: Path, write: Callable[[str, str], Path]
) -> None:
    write("alembic.ini", ini({"script_location": "%(filled_in_by_the_app)s"}))
    assert locate(cwd, script_location="pkg/db").folder == cwd / "pkg/db"


def test_without_any_configuration_the_error_says_what_to_set(cwd: Path) -> None:
    with pytest.raises(
        SettingsInvalid, match=r"alembic\.ini.*MIGRATOR_ALEMBIC_CONFIG or MIGRATOR_SCRIPT_LOCATION"
    ):
        locate(cwd)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("alembic.ini", "[loggers]\n", r"alembic\.ini has no script_location in its section \[alembic\]"),
        ("alembic.ini", "script_location = x", "cannot be used"),
        ("alembic.ini", "[alembic]\nscript_location = %(nothing)s", "cannot be used"),
        ("alembic.ini", "[alembic]\na = 1\na = 2", "cannot be used"),
        (
            "alembic.ini",
            ini({**HERE, "version_locations": "a", "path_separator": "tab"}),
            "path_separator is none of",
        ),
        ("pyproject.toml", "[tool.alembic]\n", r"pyproject\.toml has no script_location"),
        ("pyproject.toml", "[tool.alembic]\nscript_location = '%(x)s'", "cannot be used"),
        ("pyproject.toml", "[tool.alembic\n", "cannot be used"),
        ("pyproject.toml", "[tool]\nalembic = 1", "is not a table"),
        ("pyproject.toml", "[tool.alembic]\nscript_location = 'x'\nversion_locations = 'y'", "is not a list"),
    ],
)
def test_a_configuration_that_alembic_could_not_use_is_named_on_one_line(
    cwd: Path, write: Callable[[str, str], Path], name: str, text: str, complaint: str
) -> None:
    write(name, text)
    with pytest.raises(SettingsInvalid, match=complaint) as caught:
        locate(cwd)
    assert "\n" not in caught.value.message


def test_a_named_config_that_does_not_exist_is_refused(cwd: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"no file db\.ini .*MIGRATOR_ALEMBIC_CONFIG"):
        locate(cwd, "db.ini", script_location="migrations")


def test_a_location_inside_a_package_is_found_without_importing_it(cwd: Path) -> None:
    project = locate(cwd, script_location="pkg.db:versions:deeper")
    assert project.folder == cwd / "pkg/db/versions/deeper"
    assert "pkg" not in sys.modules


def test_a_package_that_is_nowhere_leaves_the_folders_unknown(cwd: Path) -> None:
    project = locate(cwd, script_location="no_such_package:migrations")
    assert project.folder is None
    assert project.env_file is None
    assert project.version_folders == ()


def test_one_unknown_version_location_leaves_all_of_them_unknown(
    cwd: Path, write: Callable[[str, str], Path]
) -> None:
    write(
        "alembic.ini",
        ini({**HERE, "version_locations": "other no_such_package:x", "path_separator": "space"}),
    )
    project = locate(cwd)
    assert project.folder == cwd / "migrations"
    assert project.version_folders == ()


def test_a_module_that_is_no_package_hides_packages_behind_it(
    cwd: Path, write: Callable[[str, str], Path]
) -> None:
    write("first/pkg.py", "")
    write("alembic.ini", ini({"script_location": "pkg:db", "prepend_sys_path": "first"}))
    assert locate(cwd).folder is None


def test_prepended_folders_come_first(cwd: Path, write: Callable[[str, str], Path]) -> None:
    write("src/pkg/__init__.py", "")
    write(
        "alembic.ini",
        ini({"script_location": "pkg:db", "prepend_sys_path": "lib:src", "path_separator": "os"}),
    )
    assert locate(cwd).folder == cwd / "src/pkg/db"


def test_a_namespace_package_is_found_unless_two_folders_share_it(
    cwd: Path, write: Callable[[str, str], Path]
) -> None:
    write("space/one/here.txt", "")
    assert locate(cwd, script_location="space.one:x").folder == cwd / "space/one/x"
    write("src/space/here.txt", "")
    write("alembic.ini", ini({"prepend_sys_path": "src", **HERE}))
    assert locate(cwd, script_location="space:x").folder is None


@pytest.fixture
def environment(cwd: Path, write: Callable[[str, str], Path]) -> Path:
    """Another virtual environment; returns its interpreter."""
    write("venv/pyvenv.cfg", "")
    write("venv/lib/python3.12/site-packages/installed/__init__.py", "")
    write("checkout/editable/__init__.py", "")
    lines = ["# a comment", "import sys; sys.path.append('x')", str(cwd / "checkout"), "../nowhere", ""]
    write("venv/lib/python3.12/site-packages/editable.pth", "\n".join(lines))
    (cwd / "venv/bin").mkdir()
    python = cwd / "venv/bin/python"
    python.symlink_to(sys.executable)
    return python


def test_packages_of_the_workers_environment_are_found(cwd: Path, environment: Path) -> None:
    site = cwd / "venv/lib/python3.12/site-packages"
    assert locate(cwd, script_location="installed:m", python=environment).folder == site / "installed/m"
    assert locate(cwd, script_location="editable:m", python=environment).folder == cwd / "checkout/editable/m"
    assert locate(cwd, script_location="installed:m", python=Path("venv/bin/python")).folder is not None


def test_our_own_packages_are_not_the_workers(cwd: Path, environment: Path) -> None:
    assert locate(cwd, script_location="alembic:templates", python=environment).folder is None


def test_a_package_both_installed_and_in_the_working_directory_is_uncertain(
    cwd: Path, environment: Path, write: Callable[[str, str], Path]
) -> None:
    write("installed/__init__.py", "")
    assert locate(cwd, script_location="installed:m", python=environment).folder is None
    write("alembic.ini", ini({"prepend_sys_path": "."}))
    assert locate(cwd, script_location="installed:m", python=environment).folder == cwd / "installed/m"


@pytest.mark.parametrize("python", [None, Path(sys.executable)])
def test_our_own_packages_are_the_workers_if_the_interpreter_is_ours(cwd: Path, python: Path | None) -> None:
    folder = locate(cwd, script_location="alembic:templates", python=python).folder
    assert folder is not None
    assert (folder / "generic" / "env.py").is_file()


def test_pythonpath_counts_for_the_workers_interpreter(
    cwd: Path, environment: Path, write: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("app/code/__init__.py", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", str(cwd / "app")]))
    assert locate(cwd, script_location="code:m", python=environment).folder == cwd / "app/code/m"


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("postgresql+asyncpg://u:p%40@h/d", "postgresql+asyncpg"),
        ("postgresql://h/d", "postgresql"),
        ("driver://user:pass@localhost/dbname", None),
        ("%(DB_URL)s", None),
        ("postgresql+psycopg://%(DB_USER)s@h/d", "postgresql+psycopg"),
        ("", None),
    ],
)
def test_the_driver_of_the_projects_own_url_is_known(
    cwd: Path, write: Callable[[str, str], Path], url: str, driver: str | None
) -> None:
    write("alembic.ini", ini({**HERE, "sqlalchemy.url": url}))
    assert locate(cwd).url_driver == driver


def test_a_project_without_a_url_has_no_driver(cwd: Path, write: Callable[[str, str], Path]) -> None:
    write("alembic.ini", ini(HERE))
    assert locate(cwd).url_driver is None
