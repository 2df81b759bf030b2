"""Where a package lies, found without importing it: importing would run the user's code."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path


def find_package(dotted_name: str, folders: list[Path]) -> Path | None:
    """Find the folder of a package, which may lie in other packages."""
    for name in dotted_name.split("."):
        folder = _portion(name, folders)
        if folder is None:
            return None
        folders = [folder]
    return folders[0]


def _portion(name: str, folders: list[Path]) -> Path | None:
    """Find the folder of one name: the first with an `__init__.py`, else the only one of that name."""
    for folder in folders:
        if (folder / name / "__init__.py").is_file():
            return folder / name
        if (folder / f"{name}.py").is_file():
            return None
    portions = {(folder / name).resolve() for folder in folders if (folder / name).is_dir()}
    return portions.pop() if len(portions) == 1 else None


def module_folders(cwd: Path, python: Path | None) -> Iterator[Path]:
    """List where an interpreter finds modules; asking it would cost more than everything else here."""
    if python is None or _is_ours(cwd / python):
        yield from (cwd / one for one in sys.path)
        return
    # the interpreter's own variable, which the worker inherits; it is no setting of ours
    yield from (cwd / one for one in os.environ.get("PYTHONPATH", "").split(os.pathsep) if one)
    for site in _site_folders(absolute(cwd / python)):
        yield site
        for file in sorted(site.glob("*.pth")):
            # as in the site module, a line that starts with "import" is code, as of an editable install
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            yield from (site / line.strip() for line in lines if not line.startswith(("#", "import")))


def _is_ours(python: Path) -> bool:
    """Whether it runs us too; in a virtual environment, by whatever name (its links lead out of it)."""
    one, ours = absolute(python), absolute(Path(sys.executable))
    return one == ours or (one.parent == ours.parent and sys.prefix != sys.base_prefix)


def _site_folders(python: Path) -> list[Path]:
    """Find the `site-packages` of an interpreter; none when several versions share its prefix."""
    libraries = [folder for folder in python.parent.parent.glob("lib/python3*") if folder.is_dir()]
    found = [
        site for lib in libraries for site in (lib / "site-packages", lib / "dist-packages") if site.is_dir()
    ]
    version = python.resolve().name
    exact = [site for site in found if site.parent.name == version]
    return exact or (found if len(found) == 1 else [])


def absolute(path: Path) -> Path:
    """Make a path absolute and tidy; links are kept: an interpreter's leads out of its environment."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - `resolve` follows links
