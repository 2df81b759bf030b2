"""Projects that need more than a row of a table: hostile ones, tenants, roles, several databases."""

import dataclasses
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.projects import (
    assert_idle,
    copy_project,
    migrator_in,
    rows_of,
    said,
    second_database,
    with_driver,
)
from tests.support.runner import Migrator
from tests.support.target import Target, target_on

PUBLIC = "public.alembic_version"


@pytest.fixture
def run_project(migrator: Migrator, tmp_path: Path) -> "RunProject":
    """Give a runner in a copy of the named project."""
    return RunProject(migrator, tmp_path)


@dataclasses.dataclass(frozen=True, slots=True)
class RunProject:
    """Copies a project and gives the entrypoint there."""

    migrator: Migrator
    place: Path

    def __call__(self, name: str, environ: Mapping[str, str] | None = None) -> Migrator:
        return migrator_in(self.migrator, copy_project(name, self.place / name), environ or {})


class TestUserCodeThatEndsTheProcess:
    @pytest.mark.parametrize("name", ["hostile_exit_in_env", "hostile_exit_hard"])
    def test_before_it_migrated_is_never_success(
        self, run_project: RunProject, target: Target, name: str
    ) -> None:
        run = run_project(name)
        result = run()
        assert result.exit_code not in {0, 1}, said(result)
        assert target.value("SELECT to_regclass('one')") is None
        assert run(MIGRATOR_ALEMBIC_X="really=yes").exit_code == 0
        assert_idle(run(MIGRATOR_ALEMBIC_X="really=yes"))

    def test_after_it_migrated_but_before_the_commit_is_never_success(
        self, run_project: RunProject, target: Target
    ) -> None:
        result = run_project("hostile_exit_after")()
        assert result.exit_code not in {0, 1}, said(result)
        assert target.value("SELECT to_regclass('one')") is None

    def test_in_a_revision_says_what_is_committed(self, run_project: RunProject, target: Target) -> None:
        result = run_project("hostile_exit_in_revision")()
        assert result.exit_code == 14, said(result)
        assert (result.last["committed"], result.last["revision"]) == (["e0000001"], "e0000002")
        assert rows_of(target, [PUBLIC]) == {PUBLIC: ["e0000001"]}


def test_what_hostile_code_prints_is_an_event(run_project: RunProject) -> None:
    result = run_project("hostile_noisy")()
    assert result.exit_code == 0, said(result)
    lines = [event["message"] for event in result.named("output.captured")]
    for text in ("a child says hello", "and complains", "creating", "bigapp is starting"):
        assert any(text in line for line in lines), text
    assert not any("\x1b" in line for line in lines)
    assert [event for event in result.events if event["event"] == "run.finished"] == [result.last]


def test_sql_before_the_transaction_is_told_from_success(run_project: RunProject, target: Target) -> None:
    result = run_project("hostile_sql_first")()
    assert result.exit_code == 15, said(result)
    assert "context.begin_transaction()" in result.last["remedy"]
    assert target.value("SELECT to_regclass('one')") is None


@pytest.mark.parametrize("name", ["no_online_mode", "no_connection"])
def test_a_project_without_a_version_table_in_online_mode_is_explained(
    run_project: RunProject, name: str
) -> None:
    result = run_project(name)()
    assert result.exit_code == 11, said(result)
    assert "online mode" in result.last["error"] + result.last["remedy"]


class TestAnotherDatabase:
    def test_the_own_variable_unset_is_no_success(self, run_project: RunProject, target: Target) -> None:
        # Plain Alembic migrates a SQLite file then, and exits 0.
        result = run_project("url_fallback")()
        assert result.exit_code not in {0, 1}, said(result)
        assert target.value("SELECT to_regclass('article')") is None
        assert target.value("SELECT to_regclass('alembic_version')") is None

    def test_the_own_variable_naming_another_database_is_no_success(
        self, run_project: RunProject, target: Target
    ) -> None:
        other = second_database(target, "other")
        result = run_project("url_fallback", {"SHOP_DATABASE_URL": with_driver(other, "psycopg2")})()
        assert result.exit_code not in {0, 1}, said(result)
        assert other.database in result.last["error"]
        for database in (target, other):
            assert database.value("SELECT to_regclass('article')") is None

    def test_a_session_to_another_database_is_only_reported(
        self, run_project: RunProject, target: Target
    ) -> None:
        other = second_database(target, "reports")
        run = run_project("second_database", {"REPORTING_URL": with_driver(other, "psycopg2")})
        result = run()
        assert result.exit_code == 0, said(result)
        assert any(other.database in event["message"] for event in result.named("hazard.found"))
        assert rows_of(target, [PUBLIC]) == {PUBLIC: ["2db00001"]}
        assert_idle(run())


@pytest.fixture
def second_target(target: Target) -> Iterator[Target]:
    """Another application's database, of another owner, on the same server."""
    with target_on(target.cluster) as other:
        yield other


def test_several_databases_at_once_are_refused_with_an_explanation(
    run_project: RunProject, target: Target
) -> None:
    other = second_database(target, "engine2")
    run = run_project("multidb")
    ini = run.folder / "alembic.ini"
    # What a person has to write there, whoever migrates.
    text = ini.read_text()
    for placeholder, database in (("dbname2", other), ("dbname", target)):
        url = with_driver(database, "psycopg").replace("%", "%%")
        text = text.replace(f"driver://user:pass@localhost/{placeholder}\n", f"{url}\n")
    ini.write_text(text)
    result = run()
    assert result.exit_code == 13, said(result)
    assert "once per database" in result.last["remedy"]
    for database in (target, other):
        assert database.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == []


class TestTenants:
    @pytest.fixture
    def tenants(self, run_project: RunProject, target: Target) -> Migrator:
        target.execute(
            "CREATE TABLE tenant (schema_name text PRIMARY KEY);"
            "CREATE SCHEMA acme; CREATE SCHEMA umbrella;"
            "INSERT INTO tenant VALUES ('acme'), ('umbrella')"
        )
        return run_project("tenants")

    def test_one_that_comes_later_is_migrated_with_the_next_revision(
        self, tenants: Migrator, target: Target
    ) -> None:
        assert tenants().exit_code == 0
        target.execute("CREATE SCHEMA initech; INSERT INTO tenant VALUES ('initech')")
        versions = tenants.folder / "migrations" / "versions"
        newest = versions / "8e0a1b2c3d4e_tasks.py"
        text = (
            newest.read_text().replace("8e0a1b2c3d4e", "9e0a1b2c3d4e").replace("7e0a1b2c3d4e", "8e0a1b2c3d4e")
        )
        (versions / "9e0a1b2c3d4e_more.py").write_text(
            text.replace("'task'", "'subtask'").replace('"task"', '"subtask"')
        )
        result = tenants()
        assert result.exit_code == 0, said(result)
        tables = [f"{name}.alembic_version" for name in ("acme", "initech", "umbrella")]
        assert rows_of(target, tables) == {table: ["9e0a1b2c3d4e"] for table in tables}
        assert_idle(tenants())

    def test_one_alone_is_migrated_by_an_argument(self, tenants: Migrator, target: Target) -> None:
        first = tenants(MIGRATOR_ALEMBIC_X="tenant=acme")
        assert first.exit_code == 0, said(first)
        assert rows_of(target, ["acme.alembic_version"]) == {"acme.alembic_version": ["8e0a1b2c3d4e"]}
        assert target.value("SELECT to_regclass('umbrella.alembic_version')") is None
        assert_idle(tenants(MIGRATOR_ALEMBIC_X="tenant=acme"))
        second = tenants(MIGRATOR_ALEMBIC_X="tenant=umbrella")
        assert second.exit_code == 0, said(second)
        assert_idle(tenants(MIGRATOR_ALEMBIC_X="tenant=umbrella"))
        assert_idle(tenants(MIGRATOR_ALEMBIC_X="tenant=acme"))

    def test_one_that_fails_leaves_the_others_told(self, tenants: Migrator, target: Target) -> None:
        target.execute(f"REVOKE CREATE ON SCHEMA umbrella FROM {target.user}")
        result = tenants()
        assert result.exit_code == 16, said(result)
        assert rows_of(target, ["acme.alembic_version"]) == {"acme.alembic_version": ["8e0a1b2c3d4e"]}
        target.execute(f"GRANT CREATE ON SCHEMA umbrella TO {target.user}")
        again = tenants("run", "--retry")
        assert again.exit_code == 0, said(again)
        assert rows_of(target, ["umbrella.alembic_version"]) == {"umbrella.alembic_version": ["8e0a1b2c3d4e"]}

    def test_all_go_back_but_those_that_never_came_so_far(self, tenants: Migrator, target: Target) -> None:
        assert tenants().exit_code == 0
        target.execute("CREATE SCHEMA initech; INSERT INTO tenant VALUES ('initech')")
        refused = tenants("rollback", "--to", "7e0a1b2c3d4e")
        assert refused.exit_code == 17, said(refused)
        assert "--accept-data-loss 8e0a1b2c3d4e" in refused.last["remedy"]
        result = tenants("rollback", "--to", "7e0a1b2c3d4e", "--accept-data-loss", "8e0a1b2c3d4e")
        assert result.exit_code == 0, said(result)
        tables = [f"{name}.alembic_version" for name in ("acme", "umbrella")]
        assert rows_of(target, tables) == {table: ["7e0a1b2c3d4e"] for table in tables}
        assert target.value("SELECT to_regclass('initech.project')") is None


def test_two_histories_share_a_schema(run_project: RunProject, target: Target) -> None:
    run = run_project("two_histories")
    first = run()
    assert first.exit_code == 0, said(first)
    auth = run(MIGRATOR_ALEMBIC_SECTION="auth")
    assert auth.exit_code == 0, said(auth)
    assert_idle(run())
    assert_idle(run(MIGRATOR_ALEMBIC_SECTION="auth"))
    assert rows_of(target, [PUBLIC, "public.alembic_version_auth"]) == {
        PUBLIC: ["7ac00002"],
        "public.alembic_version_auth": ["a0700001"],
    }


def test_rival_heads_are_refused_until_one_is_named(run_project: RunProject) -> None:
    result = run_project("rival_heads")()
    assert result.exit_code == 11, said(result)
    assert "MIGRATOR_TARGET" in result.last["remedy"]


def test_expansion_and_contraction_are_separate_deploys(run_project: RunProject, target: Target) -> None:
    run = run_project("expand_contract")
    assert run(MIGRATOR_TARGET="neutron_expand@head").exit_code == 0
    assert_idle(run(MIGRATOR_TARGET="neutron_expand@head"))
    assert rows_of(target, [PUBLIC]) == {PUBLIC: ["e1000002"]}
    assert run(MIGRATOR_TARGET="neutron_contract@head").exit_code == 0
    assert_idle(run(MIGRATOR_TARGET="neutron_contract@head"))
    assert_idle(run(MIGRATOR_TARGET="neutron_expand@head"))
    assert_idle(run(MIGRATOR_TARGET="heads"))


class TestAPasswordThatConfigParserMayRead:
    def test_is_passed_on_unescaped(self, run_project: RunProject, target: Target) -> None:
        target.execute(f"ALTER ROLE {target.user} PASSWORD 'simple'")
        simple = dataclasses.replace(target, password="simple")
        run = run_project("url_unescaped", {"DATABASE_URL": with_driver(simple, "psycopg")})
        result = run()
        assert result.exit_code == 0, said(result)
        assert_idle(run())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's wheel, as its users install it."""
    folder = copy_project("wheel", tmp_path_factory.mktemp("wheel") / "build").folder
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run(build, cwd=folder, check=True, capture_output=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


class TestAnInstalledPackage:
    @pytest.fixture
    def python(self, wheel: Path, tmp_path: Path) -> Path:
        """An interpreter with the wheel and what it depends on."""
        environment = tmp_path / "environment"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
        (site,) = environment.glob("lib/python3*/site-packages")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
        (ours,) = Path(sys.prefix).glob("lib/python3*/site-packages")
        (site / "dependencies.pth").write_text(f"{ours}\n")
        return environment / "bin" / "python"

    def test_needs_no_ini(self, migrator: Migrator, python: Path, target: Target, tmp_path: Path) -> None:
        empty = tmp_path / "somewhere"
        empty.mkdir()
        environ = {
            **migrator.environ,
            "MIGRATOR_PYTHON": str(python),
            "MIGRATOR_SCRIPT_LOCATION": "orders_service:db/migrations",
        }
        run = dataclasses.replace(migrator, folder=empty, environ=environ)
        result = run()
        assert result.exit_code == 0, said(result)
        assert rows_of(target, [PUBLIC]) == {PUBLIC: ["706f5e4d3c2b"]}
        assert target.rows("SELECT code FROM country ORDER BY 1") == [("NO",), ("SE",)]
        assert_idle(run())


class TestRoles:
    @pytest.fixture
    def login(self, target: Target) -> Iterator[Target]:
        """The same database by a login role that is a member of its owner, and owns nothing."""
        name = f"login_{target.user}"
        target.cluster.create_role(name, "p%40ss")
        with target.admin() as session:
            session.execute(f"GRANT {target.user} TO {name}".encode())
        yield dataclasses.replace(target, user=name, password="p%40ss")
        with target.admin() as session:
            session.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())

    @pytest.mark.parametrize("name", ["set_role", "set_role_in_transaction"])
    def test_set_role_in_env_py_makes_the_owner_own(
        self, run_project: RunProject, target: Target, login: Target, name: str
    ) -> None:
        run = run_project(name, {"DATABASE_URL": login.url, "OWNER_ROLE": target.user})
        result = run()
        assert result.exit_code == 0, said(result)
        assert target.value("SELECT tableowner FROM pg_tables WHERE tablename = 'page'") == target.user
        assert rows_of(target, [PUBLIC]) == {PUBLIC: ["ab000002"]}
        assert_idle(run())

    @pytest.mark.parametrize("inherits", [True, False], ids=["inherits", "does-not-inherit"])
    def test_the_setting_makes_the_owner_own(
        self, run_project: RunProject, target: Target, login: Target, *, inherits: bool
    ) -> None:
        with target.admin() as session:
            session.execute(f"ALTER ROLE {login.user} {'INHERIT' if inherits else 'NOINHERIT'}".encode())
            if not inherits:
                # From PostgreSQL 16 on, what counts is said by the membership.
                session.execute(f"GRANT {target.user} TO {login.user} WITH INHERIT FALSE".encode())
        run = run_project("template", {"DATABASE_URL": login.url, "MIGRATOR_ROLE": target.user})
        result = run()
        assert result.exit_code == 0, said(result)
        owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname IN ('public', 'migrator')"
        assert target.rows(owners) == [(target.user,)]
        assert_idle(run())
        gate = run("gate")
        assert gate.exit_code == 0, said(gate)


_STEP = '''\
"""step

Revision ID: {id}
Revises: {parent}
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = {id!r}
down_revision: Union[str, Sequence[str], None] = {parent!r}
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    {body}


def downgrade() -> None:
    pass
'''


class TestALongHistory:
    REVISIONS = 1500

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """The template's project with many revisions after its own."""
        copy = copy_project("template", tmp_path / "long")
        versions = copy.folder / "migrations" / "versions"
        parent = "c07e5d93f1a8"
        for number in range(self.REVISIONS - 3):
            id_, does = f"{number:012x}", f"op.execute(\"COMMENT ON TABLE customer IS '{number}'\")"
            text = _STEP.format(id=id_, parent=parent, body=does if number % 100 == 0 else "pass")
            (versions / f"{id_}_step.py").write_text(text)
            parent = id_
        return copy.folder

    def test_is_migrated_then_left_alone_quickly(self, migrator: Migrator, folder: Path) -> None:
        run = dataclasses.replace(migrator, folder=folder)
        result = run()
        assert result.exit_code == 0, said(result)
        assert len(result.last["revisions_applied"]) == self.REVISIONS
        again = run()
        assert_idle(again)
        assert again.seconds < 2.0
