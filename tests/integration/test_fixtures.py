"""What every other test stands on: servers, targets, projects, processes and networks do as they say."""

import contextlib
import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from migrator.demo.cluster import Binaries, Cluster, embedded_binaries, free_port, system_binaries
from migrator.errors import DatabaseUnavailable, PolicyRefused
from tests.support.pgbouncer import PgBouncer
from tests.support.project import Project
from tests.support.proxy import TcpProxy
from tests.support.pushgateway import Pushgateway
from tests.support.runner import REPOSITORY, Migrator
from tests.support.sampler import connection_count
from tests.support.service import program
from tests.support.target import AWKWARD, Target

STARTER = """
import signal, sys, time
from pathlib import Path
# A shell starts what runs in the background with SIGINT ignored, and so everything below it.
signal.signal(signal.SIGINT, signal.default_int_handler)
from migrator.demo.cluster import Binaries, Cluster
cluster = Cluster.start(Binaries(Path(sys.argv[1]), 18))
print(cluster.socket_dir, flush=True)
time.sleep(600)
"""

WITNESS = """
import json, os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
started = {"event": "run.started", "variables": sorted(os.environ), "folder": os.getcwd()}
print(json.dumps(started), flush=True)
sys.stderr.write("x" * 300_000)
match sys.argv[1:]:
    case ["wait"]: time.sleep(60)
    case ["babble"]: print("hello")
print(json.dumps({"event": "run.finished", "arguments": sys.argv[1:]}))
sys.exit(12 if sys.argv[1:] == ["refuse"] else 0)
"""


def eventually(condition: Callable[[], bool], seconds: float = 20) -> bool:
    """Wait for something another process does; there is nobody to ask."""
    deadline = time.monotonic() + seconds
    while not (happened := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return happened


def processes_mentioning(text: str) -> list[str]:
    """List the command lines of other processes that mention this."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line and path.parent.name != str(os.getpid()):
            found.append(line)
    return found


@contextlib.contextmanager
def starter(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that starts a cluster under this folder, says where, and waits to be killed."""
    command = [sys.executable, "-c", STARTER, str(embedded_binaries(18).folder)]
    environ = {**os.environ, "TMPDIR": str(folder)}
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def assert_nothing_left(folder: Path) -> None:
    """See that neither a cluster nor its keeper survives under this folder."""
    assert eventually(lambda: not any(folder.iterdir())), list(folder.iterdir())
    assert eventually(lambda: not processes_mentioning(str(folder))), processes_mentioning(str(folder))


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder every account may write to; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o1777)
        yield folder


@pytest.fixture
def witness(migrator: Migrator, tmp_path: Path) -> Migrator:
    """The fixture `migrator` with a program in place of the entrypoint that says how it was called."""
    script = tmp_path / "witness.py"
    script.write_text(WITNESS)
    return dataclasses.replace(migrator, script=script)


class TestClusters:
    """Throw-away servers."""

    def test_every_server_answers_with_its_own_version(self, any_cluster: Cluster) -> None:
        with psycopg.connect(**any_cluster.admin_params()) as session:
            assert session.info.server_version // 10000 == any_cluster.binaries.major

    @pytest.mark.postgres(16, 18)
    def test_a_marker_chooses_the_servers_of_a_target(self, target: Target, cluster: Cluster) -> None:
        assert (
            target.value("SELECT current_setting('server_version_num')::int / 10000")
            == cluster.binaries.major
        )

    def test_the_embedded_servers_are_always_among_them(self) -> None:
        assert [embedded_binaries(major).major for major in (16, 18)] == [16, 18]

    def test_a_server_nobody_installed_is_refused_with_the_way_to_install_one(self) -> None:
        with pytest.raises(PolicyRefused) as refusal:
            embedded_binaries(9)
        assert "pip install 'migrator[demo]'" in refusal.value.remedy
        assert system_binaries(9) is None

    def test_a_password_is_asked_for(self, cluster: Cluster) -> None:
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(host=cluster.host, port=cluster.port, user="postgres", password="guessed")

    def test_a_stopped_cluster_comes_back_on_its_port_with_its_data_and_settings(self) -> None:
        with Cluster.start(embedded_binaries(18), settings={"application_name": "it's \\ here"}) as cluster:
            cluster.create_role("someone", "secret", createdb=True)
            cluster.create_database("something", "someone")
            cluster.stop("immediate")
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(**cluster.admin_params())
            cluster.restart()
            with psycopg.connect(**cluster.admin_params("something")) as session:
                assert session.execute("SHOW application_name").fetchone() == ("it's \\ here",)
        assert not cluster.socket_dir.exists()

    def test_a_server_that_will_not_start_says_why_and_leaves_nothing(self) -> None:
        with pytest.raises(DatabaseUnavailable, match="no_such_setting"):
            Cluster.start(embedded_binaries(18), settings={"no_such_setting": "1"})

    def test_binaries_where_only_root_may_go_are_copied(self, tmp_path: Path) -> None:
        installation = embedded_binaries(18).folder.parent
        package = tmp_path / "private" / installation.parent.name
        shutil.copytree(installation, package / installation.name)
        libraries = f"{installation.parent.name}.libs"
        shutil.copytree(installation.parent.with_name(libraries), package.with_name(libraries))
        package.parent.chmod(0o700)
        private = Binaries(package / installation.name / "bin", 18)
        with Cluster.start(private) as cluster, psycopg.connect(**cluster.admin_params()) as session:
            # This library of the server's needs the wheel's libpq in turn.
            session.execute("LOAD 'libpqwalreceiver'")
        assert not cluster.socket_dir.exists()

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    def test_nothing_is_left_of_a_cluster_whose_starter_died(
        self, temporary: Path, number: signal.Signals
    ) -> None:
        with starter(temporary) as process:
            assert process.stdout is not None
            folder = process.stdout.readline().decode().strip()
            assert processes_mentioning(folder)
            process.send_signal(number)
            process.wait(timeout=20)
        assert_nothing_left(temporary)

    @pytest.mark.parametrize("seconds", [0.0, 0.1, 0.2, 0.3, 0.4])
    def test_nothing_is_left_when_the_starter_dies_while_it_starts(
        self, temporary: Path, seconds: float
    ) -> None:
        # Whichever moment is hit, the keeper finishes its command, then finds nobody to answer.
        with starter(temporary):
            assert eventually(lambda: any(temporary.iterdir()))
            time.sleep(seconds)
        assert_nothing_left(temporary)

    def test_the_keeper_tidies_up_before_it_gives_in_to_a_signal(self, temporary: Path) -> None:
        with starter(temporary) as process:
            assert process.stdout is not None
            process.stdout.readline()
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
            os.kill(int(children), signal.SIGTERM)
            assert_nothing_left(temporary)


class TestTargets:
    """Databases with ordinary owners."""

    def test_the_owner_is_an_ordinary_role(self, target: Target) -> None:
        rights = target.rows(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, rolcanlogin"
            " FROM pg_roles WHERE rolname = current_user",
        )
        assert rights == [(False, False, False, False, False, True)]
        assert target.rows("SELECT roleid FROM pg_auth_members WHERE member = current_user::regrole") == []

    def test_the_owner_may_do_what_a_migration_does(self, target: Target) -> None:
        target.execute("CREATE TABLE book (title text); CREATE SCHEMA shop; INSERT INTO book VALUES ('Emma')")
        assert target.value("SELECT title FROM book WHERE title = %s", "Emma") == "Emma"

    def test_an_awkward_password_survives_the_url(self, target: Target) -> None:
        assert target.password.startswith(AWKWARD)
        with psycopg.connect(target.url) as session:
            assert session.info.dbname == target.database

    def test_the_superuser_sees_the_same_database(self, target: Target) -> None:
        target.execute("CREATE TABLE book (title text)")
        with target.admin() as session:
            assert session.execute("SELECT count(*) FROM book").fetchone() == (0,)
            assert session.execute(
                "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
            ).fetchone() == (True,)

    def test_migrators_sessions_are_counted_at_their_peak(self, target: Target) -> None:
        with connection_count(target) as sampler:
            with target.connect(application_name="migrator a"), target.connect(application_name="migrator b"):
                assert eventually(lambda: sampler.now == 2)
            assert eventually(lambda: sampler.now == 0)
        assert (sampler.peak, sampler.names) == (2, frozenset({"migrator a", "migrator b"}))


class TestProjects:
    """Alembic projects."""

    def test_plain_alembic_runs_a_project(self, project: Project, target: Target) -> None:
        project.write_revision(
            "a1",
            upgrade="""
                op.create_table("book", sa.Column("id", sa.Integer, primary_key=True))
                op.execute("INSERT INTO book VALUES (1)")
            """,
            downgrade="op.drop_table('book')",
        )
        project.write_revision("b2", upgrade="op.execute('CREATE TABLE shelf ()')")
        ini = (project.folder / "alembic.ini").read_text()
        url = target.url.replace("postgresql://", "postgresql+psycopg://").replace("%", "%%")
        project.ini(ini.replace("driver://user:pass@localhost/dbname", url))
        command = [sys.executable, "-m", "alembic", "upgrade", "head"]
        subprocess.run(command, cwd=project.folder, check=True, capture_output=True)
        assert target.rows("SELECT version_num, (SELECT count(*) FROM book) FROM alembic_version") == [
            ("b2", 1)
        ]

    def test_a_revision_may_stand_anywhere_in_the_history(self, project: Project) -> None:
        project.write_revision("a")
        project.write_revision("x", down=None, labels=("other",))
        merge = project.write_revision("m", down=("a", "x"), depends_on="a", header="import os").read_text()
        assert "down_revision: Union[str, Sequence[str], None] = ('a', 'x')" in merge
        assert "import os" in merge


class TestRuns:
    """The entrypoint as a process."""

    def test_a_run_meets_a_small_environment_and_is_read_without_blocking(self, witness: Migrator) -> None:
        result = witness("refuse", MIGRATOR_LOCK_TIMEOUT="1s", MIGRATOR_PG_BIN=None)
        assert result.exit_code == 12
        assert result.last == {"event": "run.finished", "arguments": ["refuse"]}
        assert len(result.stderr) == 300_000
        (started,) = result.named("run.started")
        assert started["folder"] == str(witness.folder)
        assert set(started["variables"]) - {"LC_CTYPE"} == {
            "DATABASE_URL",
            "HOME",
            "MIGRATOR_BACKUP_URL",
            "MIGRATOR_LOCK_TIMEOUT",
            "MIGRATOR_LOG_FORMAT",
            "PATH",
        }

    def test_a_line_that_is_no_event_fails_the_test(self, witness: Migrator) -> None:
        with pytest.raises(AssertionError, match="'hello"):
            witness("babble")

    def test_text_is_left_alone(self, witness: Migrator) -> None:
        assert "hello" in witness("babble", MIGRATOR_LOG_FORMAT="text").stdout

    def test_a_run_can_be_watched_and_signalled(self, witness: Migrator) -> None:
        running = witness.start("wait")
        assert running.wait_for_event("run.started")["event"] == "run.started"
        running.signal(signal.SIGTERM)
        assert running.finish().exit_code == 143

    def test_waiting_for_what_never_comes_quotes_what_did(self, witness: Migrator) -> None:
        running = witness.start("wait")
        running.wait_for_event("run.started")
        with pytest.raises(AssertionError, match=r"run\.started"):
            running.wait_for_event("run.finished", timeout=0.2)
        with pytest.raises(AssertionError, match="still running"):
            running.finish(timeout=0.2)
        assert not running.is_alive

    def test_a_run_that_ends_early_is_noticed_at_once(self, witness: Migrator) -> None:
        with pytest.raises(AssertionError, match="ended without"):
            witness.start("refuse").wait_for_event("lock.acquired", timeout=60)


class TestSurroundings:
    """Pooler, gateway, network."""

    @pytest.mark.parametrize("auth_type", ["scram-sha-256", "plain"])
    @pytest.mark.parametrize("pool_mode", ["session", "transaction", "statement"])
    def test_a_pooled_session_is_not_the_servers(
        self, pgbouncer: Callable[..., PgBouncer], pool_mode: str, auth_type: str
    ) -> None:
        pooler = pgbouncer(pool_mode=pool_mode, auth_type=auth_type)
        with psycopg.connect(pooler.url, autocommit=True) as session:
            row = session.execute("SELECT pg_backend_pid()").fetchone()
            assert row != (session.info.backend_pid,)

    def test_a_direct_session_is_the_servers(self, target: Target) -> None:
        with target.connect() as session:
            assert session.execute("SELECT pg_backend_pid()").fetchone() == (session.info.backend_pid,)

    def test_a_closed_pooler_refuses_and_leaves_no_process(self, pgbouncer: Callable[..., PgBouncer]) -> None:
        pooler = pgbouncer()
        pooler.close()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(pooler.url)
        assert not pooler.service.answers()

    def test_the_gateway_tells_what_was_pushed(self, pushgateway: Pushgateway) -> None:
        body = (
            b'# TYPE migrator_success gauge\nmigrator_success 1\nphase{name="plan"} 2\nphase{name="wait"} 3\n'
        )
        where = f"{pushgateway.url}/metrics/job/migrator/app/shop"
        urllib.request.urlopen(urllib.request.Request(where, body, method="POST"), timeout=10).close()
        assert pushgateway.value("migrator_success", job="migrator", app="shop") == 1
        assert [sample.value for sample in pushgateway.metrics()["phase"]] == [2, 3]

    def test_a_program_that_is_missing_fails_the_test(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "")
        with pytest.raises(AssertionError, match="apt-get install pgbouncer-of-nobody"):
            program("pgbouncer-of-nobody")

    def test_a_proxy_forwards(self, target: Target, tcp_proxy: TcpProxy) -> None:
        near = target.at(tcp_proxy.host, tcp_proxy.port)
        assert len(near.value("SELECT repeat('x', 5000000)")) == 5_000_000
        assert eventually(lambda: tcp_proxy.connections == 0)

    def test_a_cut_ends_sessions_and_refuses_new_ones_until_resumed(
        self, target: Target, tcp_proxy: TcpProxy
    ) -> None:
        near = target.at(tcp_proxy.host, tcp_proxy.port)
        with near.connect() as session:
            tcp_proxy.cut()
            with pytest.raises(psycopg.OperationalError):
                session.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError, match="refused"):
            near.connect()
        tcp_proxy.resume()
        assert near.value("SELECT 1") == 1

    def test_a_reset_ends_sessions_rudely_and_welcomes_new_ones(
        self, target: Target, tcp_proxy: TcpProxy
    ) -> None:
        near = target.at(tcp_proxy.host, tcp_proxy.port)
        # libpq words a reset and a proper end alike, so a bare socket tells them apart.
        with near.connect() as session, socket.create_connection((near.host, near.port)) as bare:
            assert eventually(lambda: tcp_proxy.connections == 2)
            tcp_proxy.reset()
            with pytest.raises(ConnectionResetError):
                bare.recv(1)
            with pytest.raises(psycopg.OperationalError):
                session.execute("SELECT 1")
        assert near.value("SELECT 1") == 1

    def test_a_stall_swallows_silently_and_delivers_when_resumed(
        self, target: Target, tcp_proxy: TcpProxy
    ) -> None:
        near = target.at(tcp_proxy.host, tcp_proxy.port)
        with near.connect() as session, ThreadPoolExecutor() as threads:
            tcp_proxy.stall()
            created = threads.submit(session.execute, "CREATE TABLE book ()")
            with pytest.raises(psycopg.OperationalError, match="timeout"):
                near.connect(connect_timeout=2)
            assert not created.done()
            assert target.value("SELECT to_regclass('book')") is None
            tcp_proxy.resume()
            created.result(timeout=10)
            assert target.value("SELECT to_regclass('book')") == "book"

    def test_a_cut_reaches_what_a_stall_holds(self, target: Target, tcp_proxy: TcpProxy) -> None:
        near = target.at(tcp_proxy.host, tcp_proxy.port)
        with near.connect() as session:
            tcp_proxy.stall()
            tcp_proxy.cut()
            with pytest.raises(psycopg.OperationalError):
                session.execute("SELECT 1")
        tcp_proxy.resume()
        assert near.value("SELECT 1") == 1

    def test_a_free_port_is_not_one_the_kernel_hands_out(self) -> None:
        assert free_port() < 32_768
