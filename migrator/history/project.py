"""Where the release's revisions are, read from Alembic's configuration as Alembic 1.8 to 1.20 reads it.

Nothing is imported: a location inside a package is looked for on the module search path the worker will have.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from migrator.errors import SettingsInvalid
from migrator.history.packages import absolute, find_package, module_folders

if TYPE_CHECKING:
    from configparser import ConfigParser

_SEPARATORS = {"space": " ", "newline": "\n", "os": os.pathsep, ":": ":", ";": ";"}
_SPACE_OR_COMMA = re.compile(r", *|(?: +)")
_SPACE_COMMA_OR_COLON = re.compile(r", *|(?: +)|:")
_DRIVER_NAME = re.compile(r"\s*([A-Za-z]\w*(?:\+\w+)?)://")

# Most pyproject files have no table [tool.alembic]; this tells, for far less than parsing them.
_MAY_CONFIGURE = re.compile(rb"""\btool\b["'\s]*(?:\.\s*["']?alembic|\]|=)""")


@dataclass(frozen=True, slots=True)
class Project:
    """An Alembic project as its configuration describes it. Made by `locate`.

    Attributes:
        config_file: the ini file, if there is one.
        toml_file: the `pyproject.toml` with a table `[tool.alembic]`, if there is one; the ini file wins.
        section: the section of the ini file.
        script_location: as set or configured: a path, relative to the working directory, or `package:path`.
        folder: the folder of `env.py`; None when only importing the package would tell.
        version_folders: the folders of the revisions; empty when they are not certain.
        recursive: whether folders inside the version folders count.
        sourceless: whether compiled revisions count.
        url_driver: the driver that the ini file's own URL names, such as `postgresql+asyncpg`.
    """

    config_file: Path | None
    toml_file: Path | None
    section: str
    script_location: str
    folder: Path | None
    version_folders: tuple[Path, ...]
    recursive: bool
    sourceless: bool
    url_driver: str | None

    @classmethod
    def locate(
        cls,
        cwd: Path,
        *,
        config: str | None,
        section: str = "alembic",
        script_location: str | None,
        python: Path | None,
    ) -> Self:
        """Find the project that an `alembic` started in `cwd` would work on.

        Without `config` it is `alembic.ini` with `pyproject.toml`, else what Flask-Migrate keeps in
        `migrations/`.
        `script_location` wins over the configured one; `python` is the worker's interpreter, ours if None.

        Raises:
            SettingsInvalid: there is no configuration, it names no script location, or it is malformed.
        """
        cwd = absolute(cwd)
        options = _Options.find(cwd, config, section)
        location = script_location or options.text("script_location") or _flask_folder(options.ini_file)
        if location is None:
            raise SettingsInvalid((_nothing_found(cwd, options),))
        folder = _folder(location, cwd, options, python)
        configured = options.version_locations()
        folders = [_folder(one, cwd, options, python) for one in configured]
        if not configured:
            folders = [folder and folder / "versions"]
        return cls(
            config_file=options.ini_file,
            toml_file=options.toml_file,
            section=section,
            script_location=location,
            folder=folder,
            version_folders=tuple(one for one in folders if one) if all(folders) else (),
            recursive=options.flag("recursive_version_locations"),
            sourceless=options.flag("sourceless"),
            url_driver=options.url_driver(),
        )

    @property
    def env_file(self) -> Path | None:
        """The project's `env.py`, if its folder is known and has one."""
        file = self.folder / "env.py" if self.folder else None
        return file if file and file.is_file() else None


@dataclass(frozen=True, slots=True)
class _Options:
    """Alembic's options: from the section of the ini file, else from `[tool.alembic]`.

    The files are None when they are missing, also a `pyproject.toml` without that table.
    """

    ini_file: Path | None
    ini: "ConfigParser"
    section: str
    toml_file: Path | None
    toml: Mapping[str, Any]

    @classmethod
    def find(cls, cwd: Path, config: str | None, section: str) -> Self:
        """Find and read both files; like Alembic, naming one of them leaves the other at its default."""
        named = _named(cwd, config) if config else None
        is_toml = named is not None and named.name == "pyproject.toml"
        ini_file = named if named and not is_toml else _existing(cwd / "alembic.ini")
        toml_file = named if named and is_toml else _existing(cwd / "pyproject.toml")
        table = _read_toml(toml_file) if toml_file else None
        if ini_file is None and table is None and (cwd / "migrations" / "env.py").is_file():
            ini_file = _existing(cwd / "migrations" / "alembic.ini")
        return cls(
            ini_file, _read_ini(ini_file), section, toml_file if table is not None else None, table or {}
        )

    def text(self, name: str) -> str | None:
        """Read a string with `%(here)s` filled in; None when the option is missing or empty."""
        if self.ini.has_option(self.section, name):
            return self._from_ini(name) or None
        value = self.toml.get(name)
        return self._from_toml(name, value) if value else None

    def flag(self, name: str) -> bool:
        """Read a boolean: as for Alembic, nothing but `true` is true."""
        if self.ini.has_option(self.section, name):
            return self._from_ini(name) == "true"
        return self.toml.get(name) is True

    def version_locations(self) -> list[str]:
        """List the configured folders of revisions as they are written; none means the usual one."""
        return self._texts("version_locations", ("path_separator", "version_path_separator"), _SPACE_OR_COMMA)

    def prepend_sys_path(self) -> list[str]:
        """List what the project puts in front of the module search path."""
        return self._texts("prepend_sys_path", ("path_separator",), _SPACE_COMMA_OR_COLON)

    def url_driver(self) -> str | None:
        """Name the driver of the ini file's URL, read raw: the rest may be for `env.py` alone."""
        driver = _DRIVER_NAME.match(self.ini.get(self.section, "sqlalchemy.url", raw=True, fallback=""))
        # "driver://user:pass@localhost/dbname" is what Alembic's template says until somebody edits it
        return driver[1] if driver and driver[1] != "driver" else None

    def _texts(self, name: str, separators: tuple[str, ...], legacy: re.Pattern[str]) -> list[str]:
        """Read a list; without an option that says how, Alembic splits at whatever looks like a separator."""
        if not self.ini.get(self.section, name, raw=True, fallback=None):
            values = self.toml.get(name) or []
            if not isinstance(values, list):
                raise _malformed(self.toml_file, f"{name} is not a list")
            return [self._from_toml(name, value) for value in values]
        option = next((one for one in separators if self.ini.has_option(self.section, one)), None)
        if option is None:
            return legacy.split(self._from_ini(name))
        separator = _SEPARATORS.get(self._from_ini(option))
        if separator is None:
            raise _malformed(self.ini_file, f"{option} is none of {', '.join(_SEPARATORS)}")
        return [one.strip() for one in self._from_ini(name).split(separator) if one]

    def _from_ini(self, name: str) -> str:
        """Read and interpolate one option."""
        from configparser import Error  # noqa: PLC0415 - loaded by now, as in `_read_ini`

        try:
            return self.ini.get(self.section, name)
        except Error as error:
            raise _malformed(self.ini_file, error.message) from error

    def _from_toml(self, name: str, value: object) -> str:
        """Interpolate one string; `here` is the folder of the file."""
        try:
            return str(value) % {"here": self.toml_file.parent.as_posix() if self.toml_file else ""}
        except (KeyError, TypeError, ValueError) as error:
            raise _malformed(self.toml_file, f"{name}: {error!r}") from error


def _named(cwd: Path, config: str) -> Path:
    """Find the file that the setting names."""
    file = _existing(absolute(cwd / config))
    if file is None:
        raise SettingsInvalid((f"there is no file {config} in {cwd}; correct MIGRATOR_ALEMBIC_CONFIG",))
    return file


def _existing(file: Path) -> Path | None:
    """Keep the file, if there is one."""
    return file if file.is_file() else None


def _read_ini(file: Path | None) -> "ConfigParser":
    """Parse an ini file; without one, an empty configuration as Alembic makes it."""
    from configparser import ConfigParser, Error  # noqa: PLC0415 - a project may do without

    parser = ConfigParser({"here": file.parent.as_posix()} if file else {})
    try:
        if file:
            parser.read_string(file.read_text(encoding="locale"), source=str(file))
    except (Error, OSError, UnicodeDecodeError) as error:
        raise _malformed(file, str(error)) from error
    return parser


def _read_toml(file: Path) -> Mapping[str, Any] | None:
    """Read Alembic's own table of a `pyproject.toml`; None if it has none."""
    try:
        source = file.read_bytes()
        if not _MAY_CONFIGURE.search(source):
            return None
        import tomllib  # noqa: PLC0415 - slow to load, and few projects have the table

        table = tomllib.loads(source.decode()).get("tool", {}).get("alembic")
    except (OSError, ValueError, AttributeError) as error:
        raise _malformed(file, str(error)) from error
    if table is None or isinstance(table, dict):
        return table
    raise _malformed(file, "tool.alembic is not a table")


def _malformed(file: Path | None, problem: str) -> SettingsInvalid:
    """Say which configuration cannot be used, on one line."""
    return SettingsInvalid((f"{file} cannot be used: {' '.join(problem.split())}; correct the file",))


def _flask_folder(ini_file: Path | None) -> str | None:
    """Flask-Migrate's ini names no script location: it lies in it."""
    return str(ini_file.parent) if ini_file and (ini_file.parent / "env.py").is_file() else None


def _nothing_found(cwd: Path, options: _Options) -> str:
    """Say what was looked for, and which settings name it."""
    remedy = "set MIGRATOR_ALEMBIC_CONFIG or MIGRATOR_SCRIPT_LOCATION"
    if options.ini_file:
        return f"{options.ini_file} has no script_location in its section [{options.section}]; {remedy}"
    if options.toml_file:
        return f"{options.toml_file} has no script_location in its table [tool.alembic]; {remedy}"
    looked = "alembic.ini, pyproject.toml with a table [tool.alembic], and migrations/alembic.ini"
    return f"no Alembic configuration in {cwd} (looked for {looked}); {remedy}"


def _folder(location: str, cwd: Path, options: _Options, python: Path | None) -> Path | None:
    """Find the folder a location means: a path, or one inside a package, which may be nowhere to be seen."""
    if Path(location).is_absolute() or ":" not in location:
        return absolute(cwd / location)
    package, *inside = location.split(":")
    before = [cwd / one for one in options.prepend_sys_path()]
    after = list(module_folders(cwd, python))
    found = find_package(package, [*before, cwd, *after])
    # whether the working directory is searched depends on how the worker is started: both must agree
    installed = find_package(package, [*before, *after])
    return found.joinpath(*inside) if found and installed in {None, found} else None
