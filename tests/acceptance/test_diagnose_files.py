"""Diagnose, migration files: each flaw of a history by itself, and the command that corrects it."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import alembic
import pytest

from migrator.diagnosis.checks import files
from migrator.diagnosis.finding import Finding, Verdict
from tests.support.journal import write_journal
from tests.support.patient import asked, named, patient_of
from tests.support.project import Project
from tests.support.runner import REPOSITORY, Migrator
from tests.support.target import Target

FAIL, PASS, WARN = Verdict.FAIL, Verdict.PASS, Verdict.WARN


def answer(migrator: Migrator, id_: str, **environ: str) -> Finding:
    """What one check says, in one finding."""
    (found,) = asked(named(files.CHECKS, id_), patient_of(migrator, **environ))
    return found


def paste(migrator: Migrator, command: str, **environ: str) -> None:
    """Run a remedy in a shell, in the project's folder."""
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    given = {**migrator.environ, "PATH": tools, "PYTHONPATH": str(REPOSITORY), **environ}
    subprocess.run(
        ["/bin/bash", "-ec", f'migrator() {{ python -m migrator "$@"; }}\n{command}'],
        cwd=migrator.folder,
        env=given,
        check=True,
        stderr=subprocess.PIPE,
    )


def assert_cured(migrator: Migrator, id_: str, *, verdict: Verdict) -> Finding:
    """See this verdict, paste the remedy, and see that the check passes."""
    found = answer(migrator, id_)
    assert found.verdict is verdict, found
    paste(migrator, found.remedy)
    after = answer(migrator, id_)
    assert after.verdict is PASS, after
    return found


def test_a_history_in_order(migrator: Migrator, project: Project) -> None:
    write_journal(project, "a1")
    project.write_revision("b2", upgrade="op.execute('SELECT 1')", downgrade="op.execute('SELECT 1')")
    (project.versions / "README").write_text("words")
    (project.versions / "__init__.py").write_text("")
    assert migrator().exit_code == 0
    told = {one.id: answer(migrator, one.id).verdict for one in files.CHECKS}
    assert told.pop("files.downgrades") is WARN
    assert set(told.values()) == {PASS}, told
    assert answer(migrator, "files.load").seen == "2 revisions in migrations/versions"


def test_a_file_that_does_not_parse_is_named_with_its_line(migrator: Migrator, project: Project) -> None:
    path = project.write_revision("a1")
    path.write_text(path.read_text() + "\ndef broken(:\n")
    found = answer(migrator, "files.load")
    assert found.verdict is FAIL
    assert found.seen.startswith("migrations/versions/a1_.py is no Python ")
    with pytest.raises(subprocess.CalledProcessError) as shown:
        paste(migrator, found.remedy)
    assert b"broken(:" in shown.value.stderr


def test_a_release_without_a_project(migrator: Migrator, project: Project) -> None:
    (project.folder / "alembic.ini").unlink()
    (found,) = asked(named(files.CHECKS, "files.load"), patient_of(migrator))
    assert found.verdict is not PASS
    assert "alembic.ini" in found.seen


def test_a_module_among_the_revisions_is_moved_away(migrator: Migrator, project: Project) -> None:
    project.write_revision("a1")
    (project.versions / "helpers.py").write_text("NAMES = ('x',)\n")
    found = assert_cured(migrator, "files.strangers", verdict=FAIL)
    assert found.seen == "migrations/versions/helpers.py is among the revisions, and it declares no revision"
    assert answer(migrator, "files.load").verdict is PASS


@pytest.mark.parametrize("name", ["a1_.py.orig", "old/a1.py"])
def test_a_revision_that_alembic_overlooks_is_named(migrator: Migrator, project: Project, name: str) -> None:
    text = project.write_revision("a1").read_text()
    project.write(f"migrations/versions/{name}", text.replace("a1", "b2"))
    found = assert_cured(migrator, "files.strangers", verdict=WARN)
    assert name in found.seen


def test_a_copy_of_a_revision_is_removed(migrator: Migrator, project: Project) -> None:
    path = project.write_revision("a1")
    copy = path.with_name("a1_copy.py")
    copy.write_bytes(path.read_bytes())
    found = assert_cured(migrator, "files.duplicates", verdict=FAIL)
    assert "migrations/versions/a1_.py" in found.seen
    assert "migrations/versions/a1_copy.py" in found.seen
    assert path.exists() != copy.exists()


def test_two_revisions_of_one_id_and_then_two_heads(migrator: Migrator, project: Project) -> None:
    template = Path(alembic.__file__).parent / "templates" / "generic" / "script.py.mako"
    project.write("migrations/script.py.mako", template.read_text())
    write_journal(project, "a1")
    path = project.write_revision("b2", upgrade="op.execute('SELECT 1')")
    path.with_name("b2_other.py").write_text(path.read_text().replace("SELECT 1", "SELECT 2"))
    assert answer(migrator, "files.heads").verdict is Verdict.IMPOSSIBLE
    assert_cured(migrator, "files.duplicates", verdict=FAIL)
    found = assert_cured(migrator, "files.heads", verdict=FAIL)
    assert found.remedy.startswith('alembic merge -m "merge heads" ')
    assert answer(migrator, "files.reach").verdict is PASS
    assert migrator().exit_code == 0


def test_a_parent_that_was_lost_comes_back_from_git(migrator: Migrator, project: Project) -> None:
    write_journal(project, "a1")
    lost = project.write_revision("b2")
    project.write_revision("c3")
    identity = {f"GIT_{who}_{what}": "x@y" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    paste(migrator, "git init -q . && git add . && git commit -qm all", **identity)
    lost.unlink()
    paste(migrator, "git commit -qam lost && git commit -q --allow-empty -m more", **identity)
    found = assert_cured(migrator, "files.parents", verdict=FAIL)
    assert found.seen == "revision c3 (migrations/versions/c3_.py) follows 'b2', which no file declares"
    assert answer(migrator, "files.load").verdict is PASS


def test_a_cycle_is_shown_in_its_files(migrator: Migrator, project: Project) -> None:
    project.write_revision("a1", down="b2")
    path = project.write_revision("b2", down="a1")
    found = answer(migrator, "files.cycles")
    assert found.verdict is FAIL
    assert "a1" in found.seen
    assert str(path.relative_to(project.folder)) in found.remedy
    paste(migrator, found.remedy)
    path.write_text(path.read_text().replace("None] = 'a1'", "None] = None"))
    assert answer(migrator, "files.cycles").verdict is PASS


def test_a_target_that_does_not_reach_everything(migrator: Migrator, project: Project) -> None:
    write_journal(project, "a1", "b2")
    found = answer(migrator, "files.reach", MIGRATOR_TARGET="a1")
    assert found.verdict is WARN
    assert found.seen == "1 revision will not be applied: b2"
    variable, _, value = found.remedy.removeprefix("export ").partition("=")
    assert answer(migrator, "files.reach", **{variable: value}).verdict is PASS


def test_a_target_that_does_not_exist(migrator: Migrator, project: Project) -> None:
    write_journal(project, "a1")
    found = answer(migrator, "files.heads", MIGRATOR_TARGET="nowhere")
    assert found.verdict is FAIL
    assert "'nowhere'" in found.seen
    assert "MIGRATOR_TARGET" in found.remedy


def test_empty_downgrades_are_named(migrator: Migrator, project: Project) -> None:
    project.write_revision("a1", upgrade="op.execute('SELECT 1')")
    found = answer(migrator, "files.downgrades")
    assert found.verdict is WARN
    assert found.seen == "1 revision cannot be taken back: migrations/versions/a1_.py"


def test_a_revision_that_was_edited_after_it_was_applied_is_accepted(
    migrator: Migrator, project: Project
) -> None:
    write_journal(project, "a1", "b2")
    assert answer(migrator, "files.edited").verdict is PASS
    assert migrator().exit_code == 0
    path = project.versions / "b2_.py"
    path.write_text(path.read_text().replace("'b2')\")", "'b2 (edited)')\")"))
    assert answer(migrator, "files.edited", MIGRATOR_ON_EDITED="refuse").verdict is FAIL
    found = assert_cured(migrator, "files.edited", verdict=WARN)
    assert found.remedy == "migrator ledger accept b2"


def test_a_ledger_that_the_role_may_not_read_is_opened_to_it(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    name = f"reader_of_{target.database}"
    target.cluster.create_role(name, target.password)
    target.execute("GRANT SELECT ON alembic_version TO PUBLIC")
    url = dataclasses.replace(target, user=name).url
    found = answer(migrator, "files.edited", DATABASE_URL=url)
    assert found.verdict is Verdict.IMPOSSIBLE
    target.execute(found.remedy)
    assert answer(migrator, "files.edited", DATABASE_URL=url).verdict is PASS
    with target.admin() as session:
        session.execute(f"DROP OWNED BY {name}".encode())
        session.execute(f"DROP ROLE {name}".encode())
