"""The history as it is drawn, with where the database stands in it."""

import json
import re
from typing import Any

import pytest

from tests.support.environment import env_with
from tests.support.journal import write_journal
from tests.support.project import Project
from tests.support.replay import plain_upgrade, untouched
from tests.support.runner import Migrator, Result
from tests.support.target import Target

COMPUTED = "table = ''.join(['alembic', '_', 'version_two'])"


@pytest.fixture
def facts(migrator: Migrator) -> Migrator:
    """Run a command that prints facts."""
    return Migrator(
        migrator.folder,
        {**migrator.environ, "MIGRATOR_LOG_FORMAT": "text", "MIGRATOR_BACKUP_URL": ""},
        migrator.backups,
    )


@pytest.fixture
def forked(project: Project) -> Project:
    """A base, two branches of which one is labelled, a merge, and a base that depends on the label."""
    project.write_revision("a1")
    project.write_revision("b1", down="a1", labels="stock")
    project.write_revision("b2", down="a1")
    project.write_revision("c1", down=["b1", "b2"])
    project.write_revision("x1", down=None, depends_on="stock")
    return project


def places(result: Result) -> dict[str, str]:
    found: dict[str, Any] = json.loads(result.stdout)
    return {one["revision"]: one["place"] for one in found["revisions"]}


@pytest.mark.usefixtures("any_cluster", "forked")
def test_branches_merges_dependencies_labels_and_the_position_are_drawn(
    facts: Migrator, project: Project, target: Target
) -> None:
    plain_upgrade(project.folder, target, "b1")
    with untouched(target):
        result = facts("graph", MIGRATOR_TARGET="c1")
    assert result.exit_code == 0, result.stderr
    headline, *lines = result.stdout.splitlines()
    assert headline == f"{target.database} is pending: at b1, to reach c1"
    assert lines == [
        "○      c1 (head, target)  Revision c1",
        "├─┐",
        "│ │ ·  x1 (head)  Revision x1",
        "│ │ ┊",
        "├┄┼┄┘",
        "▶ │    b1 (stock)  Revision b1",
        "│ ○    b2  Revision b2",
        "├─┘",
        "●      a1  Revision a1",
        "",
        "▶ version row  ● applied  ○ pending  · not part of the target",
    ]


@pytest.mark.usefixtures("forked")
def test_programs_get_the_place_of_each_revision(facts: Migrator, project: Project, target: Target) -> None:
    plain_upgrade(project.folder, target, "b1")
    result = facts("graph", "--json", MIGRATOR_TARGET="c1")
    assert places(result) == {
        "a1": "applied",
        "b1": "version row",
        "b2": "pending",
        "c1": "pending",
        "x1": "not part of the target",
    }
    assert json.loads(result.stdout)["state"] == "pending"


@pytest.mark.usefixtures("target", "forked")
def test_mermaid_gets_a_chart_it_can_read(facts: Migrator, project: Project) -> None:
    file = project.versions / "c1_.py"
    file.write_text(file.read_text().replace("Revision c1\n", 'Say "hi" <b> `x`; end #1\n', 1))
    result = facts("graph", "--format", "mermaid", MIGRATOR_TARGET="heads")
    assert result.exit_code == 0, result.stderr
    comment, first, *lines = result.stdout.splitlines()
    assert comment.startswith("%% ")
    assert first == "graph TD"
    node = re.compile(r'    (r\d)\["([^"<>`]*(?:<br/>[^"<>`]*)*)"\]:::(\w+)')
    nodes = {found[1]: found for line in lines if (found := node.fullmatch(line))}
    edges = [found for line in lines if (found := re.fullmatch(r"    (r\d) (-->|-\.->) (r\d)", line))]
    styles = [found[1] for line in lines if (found := re.fullmatch(r"    classDef (\w+) \S+", line))]
    assert len(nodes) + len(edges) + len(styles) == len(lines)
    ids = {name: found[2].split("<br/>")[0] for name, found in nodes.items()}
    assert {(ids[one[1]], one[2], ids[one[3]]) for one in edges} == {
        ("a1", "-->", "b1"),
        ("a1", "-->", "b2"),
        ("b1", "-->", "c1"),
        ("b2", "-->", "c1"),
        ("b1", "-.->", "x1"),
    }
    assert {found[3] for found in nodes.values()} == set(styles) == {"pending"}


@pytest.mark.usefixtures("target")
def test_a_drawing_is_never_wider_than_a_hundred_columns(facts: Migrator, project: Project) -> None:
    write_journal(project, "a1")
    file = project.versions / "a1_.py"
    file.write_text(file.read_text().replace("Revision a1\n", f"{'long ' * 40}\n", 1))
    result = facts("graph")
    assert max(map(len, result.stdout.splitlines())) == 100


def test_without_a_database_the_history_is_drawn_and_the_exit_code_tells(
    facts: Migrator, project: Project
) -> None:
    write_journal(project, "a1", "b2")
    result = facts("graph", DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
    assert result.exit_code == 30, result.stderr
    assert result.stdout.startswith("where the database stands is not known: Postgres did not answer")
    assert "* b2 (head, target)" in result.stdout.replace("  ", " ")
    assert result.seconds < 15


def test_several_heads_are_drawn_although_a_run_would_refuse_them(
    facts: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    plain_upgrade(project.folder, target, "a1")
    project.write_revision("b2", down="a1")
    project.write_revision("b3", down="a1")
    result = facts("graph")
    assert result.exit_code == 11, result.stderr
    assert "b2 (head)" in result.stdout
    assert "b3 (head)" in result.stdout
    assert "▶" in result.stdout
    assert "merge them" in result.stderr


def test_rows_that_no_revision_of_the_release_has_are_named(
    facts: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    plain_upgrade(project.folder, target, "a1")
    target.execute("UPDATE alembic_version SET version_num = 'f00d'")
    result = facts("graph")
    assert result.exit_code == 0, result.stderr
    assert "▶ f00d  (no revision of this release)" in result.stdout
    assert places(facts("graph", "--json")) == {"a1": "not known"}


def test_user_code_is_not_run_for_it(facts: Migrator, project: Project, target: Target) -> None:
    project.write_env(env_with(header=COMPUTED, options="version_table=table"))
    write_journal(project, "a1")
    with untouched(target):
        result = facts("graph")
    assert result.exit_code == 0, result.stderr
    assert "only env.py knows its version table" in result.stdout
    assert "MIGRATOR_VERSION_TABLE" in result.stdout
