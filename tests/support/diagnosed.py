"""A diagnosis, read as a program reads it, and its remedies, pasted as a person does."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.runner import Migrator, Result


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """How it ended, and what was found."""

    result: Result
    checks: tuple[dict[str, Any], ...]
    summary: dict[str, int]

    def all_of(self, check: str) -> tuple[dict[str, Any], ...]:
        """Give the findings of this check."""
        return tuple(one for one in self.checks if one["id"] == check)

    def of(self, check: str) -> dict[str, Any]:
        """Give the only finding of this check."""
        found = self.all_of(check)
        assert len(found) == 1, found
        return found[0]

    def verdict(self, check: str) -> str:
        """Give the verdict of the only finding of this check."""
        return str(self.of(check)["verdict"])


def diagnose(migrator: Migrator, *only: str, **environ: str | None) -> Diagnosis:
    """Ask for these checks."""
    arguments = ("--only", *only) if only else ()
    given: dict[str, str | None] = {**environ, "MIGRATOR_LOG_FORMAT": "text"}
    result = migrator.start("diagnose", "--json", *arguments, **given).finish()
    assert result.exit_code in {0, 18}, result.stdout + result.stderr
    document = json.loads(result.stdout)
    return Diagnosis(result, tuple(document["checks"]), document["summary"])


def pasted(remedy: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a shell after this remedy was pasted into it."""
    done = subprocess.run(
        ["/bin/sh", "-ec", f"{remedy}\nenv -0"], env=dict(environ), check=True, capture_output=True, text=True
    )
    pairs = (one.partition("=") for one in done.stdout.split("\0") if one)
    return {name: value for name, _, value in pairs if name not in {"_", "PWD", "SHLVL", "OLDPWD"}}
