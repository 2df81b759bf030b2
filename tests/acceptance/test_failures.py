"""Exit 14: a revision raised; what is committed and what was rolled back is told. Exit 15: a silent no-op."""

import pytest

from tests.support.environment import env_with
from tests.support.journal import journal, version, write_journal
from tests.support.project import Project
from tests.support.runner import Migrator, Result
from tests.support.target import Target

SQL_ERROR = "op.execute('SELECT 1 / 0')"
PYTHON_ERROR = "{}['missing']"


def assert_failed(result: Result, revision: str, *, committed: list[str], rolled_back: list[str]) -> None:
    """See exit 14 of this revision, and the account of the others."""
    assert result.exit_code == 14, result.last
    last = result.last
    assert last["exit_name"] == "MIGRATION_FAILED"
    assert last["revision"] == revision
    assert (last["committed"], last["rolled_back"]) == (committed, rolled_back)
    assert last["revisions_applied"] == committed
    assert (result.named("revision.failed")[-1]["revision"], last["event"]) == (revision, "run.finished")


@pytest.mark.usefixtures("any_cluster")
@pytest.mark.parametrize(
    ("code", "word"), [(SQL_ERROR, "division by zero"), (PYTHON_ERROR, "KeyError: 'missing'")]
)
def test_a_revision_that_raises_takes_those_of_its_transaction_with_it(
    migrator: Migrator, project: Project, target: Target, code: str, word: str
) -> None:
    write_journal(project, "a1", "b2")
    project.write_revision("c3", upgrade=code)
    result = migrator()
    assert_failed(result, "c3", committed=[], rolled_back=["a1", "b2", "c3"])
    assert word in result.last["error"]
    assert (journal(target), version(target)) == ([], [])


@pytest.mark.usefixtures("any_cluster")
@pytest.mark.parametrize("code", [SQL_ERROR, PYTHON_ERROR])
def test_with_a_transaction_each_the_earlier_revisions_stay(
    migrator: Migrator, project: Project, target: Target, code: str
) -> None:
    write_journal(project, "a1", "b2")
    project.write_revision("c3", upgrade=code)
    result = migrator(MIGRATOR_TRANSACTION="revision")
    assert_failed(result, "c3", committed=["a1", "b2"], rolled_back=["c3"])
    assert result.last["heads_after"] == ["b2"]
    assert (journal(target), version(target)) == (["a1", "b2"], ["b2"])
    assert [event["revision"] for event in result.named("revision.applied")] == ["a1", "b2"]


def test_an_sql_error_is_told_with_statement_and_sqlstate_but_without_values(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    project.write_revision(
        "b2",
        upgrade="""
            op.execute("CREATE TABLE customer (email text UNIQUE)")
            insert = sa.text("INSERT INTO customer VALUES (:email)")
            op.get_bind().execute(insert, {"email": "jane@secret.example"})
            op.get_bind().execute(insert, {"email": "jane@secret.example"})
        """,
    )
    result = migrator()
    assert_failed(result, "b2", committed=[], rolled_back=["a1", "b2"])
    assert result.last["sqlstate"] == "23505"
    assert "INSERT INTO customer" in result.last["statement"]
    assert result.last["where"].partition(":")[0].endswith("b2_.py")
    assert "jane@secret.example" not in result.stdout
    assert target.value("SELECT error FROM migrator.run").find("jane") == -1


def test_a_failed_run_stays_in_the_ledger_and_the_next_one_finishes_the_job(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    broken = project.write_revision("b2", upgrade=PYTHON_ERROR)
    assert migrator(MIGRATOR_TRANSACTION="revision").exit_code == 14
    broken.write_text(broken.read_text().replace(PYTHON_ERROR, "pass"))
    result = migrator()
    assert result.exit_code == 0
    assert result.last["revisions_applied"] == ["b2"]
    assert target.rows("SELECT exit_code FROM migrator.run ORDER BY started_at") == [(14,), (0,)]
    assert journal(target) == ["a1"]


def test_what_a_revision_committed_outside_its_transaction_is_told(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    project.write_revision(
        "b2",
        upgrade="""
            with op.get_context().autocommit_block():
                op.execute("CREATE INDEX CONCURRENTLY journal_at ON journal (at)")
            raise RuntimeError("after the index")
        """,
    )
    result = migrator()
    assert result.exit_code == 14
    assert result.last["half_applied"] == ["b2"]
    assert result.last["committed"] == ["a1"]
    assert "b2" in result.last["error"].partition("a part was committed")[0]
    assert target.value("SELECT to_regclass('journal_at') IS NOT NULL")


def test_a_revision_that_leaves_an_invalid_index_behind_is_told_with_the_cure(
    migrator: Migrator, project: Project
) -> None:
    write_journal(project, "a1")
    project.write_revision(
        "b2",
        upgrade="""
            op.execute("INSERT INTO journal (revision) VALUES ('a1')")
            with op.get_context().autocommit_block():
                op.execute("CREATE UNIQUE INDEX CONCURRENTLY journal_once ON journal (revision)")
        """,
    )
    result = migrator()
    assert result.exit_code == 14
    assert result.last["invalid_indexes"] == ["public.journal_once on journal"]
    assert 'DROP INDEX CONCURRENTLY "public"."journal_once"' in result.last["remedy"]


def test_a_revision_that_ends_the_process_has_failed(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    project.write_revision("b2", upgrade="import sys; sys.exit(0)")
    result = migrator()
    assert_failed(result, "b2", committed=[], rolled_back=["a1", "b2"])
    assert version(target) == []


def test_a_revision_that_ends_the_process_behind_pythons_back_is_no_success(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    project.write_revision("b2", upgrade="import os; os._exit(0)")
    result = migrator()
    assert result.exit_code == 34
    assert version(target) == []


@pytest.mark.usefixtures("any_cluster")
def test_sql_before_the_transaction_makes_alembic_commit_nothing_and_is_exit_15(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    project.write_env(
        env_with(header="import sqlalchemy", before="connection.execute(sqlalchemy.text('SELECT 1'))")
    )
    result = migrator()
    assert result.exit_code == 15, result.last
    assert (result.last["event"], result.last["exit_name"]) == ("run.finished", "VERIFICATION_FAILED")
    assert "begin_transaction" in result.last["remedy"]
    assert result.last["revisions_applied"] == []
    assert not result.named("revision.applied")
    assert (journal(target), version(target)) == ([], [])


def test_an_env_py_that_rolls_back_is_exit_15(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    project.write_env(
        env_with().replace(
            "context.run_migrations()\n\n\nif",
            "context.run_migrations()\n            connection.rollback()\n\n\nif",
        )
    )
    result = migrator()
    assert result.exit_code == 15, result.last
    assert (journal(target), version(target)) == ([], [])


def test_an_index_that_turned_invalid_although_the_revision_carried_on_is_exit_15(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    project.write_revision(
        "b2",
        upgrade="""
            op.execute("INSERT INTO journal (revision) VALUES ('a1')")
            with op.get_context().autocommit_block():
                try:
                    op.execute("CREATE UNIQUE INDEX CONCURRENTLY journal_once ON journal (revision)")
                except sa.exc.IntegrityError:
                    pass
        """,
    )
    result = migrator()
    assert result.exit_code == 15, result.last
    assert "journal_once" in result.last["error"]
    assert version(target) == ["b2"]
