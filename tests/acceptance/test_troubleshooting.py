"""Symptoms: each one on the page of that name is brought about for real, and answered as the page says."""

import ast
import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from migrator.demo.cluster import HOST, free_port
from tests.acceptance.test_half_applied import committing
from tests.support.journal import journal, version, write_journal
from tests.support.pgbouncer import PgBouncer
from tests.support.project import ENV, Project
from tests.support.replay import forget_version, let_make_databases
from tests.support.runner import Migrator
from tests.support.symptoms import Symptom, symptoms
from tests.support.target import Target
from tests.support.waiting import eventually

SLEEP = "op.execute('SELECT pg_sleep(2)')"
OWN_URL = "import os; config.set_main_option('sqlalchemy.url', os.environ['SHOP_URL'].replace('%', '%%'))\n"
SHOP = "from shop.models import metadata\n"


@pytest.fixture
def page(request: pytest.FixtureRequest) -> Symptom:
    """The section of the page that a test is about: the one its marker names."""
    marker = request.node.get_closest_marker("symptom")
    assert marker is not None
    return symptoms()[marker.args[0]]


@pytest.fixture
def deployed(migrator: Migrator, project: Project) -> Project:
    """The project after its first deploy, at a1."""
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    return project


def test_every_row_and_command_of_every_symptom_is_tried() -> None:
    rows: dict[str, set[int]] = {}
    commands: dict[str, set[int]] = {}
    for test in ast.parse(Path(__file__).read_text(encoding="utf-8")).body:
        for title in marked(test):
            rows.setdefault(title, set()).update(numbers(test, "explains"))
            commands.setdefault(title, set()).update(numbers(test, "type_command"))
    assert rows == {title: set(range(len(one.seen))) for title, one in symptoms().items()}
    assert commands == {title: set(range(len(one.commands))) for title, one in symptoms().items()}


@pytest.mark.symptom("No module named …")
def test_packages_that_the_worker_does_not_have(
    migrator: Migrator, project: Project, target: Target, tmp_path: Path, page: Symptom
) -> None:
    write_journal(project, "a1")
    project.write_env(SHOP + ENV)
    page.explains(migrator(), 0)
    python = environment_with_the_shop(tmp_path)
    typed = page.type_command(migrator, 0, **{"/app/.venv/bin/python": str(python)})
    assert typed.exit_code == 0, typed.last
    assert version(target) == ["a1"]


@pytest.mark.symptom("No module named …")
def test_a_driver_that_the_worker_does_not_have(
    migrator: Migrator, project: Project, target: Target, page: Symptom
) -> None:
    write_journal(project, "a1")
    project.write_env(ENV.replace("target_metadata = None\n", f"target_metadata = None\n{OWN_URL}", 1))
    page.explains(migrator(SHOP_URL=target.url.replace("postgresql:", "postgresql+pg8000:")), 1)


@pytest.mark.symptom("Cannot connect")
def test_an_address_at_which_nobody_listens(
    migrator: Migrator, project: Project, target: Target, page: Symptom
) -> None:
    write_journal(project, "a1")
    nobody = target.at(HOST, free_port()).url
    page.explains(migrator(DATABASE_URL=nobody, MIGRATOR_WAIT_TIMEOUT="1s"), 0)
    again = page.type_command(
        dataclasses.replace(migrator, environ={**migrator.environ, "DATABASE_URL": nobody})
    )
    assert again.exit_code == 30
    assert page.type_command(migrator).exit_code == 0


@pytest.mark.symptom("Cannot connect")
def test_a_name_that_does_not_resolve(
    migrator: Migrator, project: Project, target: Target, page: Symptom
) -> None:
    write_journal(project, "a1")
    nowhere = target.at("no-such-host.invalid", 5432).url
    page.explains(migrator(DATABASE_URL=nowhere, MIGRATOR_WAIT_TIMEOUT="1s"), 1)


@pytest.mark.symptom("Cannot connect")
def test_a_wrong_password_and_a_missing_database(
    migrator: Migrator, project: Project, target: Target, page: Symptom
) -> None:
    write_journal(project, "a1")
    wrong = dataclasses.replace(target, password="guessed").url
    page.explains(migrator(DATABASE_URL=wrong, MIGRATOR_WAIT_TIMEOUT="1s"), 2)
    nowhere = dataclasses.replace(target, database="nowhere").url
    page.explains(migrator(DATABASE_URL=nowhere, MIGRATOR_WAIT_TIMEOUT="1s"), 3)


@pytest.mark.symptom("Tables exist, but no version")
def test_a_version_table_that_was_lost(
    migrator: Migrator, deployed: Project, target: Target, page: Symptom
) -> None:
    let_make_databases(target)
    forget_version(target)
    deployed.write_revision("b2", upgrade="op.execute('CREATE TABLE more (id int)')")
    page.explains(migrator(MIGRATOR_ON_UNVERSIONED="refuse"), 0)
    found = page.type_command(migrator, 0)
    assert (found.exit_code, found.last["revision"], version(target)) == (0, "a1", [])
    assert page.type_command(migrator, 1).exit_code == 0
    assert version(target) == ["a1"]
    assert page.type_command(migrator, 2).exit_code == 0
    assert version(target) == ["b2"]


@pytest.mark.usefixtures("deployed")
@pytest.mark.symptom("Tables exist, but no version")
def test_tables_that_no_revision_builds(migrator: Migrator, target: Target, page: Symptom) -> None:
    let_make_databases(target)
    forget_version(target)
    target.execute("ALTER TABLE journal ADD COLUMN by_hand text")
    page.explains(migrator(), 1)
    typed = page.type_command(migrator, 3, REV="a1")
    assert typed.exit_code == 0, typed.last
    assert (version(target), migrator().exit_code) == (["a1"], 0)


@pytest.mark.symptom("Lock time-outs")
def test_a_session_that_keeps_a_table(
    migrator: Migrator, deployed: Project, target: Target, page: Symptom
) -> None:
    deployed.write_revision("b2", upgrade="op.execute('ALTER TABLE journal ADD COLUMN total int')")
    with target.connect(application_name="nightly report") as session, session.transaction():
        session.execute("SELECT count(*) FROM journal")
        page.explains(migrator(MIGRATOR_LOCK_PATIENCE="2s"), 0)
        running = migrator.start(MIGRATOR_BACKUP="off")
        running.wait_for_event("revision.failed", revision="b2")
        assert eventually(lambda: "nightly report" in page.type_command(text_of(migrator), 0).stdout, 20)
    assert running.finish().exit_code == 0


@pytest.mark.symptom("Duplicate key in alembic_version")
def test_plain_alembic_beside_it(
    migrator: Migrator, deployed: Project, target: Target, page: Symptom
) -> None:
    target.execute("DELETE FROM alembic_version; DROP TABLE journal; DROP SCHEMA migrator CASCADE")
    write_project_that_sleeps(deployed)
    running = migrator.start()
    running.wait_for_event("revision.started")
    target.execute("INSERT INTO alembic_version VALUES ('s1')")
    page.explains(running.finish(), 0)
    assert page.type_command(migrator, 0).exit_code == 0


@pytest.mark.symptom("Duplicate key in alembic_version")
def test_two_rows_of_one_lineage(
    migrator: Migrator, deployed: Project, target: Target, page: Symptom
) -> None:
    write_journal(deployed, "b2", begins=False)
    assert migrator().exit_code == 0
    target.execute("INSERT INTO alembic_version VALUES ('a1')")
    result = migrator()
    page.explains(result, 1)
    target.execute(result.last["error"].partition("DELETE")[1] + result.last["error"].partition("DELETE")[2])
    assert migrator().exit_code == 0


@pytest.mark.symptom("A fresh deploy fails")
def test_a_history_that_does_not_begin_at_nothing(
    migrator: Migrator, project: Project, target: Target, page: Symptom
) -> None:
    let_make_databases(target)
    project.write_revision("a1", upgrade="op.execute('ALTER TABLE customer ADD COLUMN email text')")
    page.explains(migrator(), 0)
    assert page.type_command(migrator, 0).exit_code == 18


@pytest.mark.symptom("A fresh deploy fails")
def test_a_role_that_may_create_nothing(
    migrator: Migrator, project: Project, target: Target, page: Symptom
) -> None:
    write_journal(project, "a1")
    with target.admin() as session:
        session.execute("ALTER SCHEMA public OWNER TO postgres")
        session.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        session.execute(f"GRANT USAGE ON SCHEMA public TO {target.user}")
        page.explains(migrator(), 1)
        session.execute(f"GRANT CREATE ON SCHEMA public TO {target.user}")
    assert page.type_command(migrator, 1).exit_code == 0


@pytest.mark.symptom("Multiple heads")
def test_two_revisions_that_follow_the_same_one(
    migrator: Migrator, deployed: Project, target: Target, page: Symptom
) -> None:
    deployed.write_revision("b2", down="a1")
    deployed.write_revision("c3", down="a1")
    page.explains(migrator(), 0)
    assert page.type_command(migrator, 0).exit_code == 0
    assert version(target) == ["b2", "c3"]


@pytest.mark.usefixtures("deployed")
@pytest.mark.symptom("Can't locate revision identified by …")
def test_a_version_that_nobody_knows(migrator: Migrator, target: Target, page: Symptom) -> None:
    target.execute("DROP SCHEMA migrator CASCADE; UPDATE alembic_version SET version_num = 'f00d'")
    page.explains(migrator(), 0)
    assert "f00d" in page.type_command(text_of(migrator), 0).stdout
    assert page.type_command(migrator, 1).exit_code == 0


@pytest.mark.symptom("Can't locate revision identified by …")
def test_a_parent_that_is_missing(migrator: Migrator, deployed: Project, page: Symptom) -> None:
    deployed.write_revision("b2", down="gone")
    page.explains(migrator(), 1)


@pytest.mark.symptom("The database is ahead after a rollback")
def test_an_older_release_meets_a_newer_database(
    migrator: Migrator, deployed: Project, target: Target, projects: Callable[[str], Project], page: Symptom
) -> None:
    let_make_databases(target)
    deployed.write_revision(
        "b2", upgrade="op.execute('CREATE TABLE more (id int)')", downgrade="op.execute('DROP TABLE more')"
    )
    assert migrator(MIGRATOR_RELEASE="2.0").exit_code == 0
    before = projects("older")
    write_journal(before, "a1")
    older = dataclasses.replace(migrator, folder=before.folder)
    page.explains(older(), 0)
    page.explains(older(MIGRATOR_ON_AHEAD="refuse"), 1)
    typed = page.type_command(migrator, 0, REV="a1")
    assert typed.exit_code == 0, typed.last
    assert version(target) == ["a1"]
    assert older(MIGRATOR_ON_AHEAD="refuse").exit_code == 0


@pytest.mark.symptom("A revision is half applied")
def test_a_revision_that_committed_and_died(
    migrator: Migrator, deployed: Project, target: Target, page: Symptom
) -> None:
    deployed.write_revision(
        "b2", upgrade=committing("ALTER TABLE journal ADD COLUMN total int", "SELECT 1 / 0")
    )
    assert migrator().exit_code == 14
    page.explains(migrator(), 0)
    assert "total" in page.type_command(text_of(migrator), 0).stdout
    target.execute("ALTER TABLE journal DROP COLUMN total")
    (deployed.versions / "b2_.py").unlink()
    deployed.write_revision("b2", down="a1", upgrade=committing("ALTER TABLE journal ADD COLUMN total int"))
    assert page.type_command(migrator, 1).exit_code == 0


@pytest.mark.symptom("No backup destination")
def test_a_destination_that_is_not_named_or_not_there(
    migrator: Migrator, deployed: Project, page: Symptom
) -> None:
    deployed.write_revision("b2")
    page.explains(migrator(MIGRATOR_BACKUP_URL=None), 0)
    with TemporaryDirectory(dir="/dev/shm") as memory:
        page.explains(
            migrator(KUBERNETES_SERVICE_HOST="10.0.0.1", MIGRATOR_BACKUP_URL=Path(memory).as_uri()), 1
        )
    place = {"file:///backups": migrator.backups.as_uri()}
    assert page.type_command(migrator, 0, **place).exit_code == 0
    deployed.write_revision("c3")
    bare = {name: value for name, value in migrator.environ.items() if name != "MIGRATOR_BACKUP_URL"}
    assert page.type_command(dataclasses.replace(migrator, environ=bare), 1).exit_code == 0


@pytest.mark.symptom("It was repaired, and fails at once with the same words")
def test_a_failure_that_is_remembered(
    migrator: Migrator, deployed: Project, target: Target, page: Symptom
) -> None:
    deployed.write_revision("b2", upgrade="op.execute('ALTER TABLE journal ADD UNIQUE (revision)')")
    target.execute("INSERT INTO journal VALUES ('a1')")
    assert migrator().exit_code == 14
    target.execute("DELETE FROM journal")
    page.explains(migrator(), 0)
    assert page.type_command(migrator, 0).exit_code == 0


@pytest.mark.symptom("Everything ran, and nothing is there")
def test_sql_before_the_transaction(
    migrator: Migrator, project: Project, target: Target, page: Symptom
) -> None:
    write_journal(project, "a1")
    configure = "        context.configure(\n            connection=connection"
    first = "        connection.exec_driver_sql('SELECT 1')\n"
    assert configure in ENV
    project.write_env(ENV.replace(configure, first + configure))
    page.explains(migrator(), 0)
    assert journal(target) == []
    project.write_env(ENV)
    assert page.type_command(migrator, 0).exit_code == 0


@pytest.mark.symptom("Another run leads")
def test_a_run_that_does_not_end(migrator: Migrator, project: Project, page: Symptom) -> None:
    write_journal(project, "a1", seconds=600)
    migrator.start().wait_for_event("revision.started")
    page.explains(migrator(MIGRATOR_LEADER_TIMEOUT="1s"), 0)
    assert "is applying revision 1 of 1 (a1)" in page.type_command(text_of(migrator), 0).stdout


@pytest.mark.symptom("The gate never opens")
def test_a_gate_for_which_nobody_migrates(migrator: Migrator, project: Project, page: Symptom) -> None:
    write_journal(project, "a1")
    page.explains(migrator("gate", MIGRATOR_GATE_TIMEOUT="1s"), 0)
    assert "fresh" in page.type_command(text_of(migrator), 0).stdout
    assert page.type_command(migrator, 1).exit_code == 0
    assert migrator("gate").exit_code == 0


@pytest.mark.symptom("A pooler is in between")
def test_an_address_that_is_a_poolers(
    migrator: Migrator, project: Project, target: Target, pgbouncer: Callable[..., PgBouncer], page: Symptom
) -> None:
    write_journal(project, "a1")
    pooled = dataclasses.replace(migrator, environ={**migrator.environ, "DATABASE_URL": pgbouncer().url})
    page.explains(pooled(), 0)
    direct = {"postgresql://user:password@host:5432/shop": target.url}
    assert page.type_command(pooled, 0, **direct).exit_code == 0


def marked(test: ast.stmt) -> list[str]:
    """Give the titles that a test's markers name."""
    calls = test.decorator_list if isinstance(test, ast.FunctionDef) else []
    return [
        ast.literal_eval(call.args[0])
        for call in calls
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.symptom"
    ]


def numbers(test: ast.stmt, method: str) -> set[int]:
    """Give the numbers with which a test calls this method of its section; without one it is the first."""
    calls = [one for one in ast.walk(test) if isinstance(one, ast.Call)]
    calls = [one for one in calls if ast.unparse(one.func) == f"page.{method}"]
    return {ast.literal_eval(one.args[1]) if len(one.args) > 1 else 0 for one in calls}


def text_of(migrator: Migrator) -> Migrator:
    """The same, for a person."""
    return dataclasses.replace(migrator, environ={**migrator.environ, "MIGRATOR_LOG_FORMAT": "text"})


def environment_with_the_shop(place: Path) -> Path:
    """Make an environment with the project's own packages, and give its interpreter."""
    environment = place / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    (site,) = environment.glob("lib/python3*/site-packages")
    (ours,) = Path(sys.prefix).glob("lib/python3*/site-packages")
    (site / "dependencies.pth").write_text(f"{ours}\n")
    (site / "shop").mkdir()
    (site / "shop" / "models.py").write_text("metadata = None\n")
    return environment / "bin" / "python"


def write_project_that_sleeps(project: Project) -> None:
    """Replace the revisions by one that takes two seconds."""
    for file in project.versions.glob("*.py"):
        file.unlink()
    project.write_revision("s1", down=None, upgrade=SLEEP)
