"""Exit 11: the release's migrations cannot be trusted."""

import pytest

from tests.support.environment import env_with
from tests.support.journal import journal, version, write_journal
from tests.support.project import ENV, Project
from tests.support.runner import Migrator, Result
from tests.support.target import Target


def assert_refused(result: Result, target: Target, *words: str) -> None:
    """See exit 11 with these words, and a database in which nobody migrated anything."""
    assert result.exit_code == 11, result.last
    assert result.last["event"] == "run.finished"
    assert result.last["exit_name"] == "REVISIONS_INVALID"
    for word in words:
        assert word in result.last["error"], result.last["error"]
    assert (journal(target), version(target)) == ([], [])


def test_several_heads_are_refused_by_name(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1", "b2")
    project.write_revision("c3", down="a1")
    assert_refused(migrator(), target, "b2", "c3")


def test_several_heads_may_be_asked_for(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1", "b2")
    project.write_revision("c3", down="a1")
    assert migrator(MIGRATOR_TARGET="heads").exit_code == 0
    assert version(target) == ["b2", "c3"]
    assert migrator(MIGRATOR_TARGET="heads").last["outcome"] == "nothing to do"


def test_a_syntax_error_is_refused(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    project.write_revision("b2", upgrade="op.execute(")
    assert_refused(migrator(), target, "b2")


def test_a_missing_parent_is_refused(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    project.write_revision("b2", down="gone")
    assert_refused(migrator(), target, "gone")


def test_a_cycle_is_refused(migrator: Migrator, project: Project, target: Target) -> None:
    project.write_revision("a1", down="b2")
    project.write_revision("b2", down="a1")
    assert_refused(migrator(), target)


def test_two_revisions_with_one_id_are_refused(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    text = (project.versions / "a1_.py").read_text()
    (project.versions / "a1_again.py").write_text(text)
    assert_refused(migrator(), target, "a1")


def test_a_target_that_does_not_exist_is_refused(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    assert_refused(migrator(MIGRATOR_TARGET="zz"), target, "zz")


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("from shop.models import metadata", "No module named 'shop'"),
        ("import os; os.environ['SHOP_SECRET_KEY']", "SHOP_SECRET_KEY"),
        ("import sys; sys.exit(0)", "sys.exit"),
        ("import sys; sys.exit()", "sys.exit"),
        ("raise RuntimeError('the app will not start')", "the app will not start"),
        ("def broken(:", "SyntaxError"),
    ],
)
def test_an_env_py_that_fails_is_refused_with_its_words(
    migrator: Migrator, project: Project, target: Target, code: str, word: str
) -> None:
    write_journal(project, "a1")
    project.write_env(f"{code}\n{ENV}")
    assert_refused(migrator(), target, word)


def test_an_env_py_that_exits_at_its_end_is_refused_although_it_migrated_nothing(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    project.write_env(env_with(before="import sys; sys.exit(0)"))
    assert_refused(migrator(), target, "sys.exit")


@pytest.mark.parametrize(
    "env",
    [
        "print('nothing to see here')\n",
        "from alembic import context\nif context.is_offline_mode():\n    pass\n",
    ],
)
def test_an_env_py_that_never_configures_is_refused(
    migrator: Migrator, project: Project, target: Target, env: str
) -> None:
    write_journal(project, "a1")
    project.write_env(env)
    assert_refused(migrator(), target, "configure")


def test_an_env_py_that_configures_but_never_runs_is_refused(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    project.write_env(ENV.replace("context.run_migrations()", "pass"))
    assert_refused(migrator(), target, "run_migrations")


def test_a_revision_module_that_cannot_be_imported_is_refused(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    project.write_revision("b2", header="import shop.helpers")
    assert_refused(migrator(), target, "No module named 'shop'")


def test_an_env_py_that_only_prints_sql_is_refused(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    text = env_with().replace("if context.is_offline_mode():", "if True:")
    project.write_env(text)
    assert_refused(migrator(), target, "env.py")
