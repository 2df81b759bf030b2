"""Exit 30: Postgres is not a writable primary in time; and waiting for one that comes late."""

from collections.abc import Iterator

import psycopg
import pytest

from migrator.demo.cluster import Cluster, embedded_binaries, free_port
from tests.support.journal import journal, version, write_journal
from tests.support.project import Project
from tests.support.proxy import TcpProxy
from tests.support.runner import Migrator, Result
from tests.support.target import Target, target_on


def assert_unavailable(result: Result, *words: str) -> None:
    """See exit 30 with these words."""
    assert result.exit_code == 30, result.last
    assert (result.last["event"], result.last["exit_name"]) == ("run.finished", "DATABASE_UNAVAILABLE")
    assert result.last["retryable"] is True
    for word in words:
        assert word in result.last["error"], result.last["error"]


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """A server of the test's own, which it may stop."""
    with Cluster.start(embedded_binaries(18)) as cluster:
        yield cluster


@pytest.fixture
def own_target(own_cluster: Cluster) -> Iterator[Target]:
    """A database on it."""
    with target_on(own_cluster) as target:
        yield target
        own_cluster.restart()


def make_standby(cluster: Cluster) -> None:
    """Restart it as a hot standby."""
    with psycopg.connect(**cluster.admin_params(), autocommit=True) as session:
        folder = session.execute("SHOW data_directory").fetchone()
        assert folder is not None
        session.execute(f"COPY (SELECT '') TO '{folder[0]}/standby.signal'".encode())
    cluster.restart()


def promote(cluster: Cluster) -> None:
    """Let the standby become the primary."""
    with psycopg.connect(**cluster.admin_params(), autocommit=True) as session:
        session.execute("SELECT pg_promote()")


def test_nobody_listens(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    url = target.at(target.host, free_port()).url
    result = migrator(DATABASE_URL=url, MIGRATOR_WAIT_TIMEOUT="1s")
    assert_unavailable(result, "refused")
    assert len(result.named("wait.attempted")) > 1
    assert result.seconds < 5


def test_a_name_that_does_not_resolve(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    url = target.at("db.invalid", target.port).url
    assert_unavailable(migrator(DATABASE_URL=url, MIGRATOR_WAIT_TIMEOUT="1s"), "db.invalid")


def test_a_server_that_accepts_and_never_answers(
    migrator: Migrator, project: Project, target: Target, tcp_proxy: TcpProxy
) -> None:
    write_journal(project, "a1")
    tcp_proxy.stall()
    url = target.at(tcp_proxy.host, tcp_proxy.port).url
    result = migrator(DATABASE_URL=url, MIGRATOR_WAIT_TIMEOUT="3s")
    assert_unavailable(result)
    assert result.seconds < 10


@pytest.mark.usefixtures("any_cluster")
def test_a_read_only_database_is_not_ready(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    target.execute(f"ALTER DATABASE {target.database} SET default_transaction_read_only = on")
    assert_unavailable(migrator(MIGRATOR_WAIT_TIMEOUT="1s"), "read-only")
    assert version(target) == []


def test_a_hot_standby_is_not_ready_until_it_is_promoted(
    migrator: Migrator, project: Project, own_target: Target
) -> None:
    write_journal(project, "a1")
    make_standby(own_target.cluster)
    assert_unavailable(migrator(DATABASE_URL=own_target.url, MIGRATOR_WAIT_TIMEOUT="1s"), "in recovery")
    running = migrator.start(DATABASE_URL=own_target.url)
    running.wait_for_event("wait.attempted")
    promote(own_target.cluster)
    assert running.finish().exit_code == 0
    assert journal(own_target) == ["a1"]


def test_a_server_that_comes_late_is_waited_for(
    migrator: Migrator, project: Project, own_target: Target
) -> None:
    write_journal(project, "a1")
    own_target.cluster.stop()
    running = migrator.start(DATABASE_URL=own_target.url)
    running.wait_for_event("wait.attempted", attempt=3)
    own_target.cluster.restart()
    assert running.finish().exit_code == 0
    assert journal(own_target) == ["a1"]


def test_of_several_hosts_the_primary_is_found(
    migrator: Migrator, project: Project, target: Target, own_cluster: Cluster
) -> None:
    write_journal(project, "a1")
    url = target.url.replace(
        f"@{target.host}:{target.port}", f"@{own_cluster.host}:{free_port()},{target.host}:{target.port}"
    )
    assert migrator(DATABASE_URL=url).exit_code == 0
    assert journal(target) == ["a1"]


def test_the_command_wait_does_nothing_else(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    assert migrator("wait").exit_code == 0
    assert version(target) == []
    url = target.at(target.host, free_port()).url
    assert_unavailable(migrator("wait", DATABASE_URL=url, MIGRATOR_WAIT_TIMEOUT="1s"))
