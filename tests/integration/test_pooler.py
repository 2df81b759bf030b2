"""The proof of session mode: it stands behind such a pooler, and behind no other, however it is used."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta

import psycopg
import pytest

from migrator.clock import Stop, SystemClock
from migrator.errors import InterruptedMidway, PolicyRefused
from migrator.postgres.leader import take_leadership
from migrator.postgres.pooler import Admission, is_pooled
from migrator.postgres.session import Connector
from tests.support.clock import HandClock
from tests.support.pgbouncer import PgBouncer
from tests.support.target import Target
from tests.support.waiting import eventually

Connect = Callable[..., Connector]
PoolerOf = Callable[..., PgBouncer]

LEFT = """
SELECT count(*) FROM pg_locks
WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def examine(connector: Connector) -> Admission:
    """Have a session of this connector take the leader lock, if it may."""
    admission = Admission(connector, SystemClock(Stop()), "session")
    lock = take_leadership(admission, timedelta(minutes=1), is_needless=lambda _: False, told=lambda *_: None)
    assert lock is not None
    lock.release()
    return admission


@contextmanager
def busy(target: Target, clients: int = 6) -> Iterator[None]:
    """Have clients come, work and go all the time."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            with suppress(psycopg.Error), closing(target.connect(prepare_threshold=None)) as session:
                for _ in range(20):
                    session.execute("SELECT count(*) FROM pg_class")

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_postgres_itself_is_no_pooler(connector: Connector) -> None:
    with connector.open() as session:
        assert not is_pooled(session)
    assert examine(connector).way is None


@pytest.mark.parametrize("auth_type", ["scram-sha-256", "plain"])
def test_session_mode_is_proven_and_nothing_is_left_behind(
    pgbouncer: PoolerOf, connect_to: Connect, target: Target, auth_type: str
) -> None:
    pooler = pgbouncer(pool_mode="session", auth_type=auth_type)
    ways = {examine(connect_to(pooler.target)).way for _ in range(3)}  # the later ones meet used sessions
    assert ways == {(pooler.target.host, pooler.target.port, target.database, target.user)}
    assert eventually(lambda: target.value(LEFT) == 0)


def test_session_mode_is_proven_while_others_are_busy(pgbouncer: PoolerOf, connect_to: Connect) -> None:
    pooler = pgbouncer(pool_mode="session", default_pool_size="20")
    with busy(pooler.target):
        assert examine(connect_to(pooler.target)).way is not None


@pytest.mark.parametrize("round_robin", ["0", "1"])
@pytest.mark.parametrize("pool_size", ["1", "2", "20"])
@pytest.mark.parametrize("pool_mode", ["transaction", "statement"])
def test_no_other_mode_passes_for_session_mode(
    pgbouncer: PoolerOf, connect_to: Connect, target: Target, pool_mode: str, pool_size: str, round_robin: str
) -> None:
    pooler = pgbouncer(pool_mode=pool_mode, default_pool_size=pool_size, server_round_robin=round_robin)
    with pytest.raises(PolicyRefused, match="could not be proven") as refusal:
        examine(connect_to(pooler.target))
    assert "MIGRATOR_DIRECT_DATABASE_URL" in str(refusal.value.remedy)
    assert target.value(LEFT) == 0


@pytest.mark.parametrize("pool_mode", ["transaction", "statement"])
@pytest.mark.parametrize("pool_size", ["1", "3", "20"])
def test_no_other_mode_passes_while_others_are_busy(
    pgbouncer: PoolerOf, connect_to: Connect, pool_mode: str, pool_size: str
) -> None:
    pooler = pgbouncer(pool_mode=pool_mode, default_pool_size=pool_size, server_round_robin="1")
    with busy(pooler.target):
        for _ in range(5):
            with pytest.raises(PolicyRefused, match="could not be proven"):
                examine(connect_to(pooler.target))


@pytest.mark.parametrize("pool_mode", ["transaction", "statement"])
def test_who_asks_by_way_of_another_process_is_not_fooled(
    pgbouncer: PoolerOf, connect_to: Connect, pool_mode: str
) -> None:
    """Several processes behind one address: the others never meet the session that is to be proven."""
    pooler, beside = pgbouncer(pool_mode=pool_mode), pgbouncer(pool_mode=pool_mode)
    admission = Admission(connect_to(beside.target), SystemClock(Stop()), "session")
    with (
        connect_to(pooler.target).open() as session,
        pytest.raises(PolicyRefused, match="does not reach its client"),
    ):
        admission.examine(session)


@pytest.mark.parametrize("pool_size", ["1", "4"])
def test_a_pool_too_small_for_a_run_is_refused_within_seconds(
    pgbouncer: PoolerOf, connect_to: Connect, pool_size: str
) -> None:
    pooler = pgbouncer(pool_mode="session", default_pool_size=pool_size)
    with pytest.raises(PolicyRefused, match=f"it gave {pool_size} server sessions at once"):
        examine(connect_to(pooler.target))


def test_a_pool_just_large_enough_for_a_run_is_not_refused(pgbouncer: PoolerOf, connect_to: Connect) -> None:
    pooler = pgbouncer(pool_mode="session", default_pool_size="5")
    assert examine(connect_to(pooler.target)).way is not None


@pytest.mark.parametrize(
    ("reset", "what"),
    [("", "a lock"), ("RESET ALL", "a lock"), ("SELECT pg_advisory_unlock_all()", "a setting")],
)
def test_a_pooler_that_hands_on_what_a_client_left_is_refused(
    pgbouncer: PoolerOf, connect_to: Connect, reset: str, what: str
) -> None:
    pooler = pgbouncer(pool_mode="session", server_reset_query=reset)
    connector = connect_to(pooler.target)
    clock = HandClock()
    with connector.open() as session, pytest.raises(PolicyRefused, match=what) as refusal:
        Admission(connector, clock, "session").examine(session)
    assert "DISCARD ALL" in str(refusal.value.remedy)


def test_a_leader_behind_a_session_pooler_is_seen_from_outside_and_ends_with_its_client(
    pgbouncer: PoolerOf, connect_to: Connect, target: Target
) -> None:
    connector = connect_to(pgbouncer(pool_mode="session").target)
    admission = Admission(connector, SystemClock(Stop()), "session")
    lock = take_leadership(admission, timedelta(0), is_needless=lambda _: False, told=lambda *_: None)
    assert lock is not None
    lock.prove()
    assert target.value(lock.look_sql)
    lock.release()
    with connect_to(target).open() as session:
        assert eventually(lambda: not session.value(lock.look_sql))


def test_a_session_that_is_ended_while_an_answer_is_awaited_is_a_lost_one(
    connector: Connector, target: Target
) -> None:
    with connector.open() as session:
        ending = threading.Timer(
            0.3, target.execute, [f"SELECT pg_terminate_backend({session.client_side_pid})"]
        )
        ending.start()
        with pytest.raises(InterruptedMidway, match="terminating connection"):
            session.value_within("SELECT pg_sleep(30)::text", 20)
        ending.join()
        with pytest.raises(InterruptedMidway, match="a session was lost"):
            session.value_within("SELECT '1'", 5)
