"""Projects that plain Alembic cannot load: their own command runs as the worker, watched and fenced in."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.projects import (
    Copy,
    assert_idle,
    copy_project,
    dump,
    migrator_in,
    rows_of,
    said,
    second_database,
    with_driver,
)
from tests.support.replay import let_make_databases
from tests.support.runner import Migrator
from tests.support.target import Target

PUBLIC = "public.alembic_version"
FLASK_PYTHON = Path(sys.prefix) / "flask" / "bin" / "python"


@dataclass(frozen=True, slots=True)
class Own:
    """A project with a command of its own; without one, it is `flask db upgrade`, found by FLASK_APP."""

    name: str
    head: str
    variables: Callable[[Target], Mapping[str, str]]
    command: tuple[str, ...] = ()
    folder: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def python(self) -> Path:
        """The interpreter that has the project's packages."""
        return Path(sys.executable) if self.command else FLASK_PYTHON


OWN = [
    Own(
        "command_context",
        "ab000002",
        lambda target: {"PORTAL_DSN": with_driver(target, "psycopg2")},
        command=("manage.py", "migrate"),
    ),
    Own(
        "command_loop",
        "ab000002",
        lambda target: {"SERVICE_DSN": with_driver(target, "asyncpg")},
        command=("-m", "service", "upgrade"),
    ),
    Own(
        "command_loop-psycopg",
        "ab000002",
        lambda target: {"SERVICE_DSN": with_driver(target, "psycopg")},
        command=("-m", "service", "upgrade"),
        folder="command_loop",
    ),
    Own(
        "command_attributes",
        "ab000002",
        lambda target: {"APP_DB": with_driver(target, "psycopg")},
        command=("app.py", "--migrate"),
    ),
    Own(
        "flask_migrate",
        "6a7b8c9d0e1f",
        lambda target: {"FLASK_APP": "app", "DATABASE_URL": with_driver(target, "psycopg2")},
    ),
    Own(
        "flask_directory",
        "6a7b8c9d0e1f",
        lambda target: {"FLASK_APP": "app:app", "SHOP_DB": with_driver(target, "psycopg2")},
        settings={"MIGRATOR_SCRIPT_LOCATION": "app/migrations"},
    ),
]


def prepared(own: Own, place: Path) -> Copy:
    """Copy the project."""
    assert own.python.exists(), f"no {own.python}: run `make setup`"
    return copy_project(own.folder or own.name, place, own.python)


def environ_of(own: Own, copy: Copy, target: Target) -> dict[str, str]:
    """What an operator sets for it."""
    command = (
        {"MIGRATOR_UPGRADE_COMMAND": json.dumps([str(copy.python), *own.command])} if own.command else {}
    )
    return {"DATABASE_URL": target.url, **own.variables(target), **command, **own.settings}


@pytest.mark.parametrize("own", OWN, ids=lambda own: own.name)
class TestAProjectsOwnCommand:
    def test_makes_what_it_makes_without_us(
        self, own: Own, migrator: Migrator, target: Target, tmp_path: Path
    ) -> None:
        copy = prepared(own, tmp_path / "ours")
        ours = migrator_in(migrator, copy, environ_of(own, copy, target))
        first = ours()
        assert first.exit_code == 0, said(first)
        assert rows_of(target, [PUBLIC]) == {PUBLIC: [own.head]}
        applied = [event["revision"] for event in first.named("revision.applied")]
        assert (len(applied), applied[-1]) == (2, own.head)
        assert [event["revision"] for event in first.named("revision.started")] == applied

        started = copy.count_starts()
        assert_idle(ours())
        assert copy.count_starts() == started, "a run with nothing to do started a worker"
        for command in ("gate", "status", "plan"):
            log = "json" if command == "gate" else "text"
            told = ours(command, MIGRATOR_LOG_FORMAT=log)
            assert told.exit_code == 0, (command, told.stdout, told.stderr)

        plain = second_database(target, "plain")
        done = run_by_hand(own, prepared(own, tmp_path / "plain"), plain)
        assert done.returncode == 0, done.stderr
        assert dump(target) == dump(plain)

    def test_takes_back_what_it_made(
        self, own: Own, migrator: Migrator, target: Target, tmp_path: Path
    ) -> None:
        let_make_databases(target)
        copy = prepared(own, tmp_path / "ours")
        ours = migrator_in(migrator, copy, environ_of(own, copy, target))
        assert ours().exit_code == 0
        result = ours("rollback", "--steps", "1")
        assert result.exit_code == 0, said(result)
        assert result.last["taken_back"] == [own.head]
        assert ours("rollback", "--to", "base").exit_code == 0
        assert rows_of(target, [PUBLIC]) == {PUBLIC: []}

    def test_is_told_by_revision_when_it_fails(
        self, own: Own, migrator: Migrator, target: Target, tmp_path: Path
    ) -> None:
        copy = prepared(own, tmp_path / "ours")
        (newest,) = copy.folder.rglob(f"{own.head}_*.py")
        newest.write_text(
            newest.read_text()
            .replace("upgrade():\n", "upgrade():\n    op.execute('SELECT 1 / 0')\n")
            .replace("upgrade() -> None:\n", "upgrade() -> None:\n    op.execute('SELECT 1 / 0')\n")
        )
        result = migrator_in(migrator, copy, environ_of(own, copy, target))()
        assert (result.exit_code, result.last.get("revision")) == (14, own.head), said(result)
        assert result.last["sqlstate"] == "22012"
        assert target.value("SELECT to_regclass('page')") is None

    def test_waits_for_a_table_lock_and_tries_again(
        self, own: Own, migrator: Migrator, target: Target, tmp_path: Path
    ) -> None:
        copy = prepared(own, tmp_path / "ours")
        (first,) = [file for file in copy.folder.rglob("versions/*.py") if own.head not in file.name]
        first.write_text(
            first.read_text()
            .replace("upgrade():\n", "upgrade():\n    op.execute('LOCK TABLE ' + 'bu' + 'sy')\n")
            .replace(
                "upgrade() -> None:\n", "upgrade() -> None:\n    op.execute('LOCK TABLE ' + 'bu' + 'sy')\n"
            )
        )
        target.execute("CREATE TABLE busy ()")
        run = migrator_in(migrator, copy, {**environ_of(own, copy, target), "MIGRATOR_BACKUP": "off"})
        with target.connect() as session, session.transaction():
            session.execute("LOCK TABLE busy IN ACCESS SHARE MODE")
            running = run.start()
            running.wait_for_event("revision.failed", timeout=60, sqlstate="55P03")
        result = running.finish()
        assert result.exit_code == 0, said(result)
        assert rows_of(target, [PUBLIC]) == {PUBLIC: [own.head]}


def run_by_hand(own: Own, copy: Copy, target: Target) -> "subprocess.CompletedProcess[str]":
    """Run it as the project's documentation says, without us."""
    command = [str(copy.python), *(own.command or ("-m", "flask", "db", "upgrade"))]
    environ = {"PATH": os.defpath, "HOME": str(copy.folder), **own.variables(target)}
    return subprocess.run(
        command,
        cwd=copy.folder,
        env=environ,
        encoding="utf-8",
        errors="replace",
        capture_output=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def portal(migrator: Migrator, target: Target, tmp_path: Path) -> Migrator:
    """The project whose command makes an application context, without the setting."""
    copy = copy_project("command_context", tmp_path / "portal")
    environ = {"PORTAL_DSN": with_driver(target, "psycopg2"), "PYTHON": str(copy.python)}
    return migrator_in(migrator, copy, environ)


def command_of(portal: Migrator, *arguments: str) -> str:
    """Write the setting."""
    return json.dumps([portal.environ["PYTHON"], *arguments])


def test_a_project_that_plain_alembic_cannot_load_is_told_about_the_setting(portal: Migrator) -> None:
    result = portal()
    assert result.exit_code == 11, said(result)
    assert "application context" in result.last["error"]
    assert "MIGRATOR_UPGRADE_COMMAND" in result.last["remedy"]


def test_a_command_that_migrates_another_database_is_refused(portal: Migrator, target: Target) -> None:
    other = second_database(target, "other")
    result = portal(
        MIGRATOR_UPGRADE_COMMAND=command_of(portal, "manage.py", "migrate"),
        PORTAL_DSN=with_driver(other, "psycopg2"),
    )
    assert result.exit_code == 13, said(result)
    assert other.database in result.last["error"]
    for database in (target, other):
        assert database.value("SELECT to_regclass('page')") is None


def test_a_command_that_does_something_else_is_no_success(portal: Migrator, target: Target) -> None:
    result = portal(MIGRATOR_UPGRADE_COMMAND=command_of(portal, "-c", "print('all is well')"))
    assert result.exit_code == 13, said(result)
    assert target.value("SELECT to_regclass('page')") is None


def test_a_command_that_does_not_exist_is_told(portal: Migrator) -> None:
    result = portal(MIGRATOR_UPGRADE_COMMAND=json.dumps(["/nonexistent/portal", "migrate"]))
    assert result.exit_code == 13, said(result)
    assert "/nonexistent/portal" in result.last["error"]


def test_a_command_with_a_wrong_argument_is_told_with_what_it_printed(portal: Migrator) -> None:
    result = portal(MIGRATOR_UPGRADE_COMMAND=command_of(portal, "manage.py", "migrat"))
    assert result.exit_code == 11, said(result)
    assert any("usage: manage.py" in event["message"] for event in result.named("output.captured"))


def test_a_command_that_cannot_be_attached_to_is_no_success(portal: Migrator) -> None:
    # -E makes Python ignore PYTHONPATH.
    result = portal(MIGRATOR_UPGRADE_COMMAND=command_of(portal, "-E", "manage.py", "migrate"))
    assert result.exit_code == 13, said(result)


def test_a_command_may_look_at_the_version_before_it_upgrades(portal: Migrator, target: Target) -> None:
    manage = portal.folder / "manage.py"
    upgrade = '        command.upgrade(Config("alembic.ini"), "head")\n'
    text = manage.read_text()
    assert upgrade in text
    manage.write_text(text.replace(upgrade, LOOKS + upgrade))
    result = portal(MIGRATOR_UPGRADE_COMMAND=command_of(portal, "manage.py", "migrate"))
    assert result.exit_code == 0, said(result)
    assert any("the version before is None" in event["message"] for event in result.named("output.captured"))
    assert rows_of(target, [PUBLIC]) == {PUBLIC: ["ab000002"]}


LOOKS = """
        from alembic.runtime.environment import EnvironmentContext
        from alembic.script import ScriptDirectory

        config = Config("alembic.ini")
        with app.engine.connect() as connection:
            environment = EnvironmentContext(config, ScriptDirectory.from_config(config))
            environment.configure(connection=connection)
            print("the version before is", environment.get_context().get_current_revision())
"""


def test_a_start_up_module_of_the_projects_own_still_runs(portal: Migrator, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    started = tmp_path / "started"
    (own / "sitecustomize.py").write_text(
        f"import sys\nwith open({str(started)!r}, 'a') as file:\n    print(sys.orig_argv, file=file)\n"
    )
    result = portal(MIGRATOR_UPGRADE_COMMAND=command_of(portal, "manage.py", "migrate"), PYTHONPATH=str(own))
    assert result.exit_code == 0, said(result)
    assert "manage.py" in started.read_text()


def test_a_command_behind_a_shell_is_attached_to(portal: Migrator, target: Target) -> None:
    script = portal.folder / "migrate.sh"
    script.write_text('#!/bin/sh\nset -e\necho starting\n"$PYTHON" manage.py migrate\necho ended\n')
    script.chmod(0o755)
    result = portal(MIGRATOR_UPGRADE_COMMAND=json.dumps(["./migrate.sh"]))
    assert result.exit_code == 0, said(result)
    assert rows_of(target, [PUBLIC]) == {PUBLIC: ["ab000002"]}
    assert [event["revision"] for event in result.named("revision.applied")] == ["ab000001", "ab000002"]


def test_two_runs_of_one_command_at_once_migrate_once(portal: Migrator, target: Target) -> None:
    command = command_of(portal, "manage.py", "migrate")
    running = [portal.start(MIGRATOR_UPGRADE_COMMAND=command) for _ in range(2)]
    results = [one.finish() for one in running]
    assert [one.exit_code for one in results] == [0, 0], [said(one) for one in results]
    assert sorted(len(one.named("revision.applied")) for one in results) == [0, 2]
    assert rows_of(target, [PUBLIC]) == {PUBLIC: ["ab000002"]}
