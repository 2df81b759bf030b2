"""A release is tried on a scratch database: up, down again, up again."""

import pytest

from tests.support.environment import ASYNC_ENV, env_with
from tests.support.project import Project
from tests.support.replay import let_make_databases, scratch_databases, untouched
from tests.support.runner import Migrator, Result
from tests.support.target import Target

TABLE = "op.create_table('shelf', sa.Column('id', sa.Integer, primary_key=True))"
MOOD = "sa.Enum('sad', 'ok', name='mood')"
TRANSACTIONS = pytest.mark.parametrize(
    "options", ["", "transaction_per_migration=True"], ids=["one transaction", "one for each"]
)


@pytest.fixture(autouse=True)
def owner(target: Target) -> Target:
    """The target, whose owner may make databases."""
    let_make_databases(target)
    return target


def problems(result: Result) -> list[str]:
    """See exit 18, and give what was found."""
    assert result.exit_code == 18, result.last
    assert result.last["exit_name"] == "PROBLEMS_FOUND"
    told = [event["message"] for event in result.named("difference.found")]
    assert told == result.last["problems"]
    return told


def write_good(project: Project) -> None:
    """Write two revisions that can be taken back."""
    project.write_revision("a1", upgrade=TABLE, downgrade="op.drop_table('shelf')")
    project.write_revision(
        "b2",
        upgrade="op.add_column('shelf', sa.Column('name', sa.Text))",
        downgrade="op.drop_column('shelf', 'name')",
    )


@TRANSACTIONS
@pytest.mark.usefixtures("any_cluster")
def test_a_good_history_goes_up_down_and_up_again(
    migrator: Migrator, project: Project, target: Target, options: str
) -> None:
    project.write_env(env_with(options=options))
    write_good(project)
    with untouched(target):
        result = migrator("check")
    assert (result.exit_code, result.last["revisions"]) == (0, 2), result.last
    assert scratch_databases(target) == []


def test_an_async_project_is_checked_as_well(migrator: Migrator, project: Project) -> None:
    project.write_env(ASYNC_ENV)
    write_good(project)
    assert migrator("check").exit_code == 0


def test_the_live_database_may_be_in_any_state(migrator: Migrator, project: Project, target: Target) -> None:
    write_good(project)
    target.execute("CREATE TABLE shelf (something text); CREATE TABLE alembic_version (nonsense int)")
    with untouched(target):
        assert migrator("check").exit_code == 0
    target.execute("DROP TABLE alembic_version; CREATE TABLE alembic_version (version_num text)")
    target.execute("INSERT INTO alembic_version VALUES ('f00d')")
    with untouched(target):
        assert migrator("check").exit_code == 0


@TRANSACTIONS
def test_a_downgrade_that_does_nothing_leaves_something_behind(
    migrator: Migrator, project: Project, options: str
) -> None:
    project.write_env(env_with(options=options))
    project.write_revision("a1", upgrade=TABLE)
    first, second = problems(migrator("check"))
    assert first.startswith("revision a1: its downgrade leaves something behind")
    assert "table public.shelf" in first
    assert "the second upgrade fails" in second


@TRANSACTIONS
@pytest.mark.parametrize("body", ["raise NotImplementedError", "raise NotImplementedError('no way back')"])
def test_a_downgrade_that_is_not_implemented_is_said_to_be_missing(
    migrator: Migrator, project: Project, options: str, body: str
) -> None:
    project.write_env(env_with(options=options))
    write_good(project)
    project.write_revision("c3", upgrade="op.execute('CREATE TABLE c (id int)')", downgrade=body)
    (problem,) = problems(migrator("check"))
    assert problem.startswith("revision c3: cannot be taken back: it has no downgrade")


def test_a_downgrade_that_is_not_there_is_said_to_be_missing(migrator: Migrator, project: Project) -> None:
    path = project.write_revision("a1", upgrade=TABLE)
    path.write_text(path.read_text().partition("def downgrade")[0])
    (problem,) = problems(migrator("check"))
    assert "cannot be taken back: it has no downgrade" in problem
    assert problem.startswith("revision a1: ")


@TRANSACTIONS
def test_what_goes_down_before_one_that_cannot_is_compared_as_well(
    migrator: Migrator, project: Project, options: str
) -> None:
    project.write_env(env_with(options=options))
    project.write_revision("a1", upgrade=TABLE, downgrade="op.execute('DROP TABLE nowhere')")
    project.write_revision(
        "b2",
        upgrade="op.execute(\"CREATE TYPE mood AS ENUM ('ok'); ALTER TABLE shelf ADD mood mood\")",
        downgrade="op.drop_column('shelf', 'mood')",
    )
    found = problems(migrator("check"))
    assert any(one.startswith("revision a1: cannot be taken back") and "nowhere" in one for one in found)
    assert any(
        one.startswith("revision b2: its downgrade leaves") and "enum public.mood" in one for one in found
    )


def test_an_enum_that_stays_when_its_table_goes_is_named_once(migrator: Migrator, project: Project) -> None:
    project.write_revision(
        "a0", upgrade="op.execute('CREATE TABLE a (id int)')", downgrade="op.drop_table('a')"
    )
    project.write_revision("a1", upgrade=TABLE, downgrade="op.drop_table('shelf')")
    project.write_revision(
        "b2",
        upgrade=f"op.create_table('book', sa.Column('mood', {MOOD}))",
        downgrade="op.drop_table('book')",
    )
    left, again = problems(migrator("check"))
    assert left.startswith("revision b2: its downgrade leaves something behind: enum public.mood")
    assert again.startswith("revision b2: the second upgrade fails")
    assert "already exists" in again


def test_a_downgrade_that_takes_away_too_much_is_named(migrator: Migrator, project: Project) -> None:
    project.write_revision("a1", upgrade=TABLE, downgrade="op.execute('DROP TABLE IF EXISTS shelf')")
    project.write_revision("b2", upgrade="pass", downgrade="op.drop_table('shelf')")
    found = problems(migrator("check"))
    assert found[0].startswith("revision b2: its downgrade takes away too much: table public.shelf")


def test_a_downgrade_that_restores_another_type_is_named(migrator: Migrator, project: Project) -> None:
    write_good(project)
    project.write_revision(
        "c3",
        upgrade="op.alter_column('shelf', 'name', type_=sa.String(10))",
        downgrade="op.alter_column('shelf', 'name', type_=sa.String(20))",
    )
    (problem,) = problems(migrator("check"))
    assert problem.startswith("revision c3: its downgrade does not restore what was there")
    assert "shelf.name" in problem


def test_a_column_that_comes_back_comes_last_and_that_is_no_problem(
    migrator: Migrator, project: Project
) -> None:
    project.write_revision(
        "a1",
        upgrade="op.create_table('shelf', sa.Column('a', sa.Integer), sa.Column('b', sa.Integer))",
        downgrade="op.drop_table('shelf')",
    )
    project.write_revision(
        "b2",
        upgrade="op.drop_column('shelf', 'a')",
        downgrade="op.add_column('shelf', sa.Column('a', sa.Integer))",
    )
    assert migrator("check").exit_code == 0


@TRANSACTIONS
def test_an_upgrade_that_fails_from_empty_is_named(
    migrator: Migrator, project: Project, target: Target, options: str
) -> None:
    project.write_env(env_with(options=options))
    write_good(project)
    project.write_revision("c3", upgrade="op.execute('ALTER TABLE nowhere ADD a int')")
    (problem,) = problems(migrator("check"))
    assert problem.startswith("revision c3: the upgrade fails on an empty database")
    assert "nowhere" in problem
    assert scratch_databases(target) == []


def test_branches_that_are_merged_go_up_down_and_up_again(migrator: Migrator, project: Project) -> None:
    write_good(project)
    project.write_revision(
        "c3", down="a1", upgrade="op.execute('CREATE TABLE c (id int)')", downgrade="op.drop_table('c')"
    )
    project.write_revision("m4", down=("b2", "c3"))
    assert migrator("check").exit_code == 0


def test_several_heads_go_up_down_and_up_again(migrator: Migrator, project: Project) -> None:
    write_good(project)
    project.write_revision(
        "x1", down=None, upgrade="op.execute('CREATE TABLE x (id int)')", downgrade="op.drop_table('x')"
    )
    assert migrator("check", MIGRATOR_TARGET="heads").exit_code == 0
    only = migrator("check", MIGRATOR_TARGET="a1")
    assert (only.exit_code, only.last["revisions"]) == (0, 1), only.last
    assert migrator("check").exit_code == 11


@TRANSACTIONS
def test_a_revision_that_commits_by_itself_is_checked_as_well(
    migrator: Migrator, project: Project, options: str
) -> None:
    project.write_env(env_with(options=options))
    write_good(project)
    project.write_revision(
        "c3",
        upgrade="""
            with op.get_context().autocommit_block():
                op.create_index('by_name', 'shelf', ['name'], postgresql_concurrently=True)
            """,
        downgrade="""
            with op.get_context().autocommit_block():
                op.drop_index('by_name', postgresql_concurrently=True)
            """,
    )
    result = migrator("check")
    assert result.exit_code == 0, result.last


def test_a_release_without_revisions_has_nothing_to_try(migrator: Migrator) -> None:
    assert migrator("check").exit_code == 11


def test_without_a_place_for_scratch_databases_nothing_is_tried(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_good(project)
    with target.admin() as session:
        session.execute(f"ALTER ROLE {target.user} NOCREATEDB")
    result = migrator("check")
    assert result.exit_code == 12, result.last
    assert "MIGRATOR_SCRATCH_DATABASE_URL" in result.last["remedy"]


def test_a_role_is_not_made_by_a_check(migrator: Migrator, project: Project, target: Target) -> None:
    with target.admin() as session:
        session.execute(f"ALTER ROLE {target.user} CREATEROLE")
    project.write_revision("a1", upgrade=f"op.execute('CREATE ROLE made_{target.user}')")
    result = migrator("check")
    assert result.exit_code == 12, result.last
    assert target.value("SELECT count(*) FROM pg_roles WHERE rolname = %s", f"made_{target.user}") == 0
