"""What a newcomer types, as the README and the page of first steps show it, in a folder of their own."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support.journal import version, write_journal
from tests.support.project import Project
from tests.support.replay import let_make_databases
from tests.support.runner import REPOSITORY, Migrator
from tests.support.target import Target

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
FIRST_STEPS = (REPOSITORY / "docs" / "getting-started.md").read_text(encoding="utf-8")
Typing = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def typing(migrator: Migrator, target: Target, tmp_path: Path) -> Typing:
    """Type lines into one shell, which ends at the first that fails, with names of one's own."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, command in {
        "migrator": [sys.executable, str(migrator.script)],
        "alembic": [sys.executable, "-m", "alembic"],
    }.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        (programs / name).chmod(0o755)
    examples = {
        "postgresql://user:password@host:5432/database": shlex.quote(target.url),
        "file:///backups": shlex.quote(migrator.backups.as_uri()),
    }
    surroundings = {
        name: migrator.environ[name] for name in ("HOME", "MIGRATOR_PG_BIN", "MIGRATOR_LOG_FORMAT")
    }

    def type_lines(
        lines: list[str], folder: Path, names: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        text = "\n".join(["set -e", *lines])
        for example, own in {**examples, **(names or {})}.items():
            text = text.replace(example, own)
        environ = {"PATH": f"{programs}{os.pathsep}{os.defpath}", **surroundings}
        return subprocess.run(
            ["sh", "-c", text], cwd=folder, env=environ, capture_output=True, text=True, check=False
        )

    return type_lines


def test_the_first_steps_lead_to_a_deployed_project(typing: Typing, target: Target, tmp_path: Path) -> None:
    let_make_databases(target)
    lines = re.findall(r"(?m)^\$ (.+)$", FIRST_STEPS)
    assert len(lines) > 10
    project = tmp_path / "mine"
    project.mkdir()
    done = typing(lines, project)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert len(version(target)) == 1
    assert '"outcome": "nothing to do"' in done.stdout


def test_the_readme_deploys_and_restores(typing: Typing, project: Project, target: Target) -> None:
    let_make_databases(target)
    write_journal(project, "a1")
    deploy = block(README, after="On your own project")
    done = typing(deploy, project.folder)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert version(target) == ["a1"]

    write_journal(project, "b2", begins=False)
    restore = block(README, after="## Restoring a backup")
    beside = {"app_then": f"{target.database}_then"}
    done = typing([*deploy, *restore], project.folder, beside)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert version(target) == ["a1"]


def test_every_target_of_make_that_is_named_exists() -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8")))
    named = set(re.findall(r"(?m)^make ([a-z-]+)", README + FIRST_STEPS))
    assert named
    assert named <= targets


def block(text: str, after: str) -> list[str]:
    """Give the lines of the first fenced block after these words."""
    return text[text.index(after) :].split("```\n")[1].strip().splitlines()
