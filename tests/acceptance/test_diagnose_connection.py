"""Diagnosis of the connection: each step from name to writable session broken, and its remedy followed."""

import dataclasses
import os
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from migrator.demo.cluster import HOST, Cluster, free_port
from tests.support.certificates import speak_tls
from tests.support.diagnosed import diagnose
from tests.support.pgbouncer import PgBouncer
from tests.support.runner import Migrator
from tests.support.servers import binaries
from tests.support.target import Target, target_on

LOGIN = "connection.login"
TLS = "connection.tls"


@pytest.fixture
def tls_cluster() -> Iterator[Cluster]:
    """A server of Debian's: the embedded ones were built without TLS."""
    with Cluster.start(binaries(15)) as cluster:
        yield cluster


def _as_superuser(target: Target, statement: str) -> None:
    with target.admin() as session:
        session.execute(statement.encode())


class TestName:
    def test_its_addresses_are_told(self, migrator: Migrator, target: Target) -> None:
        url = target.at("localhost", target.port).url
        finding = diagnose(migrator, "connection.names", DATABASE_URL=url).of("connection.names")
        assert finding["verdict"] == "pass"
        assert "127.0.0.1" in finding["addresses"]
        assert "IPv4" in finding["seen"]


class TestPort:
    def test_each_of_several_hosts_is_tried(self, migrator: Migrator, target: Target) -> None:
        with socket.create_server((HOST, 0)) as other:
            port = other.getsockname()[1]
        url = target.url.replace(f"@{HOST}:", f"@{HOST}:{port},{HOST}:")
        found = diagnose(migrator, "connection.tcp", LOGIN, DATABASE_URL=url)
        assert [one["verdict"] for one in found.all_of("connection.tcp")] == ["fail", "pass"]
        assert found.verdict(LOGIN) == "pass"

    def test_a_socket_is_a_port_too(self, migrator: Migrator, target: Target) -> None:
        environ = {
            "DATABASE_URL": None,
            "PGHOST": str(target.cluster.socket_dir),
            "PGPORT": str(target.port),
            "PGUSER": target.user,
            "PGPASSWORD": target.password,
            "PGDATABASE": target.database,
        }
        found = diagnose(migrator, "connection", **environ)
        assert found.verdict("connection.tcp") == found.verdict(LOGIN) == "pass", found.checks

    def test_something_else_that_listens_there(self, migrator: Migrator, target: Target) -> None:
        with socket.create_server((HOST, 0)) as other:
            pid = os.fork()
            if pid == 0:
                while True:
                    client, _ = other.accept()
                    client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    client.close()
            try:
                url = target.at(HOST, other.getsockname()[1]).url
                found = diagnose(migrator, TLS, LOGIN, DATABASE_URL=url)
            finally:
                os.kill(pid, 9)
                os.waitpid(pid, 0)
        assert "not as Postgres does" in found.of(TLS)["seen"]
        assert found.verdict(LOGIN) == "fail"


class TestTls:
    def test_a_server_without_it_fails_whoever_asks_for_it(self, migrator: Migrator, target: Target) -> None:
        broken = f"{target.url}?sslmode=require"
        if diagnose(migrator, TLS).of(TLS)["offered"]:
            pytest.skip("this server speaks TLS")
        found = diagnose(migrator, TLS, LOGIN, DATABASE_URL=broken)
        assert (found.verdict(TLS), found.verdict(LOGIN)) == ("fail", "fail")
        assert "put sslmode=disable into the URL" in found.of(TLS)["remedy"]
        cured = diagnose(migrator, TLS, LOGIN, DATABASE_URL=f"{target.url}?sslmode=disable")
        assert (cured.verdict(TLS), cured.verdict(LOGIN)) == ("pass", "pass")

    def test_protocol_mode_and_expiry_are_told(
        self, migrator: Migrator, tls_cluster: Cluster, tmp_path: Path
    ) -> None:
        ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=400)
        authority = speak_tls(tls_cluster, tmp_path, datetime(2020, 1, 1, tzinfo=UTC), ends)
        with target_on(tls_cluster) as target:
            url = f"{target.url}?sslmode=verify-full&sslrootcert={authority}"
            found = diagnose(migrator, TLS, LOGIN, DATABASE_URL=url)
            unverified = diagnose(migrator, LOGIN, DATABASE_URL=f"{target.url}?sslmode=verify-full")
        finding = found.of(TLS)
        assert (finding["verdict"], finding["mode"], finding["offered"]) == ("pass", "verify-full", True)
        assert finding["protocol"].startswith("TLSv1.")
        assert finding["expires"] == ends.isoformat()
        assert found.verdict(LOGIN) == "pass", found.of(LOGIN)
        assert unverified.verdict(LOGIN) == "fail"
        assert "sslrootcert=" in unverified.of(LOGIN)["remedy"]

    def test_a_certificate_that_expires_soon_or_has(
        self, migrator: Migrator, tls_cluster: Cluster, tmp_path: Path
    ) -> None:
        begins = datetime(2020, 1, 1, tzinfo=UTC)
        soon, gone = tmp_path / "soon", tmp_path / "gone"
        soon.mkdir()
        gone.mkdir()
        with target_on(tls_cluster) as target:
            speak_tls(tls_cluster, soon, begins, datetime.now(UTC) + timedelta(days=5, hours=1))
            warned = diagnose(migrator, TLS, DATABASE_URL=target.url).of(TLS)
            authority = speak_tls(tls_cluster, gone, begins, datetime(2021, 1, 1, tzinfo=UTC))
            url = f"{target.url}?sslmode=verify-ca&sslrootcert={authority}"
            failed = diagnose(migrator, TLS, LOGIN, DATABASE_URL=url)
            lenient = diagnose(migrator, TLS, LOGIN, DATABASE_URL=f"{target.url}?sslmode=require")
        assert (warned["verdict"], "expires in 5 days" in warned["seen"]) == ("warn", True)
        assert "pg_reload_conf()" in warned["remedy"]
        assert (failed.verdict(TLS), failed.verdict(LOGIN)) == ("fail", "fail")
        assert "expired, on 2021-01-01" in failed.of(TLS)["seen"]
        assert (lenient.verdict(TLS), lenient.verdict(LOGIN)) == ("warn", "pass")


class TestLogin:
    def test_a_wrong_password(self, migrator: Migrator, target: Target) -> None:
        wrong = dataclasses.replace(target, password="not-the-one")
        finding = diagnose(migrator, LOGIN, DATABASE_URL=wrong.url).of(LOGIN)
        assert finding["verdict"] == "fail"
        assert f'\\password "{target.user}"' in finding["remedy"]
        assert "not-the-one" not in str(finding)

    @pytest.mark.usefixtures("any_cluster")
    def test_a_database_that_does_not_exist(self, migrator: Migrator, target: Target) -> None:
        other = dataclasses.replace(target, database=f"{target.database} two")
        finding = diagnose(migrator, LOGIN, DATABASE_URL=other.url).of(LOGIN)
        assert finding["verdict"] == "fail"
        _as_superuser(target, finding["remedy"])
        assert diagnose(migrator, LOGIN, DATABASE_URL=other.url).verdict(LOGIN) == "pass"

    @pytest.mark.parametrize(
        "broken",
        [
            "ALTER ROLE {user} NOLOGIN",
            "REVOKE CONNECT ON DATABASE {database} FROM PUBLIC, {user}",
            "ALTER ROLE {user} CONNECTION LIMIT 0",
            "ALTER DATABASE {database} CONNECTION LIMIT 0",
            "ALTER DATABASE {database} ALLOW_CONNECTIONS false",
        ],
    )
    def test_what_the_server_refuses_is_repaired_by_the_remedy(
        self, migrator: Migrator, target: Target, broken: str
    ) -> None:
        with psycopg.connect(**target.cluster.admin_params(), autocommit=True) as session:
            session.execute(broken.format(user=target.user, database=target.database).encode())
            finding = diagnose(migrator, LOGIN).of(LOGIN)
            assert finding["verdict"] == "fail"
            session.execute(finding["remedy"].encode())
        assert diagnose(migrator, LOGIN).verdict(LOGIN) == "pass"

    def test_how_long_it_took_is_told(self, migrator: Migrator, target: Target) -> None:
        finding = diagnose(migrator, LOGIN).of(LOGIN)
        assert 0 < finding["seconds"] < 2
        assert (finding["user"], finding["database"]) == (target.user, target.database)


class TestPooler:
    def test_one_in_between_and_the_way_around_it(
        self, migrator: Migrator, target: Target, pgbouncer: Callable[..., PgBouncer]
    ) -> None:
        through = pgbouncer().url
        found = diagnose(migrator, "connection", "server", DATABASE_URL=through)
        finding = found.of("connection.pooler")
        assert (found.result.exit_code, finding["verdict"]) == (18, "fail")
        assert "MIGRATOR_DIRECT_DATABASE_URL" in finding["remedy"]
        assert found.verdict("server.version") == "pass"
        around = diagnose(
            migrator, "connection.pooler", DATABASE_URL=through, MIGRATOR_DIRECT_DATABASE_URL=target.url
        )
        assert around.verdict("connection.pooler") == "pass"

    def test_one_that_is_allowed_is_only_a_warning(
        self, migrator: Migrator, pgbouncer: Callable[..., PgBouncer]
    ) -> None:
        through = pgbouncer(pool_mode="session", server_reset_query="DISCARD ALL").url
        found = diagnose(migrator, "connection.pooler", DATABASE_URL=through, MIGRATOR_ON_POOLER="session")
        assert (found.result.exit_code, found.verdict("connection.pooler")) == (0, "warn")

    def test_nothing_stays_set_in_the_sessions_of_the_app(
        self, migrator: Migrator, pgbouncer: Callable[..., PgBouncer]
    ) -> None:
        pooler = pgbouncer(default_pool_size="1")
        diagnose(migrator, "connection", "server", DATABASE_URL=pooler.url)
        assert pooler.target.value("SHOW default_transaction_read_only") == "off"
        assert pooler.target.value("SHOW statement_timeout") == "0"


class TestWritable:
    @pytest.mark.parametrize(
        "broken",
        [
            "ALTER DATABASE {database} SET default_transaction_read_only = on",
            "ALTER ROLE {user} SET default_transaction_read_only = on",
            "ALTER ROLE {user} IN DATABASE {database} SET default_transaction_read_only = on",
        ],
    )
    def test_sessions_that_are_read_only_by_default(
        self, migrator: Migrator, target: Target, broken: str
    ) -> None:
        _as_superuser(target, broken.format(user=target.user, database=target.database))
        finding = diagnose(migrator, "connection.primary").of("connection.primary")
        assert finding["verdict"] == "fail"
        with target.admin() as session:  # as psql does: one statement after the other
            for statement in finding["remedy"].splitlines():
                session.execute(statement.encode())
        assert diagnose(migrator, "connection.primary").verdict("connection.primary") == "pass"

    def test_a_standby_until_it_is_promoted(self, migrator: Migrator) -> None:
        with Cluster.start(binaries(18)) as cluster, target_on(cluster) as target:
            _as_superuser(target, "COPY (SELECT '') TO PROGRAM 'cat > standby.signal'")
            cluster.restart()
            found = diagnose(migrator, "connection", "server", DATABASE_URL=target.url)
            several = target.url.replace(f"@{HOST}:", f"@{HOST}:{free_port()},{HOST}:")
            of_several = diagnose(migrator, LOGIN, DATABASE_URL=several).of(LOGIN)
            _as_superuser(target, "SELECT pg_promote()")
            promoted = diagnose(migrator, "connection", DATABASE_URL=target.url)
        assert found.of("connection.primary")["seen"].startswith("the server is in recovery")
        assert found.verdict("server.version") == "pass"
        assert (of_several["verdict"], "primary" in of_several["remedy"]) == ("fail", True), of_several
        assert promoted.verdict("connection.primary") == "pass"


def test_a_clock_that_is_wrong(migrator: Migrator, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import time\nreal = time.time\ntime.time = lambda: real() + 60\n"
    )
    found = diagnose(migrator, "connection.clock", PYTHONPATH=str(tmp_path))
    finding = found.of("connection.clock")
    assert finding["verdict"] == "warn"
    assert "behind ours" in finding["seen"]
    assert -61 < finding["skew_seconds"] < -59
    assert diagnose(migrator, "connection.clock").verdict("connection.clock") == "pass"
