"""The bundled example: a bookshop in three releases, put into a folder one release at a time."""

import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from migrator.errors import PolicyRefused

# In a wheel it lies beside this module, in the repository among the examples.
_PLACES: Final = (
    Path(__file__).with_name("bookshop"),
    Path(__file__).parents[2] / "examples" / "bookshop",
)


@dataclass(frozen=True, slots=True)
class Bookshop:
    """A copy of the example, as an image would ship it."""

    folder: Path
    _origin: Path

    @classmethod
    def copied_to(cls, folder: Path) -> Self:
        """Copy the example there, without revisions.

        Raises:
            PolicyRefused: this installation came without the example.
        """
        origin = next((place for place in _PLACES if (place / "releases.toml").exists()), None)
        if origin is None:
            message = "this installation of migrator came without its example"
            raise PolicyRefused(message, remedy="pip install --force-reinstall 'migrator[demo]'")
        shutil.copytree(origin, folder, ignore=shutil.ignore_patterns("versions", "broken", "__pycache__"))
        return cls(folder, origin)

    def ship(self, release: str) -> None:
        """Put the revisions of this release, and no others, in place."""
        releases = tomllib.loads((self._origin / "releases.toml").read_text(encoding="utf-8"))["release"]
        wanted = next(one for one in releases if one["name"] == release)
        versions = self.folder / "migrations" / "versions"
        shutil.rmtree(versions, ignore_errors=True)
        versions.mkdir()
        for path in (*self._origin.glob("migrations/versions/*.py"), *self._origin.glob("broken/*.py")):
            if any(f"-{id_}_" in path.name for id_ in wanted["revisions"]):
                shutil.copy(path, versions)
