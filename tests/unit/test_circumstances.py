"""What must be the same for a failure to be the same failure."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from migrator.history.circumstances import circumstances
from migrator.history.graph import Graph
from migrator.history.project import Project
from migrator.history.reader import source_digest
from migrator.history.release import Release
from migrator.model import Revision, RevisionId
from migrator.settings import Dsn, Settings

URL = "postgresql://owner:secret@db/shop"
SETTINGS = Settings(database_url=Dsn.parse(URL), release="v1")


@pytest.fixture
def release(tmp_path: Path) -> Release:
    file = tmp_path / "a1.py"
    file.write_text("def upgrade(): pass")
    a1 = RevisionId("a1")
    project = Project.locate(
        tmp_path, config=None, section="alembic", script_location=str(tmp_path), python=tmp_path
    )
    return Release(project, tmp_path, Graph.build([Revision(a1, path=file)]), frozenset({a1}), "a1/0")


def told(release: Release, settings: Settings) -> str:
    """Name the circumstances, with the files as they are now."""
    return circumstances(release, settings, source_digest(release.graph.revisions))


def test_what_was_released_counts(release: Release, tmp_path: Path) -> None:
    before = told(release, SETTINGS)
    assert told(replace(release, history="a1/1"), SETTINGS) != before
    assert told(replace(release, targets=frozenset()), SETTINGS) != before
    (tmp_path / "a1.py").write_text("def upgrade(): more()")
    assert told(release, SETTINGS) != before


@pytest.mark.parametrize(
    "changed",
    [
        {"release": "v2"},
        {"target": "heads"},
        {"role": "owner"},
        {"statement_timeout": timedelta(minutes=1)},
        {"python": Path("/usr/bin/python3")},
        {"on_edited": "refuse"},
        {"database_url": Dsn.parse(URL.replace("owner", "login"))},
    ],
)
def test_a_setting_that_may_decide_counts(release: Release, changed: dict[str, Any]) -> None:
    assert told(release, replace(SETTINGS, **changed)) != told(release, SETTINGS)


@pytest.mark.parametrize(
    "changed",
    [
        {"database_url": Dsn.parse(URL.replace("secret", "rotated"))},
        {"log_level": "debug"},
        {"deadline": timedelta(minutes=1)},
        {"leader_timeout": timedelta(0)},
        {"remember_failure": timedelta(minutes=1)},
    ],
)
def test_waiting_logging_and_secrets_do_not_count(release: Release, changed: dict[str, Any]) -> None:
    assert told(release, replace(SETTINGS, **changed)) == told(release, SETTINGS)
