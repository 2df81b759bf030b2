"""An environment for each project, with nothing of ours, installed by name in exact versions."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_HERE = Path(__file__).parent
PLACE = _HERE.parents[1] / ".real-projects"


def environment_of(name: str, python_version: str) -> Path:
    """Give the interpreter of the project's environment, made when it is missing or its list has changed."""
    folder, packages = PLACE / name, _HERE / f"{name}.txt"
    python, stamp = folder / "bin" / "python", folder / ".ready"
    if not stamp.exists() or stamp.read_bytes() != packages.read_bytes():
        print(f"installing {name} …", file=sys.stderr, flush=True)
        subprocess.run([str(_interpreter(python_version)), "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([*_installer(python), "--quiet", "--no-deps", "-r", str(packages)], check=True)
        shutil.copyfile(packages, stamp)
    return python


def _installer(python: Path) -> list[str]:
    """The quicker of the two that is there."""
    uv = shutil.which("uv")
    return [uv, "pip", "install", "--python", str(python)] if uv else [str(python), "-m", "pip", "install"]


def _interpreter(version: str) -> Path:
    """Find an interpreter of this version, such as 3.12.

    Raises:
        SystemExit: there is none; says where it was looked for.
    """
    for python in _candidates(version):
        tried = [str(python), "-c", "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"]
        if not python.exists():
            continue
        # A shim of pyenv's may name a version that is not there.
        done = subprocess.run(tried, capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip() == version:
            return python
    raise SystemExit(f"no python{version} with venv: not on PATH, not in pyenv, and not by `uv python find`")


def _candidates(version: str) -> Iterator[Path]:
    yield Path(sys.base_prefix) / "bin" / f"python{version}"
    on_path = shutil.which(f"python{version}")
    if on_path:
        yield Path(on_path)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python"))
    uv = shutil.which("uv")
    if uv:
        found = subprocess.run([uv, "python", "find", version], capture_output=True, text=True, check=False)
        yield from map(Path, found.stdout.split())
