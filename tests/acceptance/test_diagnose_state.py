"""Diagnose, state: each of them with what `run` would do, and the way out."""

import pytest

from migrator.diagnosis.checks import state
from migrator.diagnosis.finding import Finding, Verdict
from tests.support.environment import env_with
from tests.support.journal import journal, version, write_journal
from tests.support.patient import asked, named, patient_of
from tests.support.project import Project
from tests.support.replay import forget_version, let_make_databases
from tests.support.runner import Migrator
from tests.support.target import Target

FAIL, PASS, WARN = Verdict.FAIL, Verdict.PASS, Verdict.WARN


def answer(migrator: Migrator, id_: str = "state.version", **environ: str) -> Finding:
    """What one check says, in one finding."""
    (found,) = asked(named(state.CHECKS, id_), patient_of(migrator, **environ))
    return found


def exported(remedy: str) -> dict[str, str]:
    """The variable that a remedy sets."""
    name, _, value = remedy.removeprefix("export ").partition("=")
    return {name: value}


def test_fresh_pending_and_current_say_what_a_run_would_do(migrator: Migrator, project: Project) -> None:
    write_journal(project, "a1", "b2")
    fresh = answer(migrator)
    assert (fresh.verdict, fresh.facts["state"]) == (PASS, "fresh")
    assert fresh.seen.endswith("`run` would apply 2 revisions: a1, b2")
    assert migrator().exit_code == 0
    current = answer(migrator)
    assert (current.verdict, current.seen) == (PASS, "current: at b2; `run` would find nothing to do")
    project.write_revision("c3")
    pending = answer(migrator)
    assert (pending.verdict, pending.seen.split("; ")[1]) == (PASS, "`run` would apply 1 revision: c3")
    for id_ in ("state.half_applied", "state.remembered"):
        assert answer(migrator, id_).verdict is PASS


def test_unversioned_is_adopted(migrator: Migrator, project: Project, target: Target) -> None:
    let_make_databases(target)
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    forget_version(target)
    assert answer(migrator, MIGRATOR_ON_UNVERSIONED="refuse").verdict is FAIL
    found = answer(migrator)
    assert (found.verdict, found.facts["state"]) == (WARN, "unversioned")
    assert "public.journal" in found.seen
    program, *words = found.remedy.split()
    assert program == "migrator"
    assert migrator(*words).exit_code == 0
    assert answer(migrator).verdict is PASS


def test_ahead_is_allowed_or_not(migrator: Migrator, project: Project) -> None:
    write_journal(project, "a1")
    newer = project.write_revision("b2")
    assert migrator().exit_code == 0
    newer.unlink()
    assert answer(migrator).verdict is PASS
    found = answer(migrator, MIGRATOR_ON_AHEAD="refuse")
    assert (found.verdict, found.facts["state"]) == (FAIL, "ahead")
    assert answer(migrator, **exported(found.remedy)).verdict is PASS


def test_ahead_by_what_nobody_recorded(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    target.execute("UPDATE alembic_version SET version_num = 'beyond'")
    found = answer(migrator)
    assert (found.verdict, found.facts["state"]) == (FAIL, "ahead, unproven")
    assert answer(migrator, **exported(found.remedy)).verdict is PASS


def test_diverged_names_the_backups(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1", "b2")
    assert migrator().exit_code == 0
    target.execute("INSERT INTO alembic_version VALUES ('elsewhere')")
    found = answer(migrator)
    assert (found.verdict, found.facts["state"]) == (FAIL, "diverged")
    assert found.remedy == "migrator backups"


@pytest.mark.parametrize(
    ("breaking", "said"),
    [
        ("INSERT INTO alembic_version VALUES ('a1')", "two rows of one lineage"),
        ("INSERT INTO alembic_version VALUES (' '), ('a+b')", "rows that are no revisions"),
    ],
)
def test_a_corrupt_version_table_is_repaired(
    migrator: Migrator, project: Project, target: Target, breaking: str, said: str
) -> None:
    write_journal(project, "a1", "b2")
    assert migrator().exit_code == 0
    target.execute(breaking)
    found = answer(migrator)
    assert found.verdict is FAIL
    assert found.facts["state"] == "corrupt"
    assert said in found.seen
    target.execute(found.remedy)
    assert (answer(migrator).verdict, version(target)) == (PASS, ["b2"])


def test_a_table_that_is_no_version_table_is_put_aside(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    target.execute('CREATE TABLE "Version" (revision text)')
    told = {"MIGRATOR_VERSION_TABLE": "Version"}
    found = answer(migrator, **told)
    assert (found.verdict, found.facts["state"]) == (FAIL, "corrupt")
    target.execute(found.remedy)
    assert answer(migrator, **told).facts["state"] != "corrupt"


def test_a_version_table_that_only_env_py_knows(migrator: Migrator, project: Project) -> None:
    project.write_env(
        env_with(header="table = ''.join(['alembic', '_', 'version'])", options="version_table=table")
    )
    write_journal(project, "a1")
    found = answer(migrator)
    assert found.verdict is Verdict.IMPOSSIBLE
    assert migrator(*found.remedy.split()[1:], MIGRATOR_LOG_FORMAT="text").exit_code == 0
    assert answer(migrator, MIGRATOR_VERSION_TABLE="alembic_version").verdict is PASS


def test_a_half_applied_revision_is_told_and_undone(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    path = project.write_revision(
        "b2",
        upgrade="""\
        with op.get_context().autocommit_block():
            op.execute("ALTER TABLE journal ADD COLUMN total int")
        raise ValueError("no way")
        """,
    )
    assert migrator().exit_code == 14
    found = answer(migrator, "state.half_applied")
    assert found.verdict is FAIL
    assert "revision b2 (migrations/versions/b2_.py) is half applied" in found.seen
    undo = "ALTER TABLE journal DROP COLUMN total"
    assert undo in found.remedy
    assert "`migrator run --retry`" in found.remedy
    target.execute(undo)
    path.write_text(path.read_text().replace("raise ValueError", "print"))
    assert migrator("run", "--retry").exit_code == 0
    assert answer(migrator, "state.half_applied").verdict is PASS


def test_a_remembered_failure_is_tried_again(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    project.write_revision("b2", upgrade="op.execute('INSERT INTO journal SELECT 1 / count(*) FROM nowhere')")
    assert migrator().exit_code == 14
    found = answer(migrator, "state.remembered")
    assert found.verdict is FAIL
    assert "not tried again" in found.seen
    target.execute("CREATE TABLE nowhere AS SELECT 1")
    assert migrator(*found.remedy.split()[1:]).exit_code == 0
    assert answer(migrator, "state.remembered").verdict is PASS
    assert journal(target)
