"""What the worker's interpreter can import, found by asking it: a package can be there and yet be broken."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from migrator.child import die_with_parent
from migrator.errors import PolicyRefused

_PROGRAM = Path(__file__).parent.parent / "worker" / "packages.py"
_SECONDS = 8.0
_REMEDY = "point MIGRATOR_PYTHON at the interpreter of the project's environment"


@dataclass(frozen=True, slots=True)
class Package:
    """One package as the interpreter sees it: its version, or why it cannot be imported."""

    version: str = ""
    error: str | None = None

    @property
    def release(self) -> tuple[int, ...]:
        """Its version's first two numbers, for comparison."""
        numbers = self.version.split(".")[:2]
        return tuple(int(one) for one in numbers if one.isdigit())


@dataclass(frozen=True, slots=True)
class Installed:
    """The interpreter's version, and the packages that were asked for."""

    python: tuple[int, ...]
    packages: Mapping[str, Package]


def installed(python: Path, environ: Mapping[str, str], names: Sequence[str]) -> Installed:
    """Ask the interpreter. Raises `PolicyRefused` where it does not start or does not answer in time."""
    program = _PROGRAM.read_text(encoding="utf-8")
    try:
        done = subprocess.run(  # noqa: S603 - the interpreter is the operator's choice
            [python, "-c", program, *names],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            preexec_fn=die_with_parent,
        )
    except OSError as error:
        raise PolicyRefused(
            f"the worker's interpreter {python} cannot be started: {error.strerror}", remedy=_REMEDY
        ) from error
    except subprocess.TimeoutExpired as error:
        raise PolicyRefused(
            f"the worker's interpreter {python} did not import its packages within {_SECONDS:g} s",
            remedy=f"time {python} -X importtime -c 'import sqlalchemy, alembic'",
        ) from error
    lines = done.stdout.decode(errors="replace").splitlines()
    try:
        answer = json.loads(lines[-1])
        packages = {name: Package(**told) for name, told in answer["packages"].items()}
        return Installed(tuple(answer["python"]), packages)
    except (IndexError, ValueError, KeyError, TypeError) as error:
        raise PolicyRefused(
            f"the worker's interpreter {python} ended before it answered: no Python 3.9 or newer?",
            remedy=_REMEDY,
        ) from error
