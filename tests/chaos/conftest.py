"""The nouns of the fault suite: servers that may be crashed, a base to copy, the table of what was seen."""

import os
import random
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from migrator.demo.cluster import Cluster
from tests.chaos.matrix import IS_LONG, SEED
from tests.chaos.scene import Base, MakeScene, Scene, scene_on, write_project
from tests.chaos.table import Row, summary, write_table
from tests.support.project import Project
from tests.support.runner import Migrator
from tests.support.servers import binaries, majors
from tests.support.target import Target, target_on


def pytest_report_header() -> str:
    """Say how to repeat it."""
    return f"chaos: CHAOS_SEED={SEED} CHAOS={'long' if IS_LONG else 'short'}"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run in the seed's order, the slowest first: they mostly wait."""
    random.Random(SEED).shuffle(items)
    items.sort(key=lambda item: "silent" not in item.name and "protocol" not in item.name)


_ROWS: list[Row] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect what every cell said of itself, also from other processes."""
    facts = dict(report.user_properties)
    if report.when == "call" and "point" in facts:
        _ROWS.append(Row.of(facts, passed=report.passed))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table, write it where it is asked for; a process of pytest-xdist knows only its own cells."""
    if not _ROWS or "PYTEST_XDIST_WORKER" in os.environ:
        return
    terminalreporter.section(f"chaos, CHAOS_SEED={SEED}")
    terminalreporter.write_line(summary(_ROWS))
    if os.environ.get("CHAOS_WRITE"):
        write_table(_ROWS, SEED)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Base]:
    """Give, for a major version, a database at the base revision on a server of this process's own."""
    with ExitStack() as stack:
        made: dict[int, Target] = {}

        def make(major: int) -> Target:
            if major not in made:
                # What was committed survives a crash of the server alone.
                settings = {"synchronous_commit": "on"}
                cluster = stack.enter_context(Cluster.start(binaries(major), settings=settings))
                made[major] = stack.enter_context(target_on(cluster))
                _deploy_base(made[major], tmp_path_factory.mktemp("base"))
            return made[major]

        yield make


def _deploy_base(target: Target, folder: Path) -> None:
    project = Project(folder / "project")
    write_project(project, ())
    environ = {
        "PATH": os.defpath,
        "DATABASE_URL": target.url,
        "MIGRATOR_BACKUP": "off",
        "MIGRATOR_LOG_FORMAT": "json",
        "CHAOS_GATES": str(folder),
    }
    assert Migrator(project.folder, environ, folder)().exit_code == 0


@pytest.fixture
def make_scene(base: Base, tmp_path: Path) -> MakeScene:
    """Set the scene of a cell, by the seed."""

    def make(name: str, pending: tuple[str, ...]) -> AbstractContextManager[Scene]:
        seed = f"{SEED} {name}"
        major = random.Random(seed).choice(majors()) if IS_LONG else 18
        return scene_on(base(major), tmp_path, pending=pending, seed=seed, is_long=IS_LONG)

    return make
