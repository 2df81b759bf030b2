"""Where scratch databases are made, and what becomes of them when a run is ended."""

import signal
from collections.abc import Iterator

import pytest

from migrator.demo.cluster import Cluster, embedded_binaries
from tests.support.journal import version
from tests.support.project import Project
from tests.support.replay import (
    differences,
    forget_version,
    let_make_databases,
    plain_upgrade,
    scratch_databases,
    untouched,
)
from tests.support.runner import Migrator
from tests.support.servers import Servers
from tests.support.target import Target, target_on
from tests.support.waiting import eventually


@pytest.fixture
def shelf(project: Project) -> Project:
    """One revision, and a second one that adds a column."""
    project.write_revision(
        "a1",
        upgrade="op.create_table('shelf', sa.Column('id', sa.Integer, primary_key=True))",
        downgrade="op.drop_table('shelf')",
    )
    project.write_revision(
        "b2",
        upgrade="op.add_column('shelf', sa.Column('name', sa.Text, nullable=False, server_default='x'))",
        downgrade="op.drop_column('shelf', 'name')",
    )
    return project


@pytest.fixture
def unversioned(shelf: Project, target: Target) -> Target:
    """The target at a1, without a version; its owner may not make databases."""
    plain_upgrade(shelf.folder, target, "a1")
    forget_version(target)
    return target


@pytest.fixture
def elsewhere(cluster: Cluster) -> Iterator[Target]:
    """A database on another server of the same major version, whose owner has another name."""
    with Cluster.start(embedded_binaries(cluster.binaries.major)) as other, target_on(other) as target:
        let_make_databases(target)
        yield target


def test_another_server_will_do(migrator: Migrator, unversioned: Target, elsewhere: Target) -> None:
    with untouched(unversioned):
        proven = migrator("adopt", MIGRATOR_SCRATCH_DATABASE_URL=elsewhere.url)
    assert (proven.exit_code, proven.last["revision"]) == (0, "a1"), proven.last
    assert scratch_databases(elsewhere) == []
    for command in ("run", "verify", "check"):
        result = migrator(command, MIGRATOR_SCRATCH_DATABASE_URL=elsewhere.url)
        assert result.exit_code == 0, (command, result.last)
    assert version(unversioned) == ["b2"]
    assert (scratch_databases(elsewhere), scratch_databases(unversioned)) == ([], [])
    assert elsewhere.password not in proven.stdout


def test_another_server_need_not_know_the_owner(
    migrator: Migrator, unversioned: Target, elsewhere: Target
) -> None:
    result = migrator("adopt", MIGRATOR_SCRATCH_DATABASE_URL=elsewhere.url, MIGRATOR_ROLE=unversioned.user)
    assert (result.exit_code, result.last["revision"]) == (0, "a1"), result.last


def test_a_server_of_another_major_version_is_refused(
    migrator: Migrator, unversioned: Target, servers: Servers
) -> None:
    with target_on(servers.cluster(16)) as older:
        let_make_databases(older)
        with untouched(unversioned):
            result = migrator("adopt", MIGRATOR_SCRATCH_DATABASE_URL=older.url)
        assert scratch_databases(older) == []
    assert result.exit_code == 12, result.last
    assert "16" in result.last["error"]
    assert "18" in result.last["error"]


def test_a_scratch_server_that_does_not_answer_is_named(migrator: Migrator, unversioned: Target) -> None:
    nowhere = unversioned.at("127.0.0.1", 1).url
    result = migrator("adopt", MIGRATOR_SCRATCH_DATABASE_URL=nowhere)
    assert result.exit_code == 34, result.last
    assert "scratch" in result.last["error"]


def test_what_a_killed_run_leaves_is_dropped_by_a_later_leader(
    migrator: Migrator, shelf: Project, unversioned: Target
) -> None:
    let_make_databases(unversioned)
    slow = shelf.write_revision("c3", upgrade="op.execute('SELECT pg_sleep(60)')")
    running = migrator.start("adopt")
    assert eventually(lambda: bool(_sleeping(unversioned)), 30)
    (left,) = scratch_databases(unversioned)
    running.kill()
    assert eventually(lambda: not _sleeping(unversioned), 10)
    assert scratch_databases(unversioned) == [left]
    slow.unlink()
    made = int(left.split("_")[3])
    aged = left.replace(str(made), str(made - 600))
    with unversioned.admin() as session:
        assert eventually(lambda: not _sessions(unversioned, left), 10)
        session.execute(f"ALTER DATABASE {left} RENAME TO {aged}")
    result = migrator()
    assert result.exit_code == 0, result.last
    assert scratch_databases(unversioned) == []


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_adoption_drops_its_scratch_database(
    migrator: Migrator, shelf: Project, unversioned: Target, stop: signal.Signals
) -> None:
    let_make_databases(unversioned)
    shelf.write_revision("c3", upgrade="op.execute('SELECT pg_sleep(60)')")
    running = migrator.start("adopt")
    assert eventually(lambda: bool(_sleeping(unversioned)), 30)
    running.signal(stop)
    result = running.finish(20)
    assert result.exit_code == 128 + stop, result.last
    assert scratch_databases(unversioned) == []


def test_a_deadline_ends_a_proof(migrator: Migrator, shelf: Project, unversioned: Target) -> None:
    let_make_databases(unversioned)
    shelf.write_revision("c3", upgrade="op.execute('SELECT pg_sleep(60)')")
    with untouched(unversioned):
        result = migrator("run", MIGRATOR_DEADLINE="5s", MIGRATOR_LEDGER="off")
    assert result.exit_code == 36, result.last
    assert scratch_databases(unversioned) == []
    assert version(unversioned) == []


def test_what_an_administrator_made_before_is_there_for_the_revisions(
    migrator: Migrator, project: Project, target: Target
) -> None:
    let_make_databases(target)
    with target.admin() as session:
        session.execute(f"CREATE SCHEMA app AUTHORIZATION {target.user}")
        session.execute(f"ALTER DATABASE {target.database} SET search_path = app, public")
    project.write_revision("a1", upgrade="op.execute('CREATE TABLE shelf (id int)')")
    assert migrator("run", MIGRATOR_BACKUP="off").exit_code == 0
    assert target.value("SELECT 'shelf'::regclass::oid = 'app.shelf'::regclass::oid")
    result = migrator("verify")
    assert result.exit_code == 0, result.last
    target.execute("ALTER TABLE shelf ADD extra int")
    assert differences(migrator("verify")) == [
        "column app.shelf.extra is here, the revisions do not build it"
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE SCHEMA app",
        "CREATE SCHEMA IF NOT EXISTS app",
        "create schema\\n  app authorization current_user",
    ],
)
def test_a_schema_that_a_revision_makes_is_left_to_it(
    migrator: Migrator, project: Project, target: Target, statement: str
) -> None:
    let_make_databases(target)
    project.write_revision(
        "a1", upgrade=f"op.execute('{statement}')\nop.execute('CREATE TABLE app.a (id int)')"
    )
    assert migrator("run", MIGRATOR_BACKUP="off").exit_code == 0
    result = migrator("verify")
    assert result.exit_code == 0, result.last


@pytest.mark.parametrize(
    "made",
    [
        "op.execute(sa.schema.CreateSchema('app'))",
        "op.execute(sa.schema.CreateSchema(NAME))",
        "op.execute(f'CREATE SCHEMA {NAME}')",
        "op.execute('CREATE SCHEMA %s' % NAME)",
    ],
)
def test_a_schema_whose_name_stands_elsewhere_in_the_revision_is_left_to_it(
    migrator: Migrator, project: Project, target: Target, made: str
) -> None:
    let_make_databases(target)
    project.write_revision("a1", header="NAME = 'app'", upgrade=made)
    assert migrator("run", MIGRATOR_BACKUP="off").exit_code == 0
    result = migrator("verify")
    assert result.exit_code == 0, result.last


def _sleeping(target: Target) -> int:
    query = "SELECT count(*) FROM pg_stat_activity WHERE usename = user AND state = 'active' AND query = %s"
    return int(target.value(query, "SELECT pg_sleep(60)"))


def _sessions(target: Target, database: str) -> int:
    return int(target.value("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", database))
