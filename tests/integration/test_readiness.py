"""Waiting for Postgres: what each refusal of a real server means, and when waiting ends."""

import contextlib
import dataclasses
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest

from migrator.clock import Clock, Stop, SystemClock
from migrator.demo.cluster import HOST, Cluster, embedded_binaries, free_port
from migrator.errors import AccessDenied, DatabaseUnavailable, InterruptedMidway, SettingsInvalid, Terminated
from migrator.postgres.readiness import Attempt, wait_until_ready
from migrator.postgres.refusal import Verdict, verdict
from migrator.postgres.session import Connector, Session
from migrator.settings import Dsn
from tests.support.clock import HandClock
from tests.support.pgbouncer import PgBouncer
from tests.support.proxy import TcpProxy
from tests.support.target import Target

PATIENCE = timedelta(seconds=60)


def connector_to(url: str) -> Connector:
    return Connector(Dsn.parse(url), "migrator test", Stop())


def judged(url: str) -> tuple[Verdict, str]:
    """Try once, and judge the failure."""
    with pytest.raises(psycopg.OperationalError) as failure:
        connector_to(url).open(timeout_seconds=2)
    return verdict(failure.value), str(failure.value)


def wait(
    url: str, clock: Clock, patience: timedelta = PATIENCE, heard: list[Attempt] | None = None
) -> Session:
    told = (lambda _: None) if heard is None else heard.append
    return wait_until_ready(connector_to(url), clock, patience, told)


def is_writable(session: Session) -> bool:
    with session:
        return session.value("SELECT NOT pg_is_in_recovery()") is True


@contextlib.contextmanager
def restored(target: Target, change: str, back: str) -> Iterator[None]:
    with psycopg.connect(**target.cluster.admin_params(), autocommit=True) as session:
        session.execute(change.encode())
        try:
            yield
        finally:
            session.execute(back.encode())


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """A server of the test's own, to be stopped and set back."""
    with Cluster.start(embedded_binaries(18)) as cluster:
        cluster.create_role("shop", "secret")
        cluster.create_database("orders", "shop")
        yield cluster


def url_of(cluster: Cluster) -> str:
    return f"postgresql://shop:secret@{cluster.host}:{cluster.port}/orders"


def signal_file(cluster: Cluster, name: str) -> None:
    """Put a file there that a starting server looks for."""
    data = cluster.socket_dir / "data"
    owner = data.stat()
    (data / name).touch()
    os.chown(data / name, owner.st_uid, owner.st_gid)


@pytest.fixture
def primary() -> Iterator[Cluster]:
    """A primary with the same role and database."""
    with Cluster.start(embedded_binaries(16)) as cluster:
        cluster.create_role("shop", "secret")
        cluster.create_database("orders", "shop")
        yield cluster


@pytest.fixture
def standby(own_cluster: Cluster) -> Cluster:
    """A server that follows nobody and never becomes a primary."""
    own_cluster.stop()
    signal_file(own_cluster, "standby.signal")
    own_cluster.restart()
    return own_cluster


class TestVerdicts:
    """What a failed attempt means."""

    @pytest.mark.postgres
    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"password": "guessed"}, "authentication failed"),
            ({"user": "nobody_of_this_name"}, "authentication failed"),
            ({"database": "no_such_database"}, "does not exist"),
        ],
    )
    def test_a_wrong_name_or_password_is_refused(
        self, target: Target, change: dict[str, str], said: str
    ) -> None:
        found, text = judged(dataclasses.replace(target, **change).url)  # type: ignore[arg-type]
        assert found is Verdict.REFUSED
        assert said in text

    @pytest.mark.postgres
    @pytest.mark.parametrize(
        ("change", "back", "expected"),
        [
            ('ALTER ROLE "{user}" NOLOGIN', 'ALTER ROLE "{user}" LOGIN', Verdict.REFUSED),
            (
                'ALTER DATABASE "{database}" ALLOW_CONNECTIONS false',
                'ALTER DATABASE "{database}" ALLOW_CONNECTIONS true',
                Verdict.REFUSED,
            ),
            (
                'ALTER ROLE "{user}" CONNECTION LIMIT 0',
                'ALTER ROLE "{user}" CONNECTION LIMIT -1',
                Verdict.PASSING,
            ),
            (
                'ALTER DATABASE "{database}" CONNECTION LIMIT 0',
                'ALTER DATABASE "{database}" CONNECTION LIMIT -1',
                Verdict.PASSING,
            ),
        ],
    )
    def test_who_may_not_in_is_refused_and_who_finds_it_full_may_wait(
        self, target: Target, change: str, back: str, expected: Verdict
    ) -> None:
        names = {"user": target.user, "database": target.database}
        with restored(target, change.format(**names), back.format(**names)):
            assert judged(target.url)[0] is expected

    def test_a_role_without_the_privilege_to_connect_is_refused(self, target: Target) -> None:
        change = f'REVOKE CONNECT ON DATABASE "{target.database}" FROM PUBLIC, "{target.user}"'
        back = f'GRANT CONNECT ON DATABASE "{target.database}" TO "{target.user}"'
        with restored(target, change, back):
            found, text = judged(target.url)
        assert found is Verdict.REFUSED
        assert "permission denied for database" in text

    def test_where_nobody_listens_somebody_may_yet(self, target: Target) -> None:
        assert judged(target.at(HOST, free_port()).url)[0] is Verdict.PASSING

    def test_a_name_that_is_not_known_may_yet_be(self, target: Target) -> None:
        assert judged(target.at("postgres.invalid", 5432).url)[0] is Verdict.PASSING

    def test_a_network_that_swallows_everything_may_yet_let_it_through(
        self, target: Target, tcp_proxy: TcpProxy
    ) -> None:
        tcp_proxy.stall()
        assert judged(target.at(tcp_proxy.host, tcp_proxy.port).url)[0] is Verdict.PASSING

    def test_of_several_hosts_one_that_may_yet_come_up_decides(self, target: Target) -> None:
        wrong = dataclasses.replace(target, password="guessed").at(
            f"{HOST}:{free_port()},{HOST}", target.port
        )
        assert judged(wrong.url)[0] is Verdict.PASSING

    @pytest.mark.parametrize("change", [{"password": "guessed"}, {"database": "no_such_database"}])
    def test_a_pooler_that_refuses_is_understood(
        self, pgbouncer: Callable[..., PgBouncer], change: dict[str, str]
    ) -> None:
        pooler = pgbouncer()
        wrong = dataclasses.replace(pooler.target, **change)  # type: ignore[arg-type]
        assert judged(wrong.url)[0] is Verdict.REFUSED


def test_an_address_the_driver_does_not_try_is_a_matter_of_settings(target: Target) -> None:
    dsn = dataclasses.replace(Dsn.parse(target.url), parameters=(("connect_timeout", "abc"),))
    with pytest.raises(SettingsInvalid, match="address cannot be used"):
        Connector(dsn, "migrator test", Stop()).open()


@pytest.mark.parametrize("wanted", ["0", "30"])
def test_a_run_that_leaves_has_no_time_for_the_urls_timeout(
    target: Target, tcp_proxy: TcpProxy, wanted: str
) -> None:
    tcp_proxy.stall()
    stop = Stop()
    stop.received = signal.SIGTERM
    with pytest.raises(Terminated):
        stop.check()
    url = f"{target.at(tcp_proxy.host, tcp_proxy.port).url}?connect_timeout={wanted}"
    began = time.monotonic()
    with pytest.raises(psycopg.OperationalError, match="timeout"):
        Connector(Dsn.parse(url), "migrator test", stop).open()
    assert time.monotonic() - began < 4


def test_a_silent_server_is_not_tried_again_for_as_long_as_the_url_says(
    target: Target, tcp_proxy: TcpProxy
) -> None:
    tcp_proxy.silence()
    url = f"{target.at(tcp_proxy.host, tcp_proxy.port).url}?connect_timeout=60"
    began = time.monotonic()
    with pytest.raises(InterruptedMidway, match="no connection to the result: connection timeout"):
        Connector(Dsn.parse(url), "migrator test", Stop()).reopen("the result")
    assert time.monotonic() - began < 20


def test_the_address_that_was_reached_is_told(target: Target, connector: Connector) -> None:
    with connector.open() as session:
        assert (session.numeric_address, session.database) == (target.host, target.database)
    named = target.at("localhost", target.port)
    with connector_to(named.url).open() as session:
        assert session.address == ("localhost", target.port)
        assert session.numeric_address == HOST


class _DiesAtItsFirstStatement(TcpProxy):
    """A server that lets us in, then dies of the first thing it is asked; once."""

    died = False

    def _pump(self, source: socket.socket, sink: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the other direction may have ended the connection
            while data := source.recv(65536):
                if b"pg_is_in_recovery" in data and not self.died:
                    self.died = True
                    break
                sink.sendall(data)
        self._end(client, source, sink)


class TestWaiting:
    """Until a writable primary answers, or patience ends."""

    @pytest.mark.postgres
    def test_a_server_that_is_there_is_not_waited_for(self, target: Target) -> None:
        clock = HandClock()
        heard: list[Attempt] = []
        assert is_writable(wait(target.url, clock, heard=heard))
        assert (clock.slept, heard) == ([], [])

    def test_a_role_that_is_created_late_is_waited_for(self, target: Target) -> None:
        user = f"{target.user}_late"
        clock = HandClock(lambda: None, lambda: target.cluster.create_role(user, target.password))
        heard: list[Attempt] = []
        assert is_writable(wait(dataclasses.replace(target, user=user).url, clock, heard=heard))
        with psycopg.connect(**target.cluster.admin_params(), autocommit=True) as session:
            session.execute(f'DROP ROLE "{user}"'.encode())
        assert [(attempt.number, attempt.verdict) for attempt in heard] == [
            (1, Verdict.REFUSED),
            (2, Verdict.REFUSED),
        ]

    def test_a_refusal_that_lasts_ends_the_wait_after_15_seconds(self, target: Target) -> None:
        clock = HandClock()
        with pytest.raises(AccessDenied, match="password authentication failed"):
            wait(dataclasses.replace(target, password="guessed").url, clock)
        assert 15 <= clock.now < 20

    def test_a_refusal_ends_with_patience_if_that_is_shorter(self, target: Target) -> None:
        clock = HandClock()
        with pytest.raises(AccessDenied):
            wait(dataclasses.replace(target, password="guessed").url, clock, timedelta(seconds=2))
        assert clock.now < 3

    def test_patience_ends(self, target: Target) -> None:
        clock = HandClock()
        with pytest.raises(DatabaseUnavailable, match=r"not ready within 60 s: .*refused"):
            wait(target.at(HOST, free_port()).url, clock)
        assert 60 <= clock.now < 61
        assert max(clock.slept) <= 3

    @pytest.mark.postgres
    def test_a_read_only_database_is_waited_for(self, target: Target) -> None:
        on = f'ALTER DATABASE "{target.database}" SET default_transaction_read_only = on'
        off = f'ALTER DATABASE "{target.database}" RESET default_transaction_read_only'
        with restored(target, on, off), pytest.raises(DatabaseUnavailable, match="read-only"):
            wait(target.url, HandClock())

    def test_a_server_that_comes_back_is_found(self, own_cluster: Cluster) -> None:
        own_cluster.stop()
        clock = HandClock(lambda: None, own_cluster.restart)
        assert is_writable(wait(url_of(own_cluster), clock))
        assert len(clock.slept) == 2

    def test_a_server_that_lets_us_in_and_dies_is_waited_for(self, target: Target) -> None:
        proxy = _DiesAtItsFirstStatement(target.host, target.port)
        clock = HandClock(lambda: None)
        heard: list[Attempt] = []
        with contextlib.closing(proxy):
            assert is_writable(wait(target.at(proxy.host, proxy.port).url, clock, heard=heard))
        assert [attempt.verdict for attempt in heard] == [Verdict.PASSING]

    def test_a_server_that_does_not_let_us_look_is_waited_for(self, target: Target) -> None:
        on = f'ALTER ROLE "{target.user}" SET search_path = unreadable, pg_catalog'
        off = f'ALTER ROLE "{target.user}" RESET search_path'
        with target.admin() as admin:
            admin.execute(
                "CREATE SCHEMA unreadable; CREATE FUNCTION unreadable.pg_is_in_recovery() RETURNS bool "
                "LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'later' USING ERRCODE = '57014'; END $$;"
                "GRANT USAGE ON SCHEMA unreadable TO PUBLIC"
            )
        with restored(target, on, off), pytest.raises(DatabaseUnavailable, match="not ready within 60 s"):
            wait(target.url, HandClock())

    def test_a_standby_is_waited_for_until_it_is_promoted(self, standby: Cluster) -> None:
        with pytest.raises(DatabaseUnavailable, match="in recovery"):
            wait(url_of(standby), HandClock())
        with psycopg.connect(**standby.admin_params(), autocommit=True) as session:
            clock = HandClock(lambda: session.execute("SELECT pg_promote()"))
            assert is_writable(wait(url_of(standby), clock))
        assert len(clock.slept) == 1

    def test_of_several_hosts_the_primary_is_chosen(self, standby: Cluster, primary: Cluster) -> None:
        hosts = f"{HOST}:{free_port()},{HOST}:{standby.port},{HOST}:{primary.port}"
        session = wait(f"postgresql://shop:secret@{hosts}/orders", HandClock())
        assert session.address[1] == primary.port
        assert is_writable(session)

    def test_a_server_that_is_starting_up_is_waited_for(self, own_cluster: Cluster) -> None:
        with psycopg.connect(**own_cluster.admin_params(), autocommit=True) as admin:
            admin.execute("ALTER SYSTEM SET restore_command = 'sleep 1; false'")
        own_cluster.stop()
        signal_file(own_cluster, "recovery.signal")
        heard: list[Attempt] = []
        with ThreadPoolExecutor(1) as threads:
            started = threads.submit(own_cluster.restart)
            session = wait(url_of(own_cluster), SystemClock(Stop()), heard=heard)
            started.result(timeout=60)
        assert is_writable(session)
        assert {attempt.verdict for attempt in heard} == {Verdict.PASSING}
        assert any("starting up" in attempt.reason or "not yet" in attempt.reason for attempt in heard)
