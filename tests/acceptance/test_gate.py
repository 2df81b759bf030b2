"""The gate: each state a database can be in, what it waits for, and how little it needs and holds."""

import dataclasses
import signal
from collections.abc import Callable, Iterator

import pytest

from migrator.demo.cluster import Cluster, free_port
from tests.support.environment import env_with
from tests.support.gates import SLOW_UPGRADE, gates_at_a_commit
from tests.support.journal import version, write_journal
from tests.support.project import Project
from tests.support.proxy import TcpProxy
from tests.support.runner import Migrator, Result
from tests.support.sampler import connection_count
from tests.support.target import AWKWARD, Target

# What static reading cannot be certain of: the table's name is computed.
COMPUTED = "table = ''.join(['alembic', '_', 'version'])"
MOST_CONNECTIONS = 30


def assert_opens(result: Result, state: str = "current") -> None:
    """See exit 0, in this state, with nothing done."""
    assert result.exit_code == 0, result.last
    assert (result.last["event"], result.last["state"]) == ("run.finished", state)
    assert result.last["revisions_applied"] == []
    assert not result.named("lock.acquired")
    assert not result.named("plan.made")


def assert_not_yet(result: Result, *words: str) -> None:
    """See exit 35 with these words."""
    assert result.exit_code == 35, result.last
    assert (result.last["event"], result.last["exit_name"]) == ("run.finished", "NOT_YET")
    assert result.last["retryable"] is True
    for word in words:
        assert word in result.last["error"], result.last["error"]


def assert_refused(result: Result, state: str, *words: str) -> None:
    """See exit 12 for this state, with these words."""
    assert result.exit_code == 12, result.last
    assert (result.last["event"], result.last["state"]) == ("run.finished", state)
    for word in words:
        assert word in result.last["error"], result.last["error"]


@pytest.fixture
def gate(migrator: Migrator) -> Callable[..., Result]:
    """Ask the gate, which has half a second of patience unless told otherwise, and needs no backup URL."""

    def ask(where: Migrator = migrator, **environ: str | None) -> Result:
        given: dict[str, str | None] = {"MIGRATOR_GATE_TIMEOUT": "500ms", "MIGRATOR_BACKUP_URL": None}
        return where.start("gate", **{**given, **environ}).finish()

    return ask


@pytest.fixture
def older(migrator: Migrator, project: Project, projects: Callable[[str], Project]) -> Migrator:
    """The release before: the database has meanwhile got the newer release's revision."""
    write_journal(project, "a1", "b2")
    assert migrator().exit_code == 0
    before = projects("older")
    write_journal(before, "a1")
    return dataclasses.replace(migrator, folder=before.folder)


@pytest.fixture
def reader(target: Target) -> Iterator[Target]:
    """The target, as a role sees it that may connect and nothing else."""
    name, password = f"reader_of_{target.database}", f"{AWKWARD}reader"
    target.cluster.create_role(name, password)
    with target.admin() as session:
        session.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        session.execute(f"GRANT ALL ON SCHEMA public TO {target.user}".encode())
    yield dataclasses.replace(target, user=name, password=password)
    with target.admin() as session:
        session.execute(f"DROP OWNED BY {name}".encode())
        session.execute(f"DROP ROLE {name}".encode())


def allow(target: Target, reader: Target, *privileges: str) -> None:
    """Grant the reader these privileges, as the owner."""
    for privilege in privileges:
        target.execute(f'GRANT {privilege} TO "{reader.user}"')


# Each state.


@pytest.mark.usefixtures("any_cluster")
def test_a_fresh_database_is_waited_for(gate: Callable[..., Result], project: Project) -> None:
    write_journal(project, "a1")
    result = gate()
    assert_not_yet(result, "waiting for a1", "fresh", "nobody is migrating")
    assert result.last["state"] == "fresh"


@pytest.mark.usefixtures("any_cluster")
def test_a_current_database_opens_the_gate(
    gate: Callable[..., Result], migrator: Migrator, project: Project
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    assert_opens(gate())


def test_a_pending_database_is_waited_for(
    gate: Callable[..., Result], migrator: Migrator, project: Project
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    write_journal(project, "b2", begins=False)
    result = gate()
    assert_not_yet(result, "waiting for b2")
    assert (result.last["state"], result.last["revisions_pending"]) == ("pending", 1)


@pytest.mark.usefixtures("any_cluster")
def test_an_older_release_passes_a_newer_database_with_a_warning(
    gate: Callable[..., Result], older: Migrator
) -> None:
    result = gate(older)
    assert_opens(result, "ahead")
    assert result.last["outcome"] == "ahead"
    (warning,) = result.named("hazard.found")
    assert "b2" in warning["message"]


def test_an_older_release_stays_out_when_told_to(gate: Callable[..., Result], older: Migrator) -> None:
    assert_refused(gate(older, MIGRATOR_ON_AHEAD="refuse"), "ahead", "b2")


@pytest.mark.usefixtures("any_cluster")
def test_a_row_that_nobody_recorded_is_refused_unless_allowed(
    gate: Callable[..., Result], migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    assert migrator(MIGRATOR_LEDGER="off").exit_code == 0
    target.execute("UPDATE alembic_version SET version_num = 'f00d'")
    assert_refused(gate(), "ahead, unproven", "f00d")
    assert_opens(gate(MIGRATOR_ON_AHEAD="allow-unproven"), "ahead, unproven")


def test_releases_that_went_separate_ways_have_diverged(
    gate: Callable[..., Result], older: Migrator, projects: Callable[[str], Project]
) -> None:
    rival = projects("rival")
    write_journal(rival, "a1", "c3")
    result = gate(dataclasses.replace(older, folder=rival.folder))
    assert_refused(result, "diverged", "b2", "c3")


def test_tables_without_a_version_are_waited_for(
    gate: Callable[..., Result], project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    target.execute("CREATE TABLE journal (revision text, at timestamptz)")
    assert_not_yet(gate(), "unversioned")


def test_two_rows_of_one_lineage_are_refused(
    gate: Callable[..., Result], migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1", "b2")
    assert migrator().exit_code == 0
    target.execute("INSERT INTO alembic_version VALUES ('a1')")
    assert_refused(gate(), "corrupt", "a1", "b2", "DELETE FROM")


def test_a_refusal_counts_after_some_seconds_without_any_timeout(
    gate: Callable[..., Result], project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    target.execute("CREATE TABLE alembic_version (revision text)")
    result = gate(MIGRATOR_GATE_TIMEOUT=None)
    assert_refused(result, "corrupt", "version_num")
    assert 5 <= result.last["seconds"] < 15


def test_a_state_that_passes_is_no_refusal(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    target.execute("CREATE TABLE alembic_version (revision text)")
    running = migrator.start("gate")
    running.wait_for_event("wait.attempted", verdict="refused")
    target.execute(
        "DROP TABLE alembic_version; CREATE TABLE alembic_version (version_num text); "
        "INSERT INTO alembic_version VALUES ('a1')"
    )
    assert_opens(running.finish())


# What it waits for.


def test_the_gate_opens_when_the_run_has_committed(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1", seconds=8)
    running = migrator.start("gate")
    running.wait_for_event("wait.attempted")
    assert version(target) == []
    run = migrator.start()
    run_id = run.wait_for_event("lock.acquired")["run_id"]
    result = running.finish()
    assert_opens(result)
    assert run.finish().exit_code == 0
    assert any(run_id in str(event["leader"]) for event in result.named("wait.attempted"))
    assert len(result.named("state.read")) == 2


def test_progress_is_told_from_the_ledger(migrator: Migrator, project: Project) -> None:
    write_journal(project, "a1")
    write_journal(project, "b2", "c3", seconds=9, begins=False)
    run = migrator.start(MIGRATOR_RELEASE="1.4")
    run.wait_for_event("revision.started", revision="b2")
    result = migrator("gate")
    assert_opens(result)
    told = [event["message"] for event in result.named("wait.attempted")]
    assert any("release 1.4 is applying revision 2 of 3 (b2) since " in one for one in told), told
    assert any("release 1.4 is applying revision 3 of 3 (c3) since " in one for one in told), told
    assert run.finish().exit_code == 0


def test_while_a_newer_release_migrates_its_rows_are_not_held_against_it(
    gate: Callable[..., Result], migrator: Migrator, project: Project, projects: Callable[[str], Project]
) -> None:
    before = projects("older")
    write_journal(before, "a1")
    older = dataclasses.replace(migrator, folder=before.folder)
    assert older().exit_code == 0
    write_journal(project, "a1", "b2", "c3", seconds=4)
    run = migrator.start(MIGRATOR_TRANSACTION="revision")
    run.wait_for_event("revision.started", revision="c3")
    assert_not_yet(gate(older), "waiting for a1")
    waiting = older.start("gate")
    assert run.finish().exit_code == 0
    assert_opens(waiting.finish(), "ahead")


def test_a_killed_leader_is_not_said_to_be_at_work(migrator: Migrator, project: Project) -> None:
    write_journal(project, "a1", seconds=600)
    run = migrator.start()
    run.wait_for_event("revision.started")
    running = migrator.start("gate")
    running.wait_for_event("wait.attempted")
    run.kill()
    running.wait_for_event(
        "wait.attempted", message="waiting for a1: the database is fresh, and nobody is migrating it now"
    )
    running.signal(signal.SIGTERM)
    assert running.finish().exit_code == 143


def test_every_tenant_is_waited_for(migrator: Migrator, project: Project, target: Target) -> None:
    target.execute("CREATE SCHEMA one; CREATE SCHEMA two")
    project.write_env(TENANTS)
    project.write_revision("a1", upgrade="op.execute('CREATE TABLE t (id int)')")
    assert migrator().exit_code == 0
    assert_opens(migrator("gate"))
    target.execute("DELETE FROM two.alembic_version")
    running = migrator.start("gate")
    tables = ["one.alembic_version", "two.alembic_version"]
    running.wait_for_event("state.read", state="pending", version_tables=tables)
    target.execute("INSERT INTO two.alembic_version VALUES ('a1')")
    assert_opens(running.finish())


TENANTS = """\
from sqlalchemy import engine_from_config, pool, text
from alembic import context

config = context.config
engine = engine_from_config(config.get_section("alembic", {}), prefix="sqlalchemy.", poolclass=pool.NullPool)
with engine.connect() as connection:
    for tenant in ["one", "two"]:
        connection.execute(text(f"SET search_path TO {tenant}"))
        connection.commit()
        connection.dialect.default_schema_name = tenant
        context.configure(connection=connection, target_metadata=None, version_table_schema=tenant)
        with context.begin_transaction():
            context.run_migrations()
"""


def test_a_version_table_that_only_env_py_knows_is_waited_for_by_name(
    migrator: Migrator, project: Project
) -> None:
    project.write_env(env_with(header=COMPUTED, options="version_table=table"))
    write_journal(project, "a1")
    running = migrator.start("gate")
    hazard = running.wait_for_event("hazard.found")
    assert "MIGRATOR_VERSION_TABLE" in hazard["message"]
    running.wait_for_event("wait.attempted")
    assert migrator().exit_code == 0
    assert_opens(running.finish())


def test_whoever_changes_the_version_table_is_waited_for_without_queueing(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    with target.connect() as session:
        session.execute("BEGIN; LOCK alembic_version IN ACCESS EXCLUSIVE MODE")
        running = migrator.start("gate")
        told = running.wait_for_event("wait.attempted")
        assert "locked" in told["message"]
        assert not session.execute("SELECT FROM pg_locks WHERE NOT granted").fetchall()
        session.execute("COMMIT")
    assert_opens(running.finish())


# Postgres is not there, or not for us.


def test_a_gate_that_starts_before_its_database_waits(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    late = dataclasses.replace(target, database=f"{target.database}_late")
    running = migrator.start("gate", DATABASE_URL=late.url)
    running.wait_for_event("wait.attempted", verdict="refused", waits_for="Postgres")
    target.cluster.create_database(late.database, late.user)
    running.wait_for_event("state.read", state="fresh")
    assert migrator(DATABASE_URL=late.url).exit_code == 0
    assert_opens(running.finish())


def test_nobody_listens(gate: Callable[..., Result], project: Project, target: Target) -> None:
    write_journal(project, "a1")
    result = gate(DATABASE_URL=target.at(target.host, free_port()).url)
    assert result.exit_code == 30, result.last
    assert "MIGRATOR_GATE_TIMEOUT" in result.last["error"]
    assert result.named("wait.attempted")


def test_a_network_that_fails_and_comes_back_is_waited_for(
    migrator: Migrator, project: Project, target: Target, tcp_proxy: TcpProxy
) -> None:
    write_journal(project, "a1")
    running = migrator.start("gate", DATABASE_URL=target.at(tcp_proxy.host, tcp_proxy.port).url)
    running.wait_for_event("wait.attempted", waits_for="the migration")
    tcp_proxy.cut()
    running.wait_for_event("wait.attempted", waits_for="Postgres")
    tcp_proxy.resume()
    assert migrator().exit_code == 0
    assert_opens(running.finish())


@pytest.mark.usefixtures("any_cluster")
def test_a_wrong_password_is_refused(gate: Callable[..., Result], project: Project, target: Target) -> None:
    write_journal(project, "a1")
    result = gate(DATABASE_URL=dataclasses.replace(target, password="guessed").url)
    assert result.exit_code == 16, result.last
    assert "password authentication failed" in result.last["error"]


@pytest.mark.usefixtures("any_cluster")
def test_select_on_the_version_table_is_all_it_needs(
    gate: Callable[..., Result], migrator: Migrator, project: Project, target: Target, reader: Target
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    allow(target, reader, "USAGE ON SCHEMA public", "SELECT ON alembic_version")
    assert_opens(gate(DATABASE_URL=reader.url))
    write_journal(project, "b2", begins=False)
    assert_not_yet(gate(DATABASE_URL=reader.url), "waiting for b2", "nobody is migrating")


def test_what_it_may_not_read_of_the_ledger_counts_as_unproven_and_the_grant_is_told(
    gate: Callable[..., Result], older: Migrator, target: Target, reader: Target
) -> None:
    allow(target, reader, "USAGE ON SCHEMA public", "SELECT ON alembic_version")
    result = gate(older, DATABASE_URL=reader.url)
    assert_refused(result, "ahead, unproven", "b2")
    assert "GRANT USAGE ON SCHEMA migrator" in result.last["remedy"]
    allow(target, reader, "USAGE ON SCHEMA migrator", "SELECT ON ALL TABLES IN SCHEMA migrator")
    assert_opens(gate(older, DATABASE_URL=reader.url), "ahead")


@pytest.mark.usefixtures("any_cluster")
def test_a_role_that_may_not_read_the_version_table_is_told_the_grant(
    gate: Callable[..., Result], migrator: Migrator, project: Project, target: Target, reader: Target
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    result = gate(DATABASE_URL=reader.url)
    assert result.exit_code == 16, result.last
    assert "GRANT" in result.last["remedy"]
    allow(target, reader, "USAGE ON SCHEMA public")
    result = gate(DATABASE_URL=reader.url)
    assert result.exit_code == 16, result.last
    assert "GRANT SELECT" in result.last["remedy"]


def test_a_read_only_role_can_look(
    gate: Callable[..., Result], migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    target.execute(f"ALTER DATABASE {target.database} SET default_transaction_read_only = on")
    assert_opens(gate())


# How it ends, and what it holds.


def test_sigterm_ends_a_waiting_gate(migrator: Migrator, project: Project) -> None:
    write_journal(project, "a1")
    running = migrator.start("gate")
    running.wait_for_event("wait.attempted")
    running.signal(signal.SIGTERM)
    result = running.finish(5)
    assert result.exit_code == 143
    assert result.last["exit_name"] == "TERMINATED"


def test_a_gate_neither_loads_alembic_nor_pushes_metrics(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    project.write_env("raise SystemExit(77)")
    target.execute(
        "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('a1')"
    )
    loud = migrator.start(
        "gate",
        MIGRATOR_VERSION_TABLE="alembic_version",
        MIGRATOR_PUSHGATEWAY_URL=f"http://127.0.0.1:{free_port()}",
        PYTHONVERBOSE="1",
    )
    result = loud.finish()
    assert_opens(result)
    assert not result.named("metrics.failed")
    for name in ("alembic", "sqlalchemy", "pydantic", "rich"):
        assert f"import '{name}'" not in result.stderr


@pytest.mark.postgres(18)
def test_forty_gates_hold_few_connections_and_open_together(
    migrator: Migrator,
    project: Project,
    target: Target,
    cluster: Cluster,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project.write_revision("a1", upgrade="op.execute('CREATE TABLE t (id int)')")
    assert migrator().exit_code == 0
    project.write_revision("b2", upgrade=SLOW_UPGRADE)
    environ = {**migrator.environ, "MIGRATOR_BACKUP": "off"}
    with connection_count(target) as sampler:
        crowd = gates_at_a_commit(
            40, project.folder, environ, cluster.admin_params(target.database), head="b2", settle_seconds=3
        )
    with capsys.disabled():
        late = max(crowd.late_seconds)
        print(f"\n40 gates: a peak of {sampler.peak} connections, the last {late:.1f} s after the commit")  # noqa: T201
    assert set(crowd.exit_codes) == {0}
    assert sampler.peak < MOST_CONNECTIONS
