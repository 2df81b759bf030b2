"""The nouns every test may ask for: servers, a target, a project, migrator, and what stands around them."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from migrator.demo.cluster import Cluster
from tests.support.pgbouncer import PgBouncer, pgbouncer_before
from tests.support.project import Project
from tests.support.proxy import TcpProxy
from tests.support.pushgateway import Pushgateway, start_pushgateway
from tests.support.runner import Migrator
from tests.support.servers import DEFAULT, Servers, majors
from tests.support.target import Target, target_on


def pytest_configure(config: pytest.Config) -> None:
    """Describe our marker."""
    config.addinivalue_line(
        "markers",
        "postgres(*majors): run the test once on each of these servers; without majors, on all there are",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Multiply a test over servers when its marker, or the fixture `any_cluster`, asks for it."""
    marker = metafunc.definition.get_closest_marker("postgres")
    if marker is None and "any_cluster" not in metafunc.fixturenames:
        return
    wanted = marker.args if marker and marker.args else majors()
    ids = [f"pg{major}" for major in wanted]
    metafunc.parametrize("cluster", wanted, ids=ids, indirect=True, scope="session")


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Every server of this session (of this xdist worker), started when first asked for."""
    running = Servers()
    yield running
    running.close()


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest, servers: Servers) -> Cluster:
    """The server of this test: PostgreSQL 18, or what its marker `postgres` says."""
    return servers.cluster(getattr(request, "param", DEFAULT))


@pytest.fixture(scope="session")
def any_cluster(cluster: Cluster) -> Cluster:
    """Each server there is, in turn; a `target` asked for beside it is on the same one."""
    return cluster


@pytest.fixture
def target(cluster: Cluster) -> Iterator[Target]:
    """A database of the test's own, owned by an ordinary role of its own."""
    with target_on(cluster) as target:
        yield target


@pytest.fixture
def projects(tmp_path: Path) -> Callable[[str], Project]:
    """Make further Alembic projects, by name."""
    return lambda name: Project(tmp_path / name)


@pytest.fixture
def project(projects: Callable[[str], Project]) -> Project:
    """An Alembic project as `alembic init` makes it, without revisions."""
    return projects("project")


@pytest.fixture
def migrator(tmp_path: Path, project: Project, target: Target) -> Iterator[Migrator]:
    """The entrypoint, run in the project's folder against the target."""
    home, backups = tmp_path / "home", tmp_path / "backups"
    home.mkdir()
    backups.mkdir()
    environ = {
        "PATH": os.defpath,
        "HOME": str(home),
        "DATABASE_URL": target.url,
        "MIGRATOR_LOG_FORMAT": "json",
        "MIGRATOR_BACKUP_URL": backups.as_uri(),
        "MIGRATOR_PG_BIN": str(target.cluster.binaries.folder),
    }
    migrator = Migrator(project.folder, environ, backups)
    yield migrator
    migrator.close()


@pytest.fixture
def pgbouncer(target: Target) -> Iterator[Callable[..., PgBouncer]]:
    """Start a PgBouncer before the target; see `pgbouncer_before` for its keywords."""
    with ExitStack() as stack:

        def start(before: Target = target, **settings: Any) -> PgBouncer:
            pooler = pgbouncer_before(before, **settings)
            stack.callback(pooler.close)
            return pooler

        yield start


@pytest.fixture
def pushgateway() -> Iterator[Pushgateway]:
    """A Pushgateway of the test's own, empty."""
    gateway = start_pushgateway()
    yield gateway
    gateway.close()


@pytest.fixture
def tcp_proxy(target: Target) -> Iterator[TcpProxy]:
    """A network between us and the target: `target.at(tcp_proxy.host, tcp_proxy.port)` goes through it."""
    proxy = TcpProxy(target.host, target.port)
    yield proxy
    proxy.close()
