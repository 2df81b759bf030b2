"""The leader lock: at most one leads, whatever is killed or pooled, and who waits disturbs nobody."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from migrator.clock import Stop, SystemClock
from migrator.errors import AccessDenied, DatabaseUnavailable, InterruptedMidway, LeaderBusy, PolicyRefused
from migrator.postgres.leader import FENCE_SQL, Holder, LeaderLock, take_leadership
from migrator.postgres.pooler import Admission, OnPooler
from migrator.postgres.session import Connector, Session
from migrator.settings import Dsn, Secret
from tests.support.clock import HandClock
from tests.support.pgbouncer import PgBouncer
from tests.support.target import Target
from tests.support.waiting import eventually

pytestmark = pytest.mark.postgres()

AT_ONCE, PATIENT = timedelta(0), timedelta(seconds=60)


def needed(_session: Session) -> bool:
    return False


def unheard(_holders: tuple[Holder, ...], _waited_seconds: float) -> None:
    return None


def lead(
    connector: Connector,
    clock: HandClock | SystemClock | None = None,
    patience: timedelta = AT_ONCE,
    *,
    is_needless: Callable[[Session], bool] = needed,
    told: Callable[[tuple[Holder, ...], float], None] = unheard,
    on_pooler: OnPooler = "refuse",
) -> LeaderLock:
    admission = Admission(connector, clock or HandClock(), on_pooler)
    lock = take_leadership(admission, patience, is_needless=is_needless, told=told)
    assert lock is not None
    return lock


@contextlib.contextmanager
def leading(connector: Connector) -> Iterator[LeaderLock]:
    lock = lead(connector)
    yield lock
    lock.release()


def sessions(target: Target, application: str) -> int:
    with target.admin() as session:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
        row = session.execute(query, (application,)).fetchone()
    assert row is not None
    return int(row[0])


def is_seen(target: Target, lock: LeaderLock) -> bool:
    return bool(target.value(lock.look_sql))


def test_a_second_leader_is_refused_and_told_who_leads(
    target: Target, connect_to: Callable[..., Connector]
) -> None:
    heard: list[tuple[tuple[Holder, ...], float]] = []
    said = r"another runner still leads.*migrator shop@1\.2 run 42"
    with leading(connect_to(target, "migrator shop@1.2 run 42")), pytest.raises(LeaderBusy, match=said):
        lead(connect_to(target), told=lambda *facts: heard.append(facts))
    ((holders, waited),) = heard
    assert [holder.application for holder in holders] == ["migrator shop@1.2 run 42"]
    assert waited == 0


def test_of_many_that_try_at_once_one_leads(target: Target, connect_to: Callable[..., Connector]) -> None:
    def attempt(number: int) -> LeaderLock | None:
        with contextlib.suppress(LeaderBusy):
            return lead(connect_to(target, f"migrator {number}"))
        return None

    with ThreadPoolExecutor(8) as threads:
        locks = [lock for lock in threads.map(attempt, range(24)) if lock is not None]
    assert len(locks) == 1
    locks[0].prove()
    locks[0].release()


def test_leaders_of_other_databases_do_not_meet(
    target: Target, connector: Connector, connect_to: Callable[..., Connector]
) -> None:
    other = dataclasses.replace(target, database=f"{target.database}_other")
    target.cluster.create_database(other.database, target.user)
    with leading(connector) as lock, leading(connect_to(other)) as other_lock:
        assert is_seen(target, lock)
        assert is_seen(other, other_lock)
        assert not is_seen(other, lock)
        assert not is_seen(target, other_lock)


def test_whoever_waits_leads_when_the_leader_ends(connector: Connector) -> None:
    first = lead(connector)
    clock = HandClock(lambda: None, first.release)
    second = lead(connector, clock, PATIENT)
    assert len(clock.slept) >= 2
    second.prove()
    second.release()


def test_a_leader_whose_session_was_killed_leads_no_more(target: Target, connector: Connector) -> None:
    first = lead(connector)
    with target.admin() as session:
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s"
        session.execute(query, (target.user,))
    with pytest.raises(InterruptedMidway, match="the leader lock was lost"):
        first.prove()
    with leading(connector) as second:
        assert is_seen(target, second)
        assert not is_seen(target, first)
    first.release()


def test_a_look_is_true_only_while_this_very_run_leads(target: Target, connector: Connector) -> None:
    with leading(connector) as first:
        assert is_seen(target, first)
    assert eventually(lambda: not is_seen(target, first))
    with leading(connector) as second:
        assert is_seen(target, second)
        assert not is_seen(target, first)


def test_the_token_alone_is_no_leadership(target: Target, connector: Connector) -> None:
    with leading(connector) as first:
        pass
    assert eventually(lambda: not is_seen(target, first))
    with target.connect() as impostor:
        impostor.execute("SELECT pg_advisory_lock(%s)", (first._token,))  # noqa: SLF001 - what only it knows
        assert not is_seen(target, first)


def test_an_old_session_that_holds_the_fence_keeps_a_new_leader_waiting(
    target: Target, connector: Connector
) -> None:
    with target.connect(application_name="worker of an old run") as old:
        old.execute(FENCE_SQL.encode())
        with pytest.raises(LeaderBusy, match="an earlier run is still alive: worker of an old run"):
            lead(connector, HandClock(), PATIENT)
        clock = HandClock(lambda: None, old.close)
        lock = lead(connector, clock, PATIENT)
    assert len(clock.slept) >= 2
    assert is_seen(target, lock)
    lock.release()


def test_a_leader_that_gave_up_at_the_fence_leaves_no_session(target: Target, connector: Connector) -> None:
    with target.connect() as old:
        old.execute(FENCE_SQL.encode())
        with pytest.raises(LeaderBusy):
            lead(connector)
    assert eventually(lambda: sessions(target, "migrator test") == 0, seconds=5)


def test_migration_sessions_share_the_fence(target: Target, connector: Connector) -> None:
    with leading(connector), target.connect() as one, target.connect() as other:
        assert one.execute(FENCE_SQL.encode()).fetchone() == (True,)
        assert other.execute(FENCE_SQL.encode()).fetchone() == (True,)


def test_who_waits_holds_no_connection_between_its_tries(
    target: Target, connect_to: Callable[..., Connector]
) -> None:
    left: list[bool] = []

    def count() -> None:
        left.append(eventually(lambda: sessions(target, "migrator waits") == 0, seconds=5))

    with leading(connect_to(target, "migrator leads")), pytest.raises(LeaderBusy):
        lead(connect_to(target, "migrator waits"), HandClock(*[count] * 5), PATIENT)
    assert left == [True] * 5


def test_who_waits_does_not_hold_up_an_index_that_is_built_concurrently(
    target: Target, connect_to: Callable[..., Connector]
) -> None:
    target.execute("CREATE TABLE book (title text)")
    waiter = connect_to(target, "migrator waits")
    stop = waiter.stop
    heard: list[float] = []
    with leading(connect_to(target)), ThreadPoolExecutor(1) as threads:
        patience = timedelta(seconds=3)
        waiting = threads.submit(
            lead, waiter, SystemClock(stop), patience, told=lambda _, waited: heard.append(waited)
        )
        assert eventually(lambda: heard)
        for number in range(5):
            target.execute("SET statement_timeout = '5s'")
            target.execute(f"CREATE INDEX CONCURRENTLY i{number} ON book (title)")
        with pytest.raises(LeaderBusy):
            waiting.result(timeout=20)


def test_who_finds_nothing_left_to_do_does_not_lead(target: Target, connector: Connector) -> None:
    with leading(connector):
        admission = Admission(connector, HandClock(), "refuse")
        found = take_leadership(admission, PATIENT, is_needless=lambda _: True, told=unheard)
    assert found is None
    assert eventually(lambda: sessions(target, "migrator test") == 0, seconds=5)


def test_a_server_that_is_full_is_busy_and_not_broken(target: Target, connector: Connector) -> None:
    def limit(number: int) -> None:
        with target.admin() as session:
            session.execute(f'ALTER ROLE "{target.user}" CONNECTION LIMIT {number}'.encode())

    limit(0)
    with pytest.raises(DatabaseUnavailable, match="too many connections"):
        lead(connector)
    clock = HandClock(lambda: limit(-1))
    lead(connector, clock, PATIENT).release()
    assert len(clock.slept) == 1


def test_the_server_lets_go_of_a_leader_that_a_silent_network_lost(connector: Connector) -> None:
    names = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "idle_session_timeout")
    with leading(connector) as lock:
        assert [lock.session.value(f"SHOW {name}") for name in names] == ["10", "5", "3", "0"]


def test_a_database_that_became_read_only_is_not_led(target: Target, connector: Connector) -> None:
    def read_only(value: str) -> None:
        with target.admin() as session:
            session.execute("SET default_transaction_read_only = off")
            session.execute(
                f"ALTER DATABASE {target.database} SET default_transaction_read_only = {value}".encode()
            )

    read_only("on")
    with pytest.raises(DatabaseUnavailable, match=r"read-only \(a failover may be under way\)"):
        lead(connector)
    clock = HandClock(lambda: read_only("off"))
    with_patience = lead(connector, clock, PATIENT)
    assert len(clock.slept) == 1
    with_patience.release()


def test_a_role_that_is_refused_does_not_wait(connector: Connector) -> None:
    wrong = dataclasses.replace(connector.dsn, password=Secret("guessed"))
    with pytest.raises(AccessDenied, match="Postgres refused the connection"):
        lead(dataclasses.replace(connector, dsn=wrong))


@pytest.mark.parametrize("pool_mode", ["session", "transaction"])
def test_a_pooler_is_refused(pgbouncer: Callable[..., PgBouncer], pool_mode: str) -> None:
    pooler = pgbouncer(pool_mode=pool_mode)
    with pytest.raises(PolicyRefused, match="pooler") as refusal:
        lead(Connector(Dsn.parse(pooler.url), "migrator test", Stop()))
    assert "MIGRATOR_DIRECT_DATABASE_URL" in refusal.value.remedy
