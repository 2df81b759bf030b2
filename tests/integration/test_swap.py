"""The swap: both names change at once, or nothing does; whoever is in the way is told or ended."""

import dataclasses
import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from migrator.clock import SystemClock
from migrator.errors import RecoveryFailed, Terminated
from migrator.postgres.databases import maintenance
from migrator.postgres.leader import LeaderLock, take_leadership
from migrator.postgres.pooler import Admission
from migrator.postgres.session import Connector
from migrator.postgres.swap import Swap, Swapping
from tests.support.replay import let_make_databases
from tests.support.target import Target

pytestmark = pytest.mark.postgres()


@pytest.fixture
def names(target: Target) -> Swap:
    """A target, another database to take its place, and a name to put it aside."""
    let_make_databases(target)
    restored = f"{target.database}_restored"
    target.execute(f"CREATE DATABASE {restored}")
    target.execute("CREATE TABLE old ()")
    dataclasses.replace(target, database=restored).execute("CREATE TABLE new ()")
    return Swap(target.database, restored, f"{target.database}_aside")


@pytest.fixture
def lock(connector: Connector) -> Iterator[LeaderLock]:
    found = take_leadership(
        Admission(connector, SystemClock(connector.stop), "refuse"),
        timedelta(seconds=5),
        is_needless=lambda _: False,
        told=lambda _holders, _waited: None,
    )
    assert found is not None
    yield found
    found.release()


def swap(connector: Connector, names: Swap, lock: LeaderLock, *, disconnects: bool) -> None:
    with connector.reopen("the target") as session:
        server = maintenance(connector, session)
    with server.reopen("the server") as renamer:
        Swapping(server, names, lock, disconnects=disconnects).perform(renamer)


def tables(target: Target, database: str) -> list[str]:
    rows = dataclasses.replace(target, database=database).rows(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    )
    return [name for (name,) in rows]


def test_both_names_change(target: Target, connector: Connector, names: Swap, lock: LeaderLock) -> None:
    swap(connector, names, lock, disconnects=False)
    assert tables(target, names.target) == ["new"]
    assert tables(target, names.aside) == ["old"]


def test_who_is_connected_is_named_and_stays(
    target: Target, connector: Connector, names: Swap, lock: LeaderLock
) -> None:
    with target.connect(application_name="shop web") as other:
        with pytest.raises(RecoveryFailed, match="shop web"):
            swap(connector, names, lock, disconnects=False)
        assert other.execute("SELECT 1").fetchone() == (1,)
    assert tables(target, names.target) == ["old"]
    lock.prove()


def test_who_looks_for_a_moment_is_waited_for(
    target: Target, connector: Connector, names: Swap, lock: LeaderLock
) -> None:
    with target.connect() as other:
        timer = threading.Timer(1.0, other.close)
        timer.start()
        swap(connector, names, lock, disconnects=False)
        timer.join()
    assert tables(target, names.target) == ["new"]


def test_a_superusers_session_cannot_be_ended_and_is_named(
    target: Target, connector: Connector, names: Swap, lock: LeaderLock
) -> None:
    with target.admin(), pytest.raises(RecoveryFailed, match="role postgres"):
        swap(connector, names, lock, disconnects=True)
    assert tables(target, names.target) == ["old"]


def test_told_to_stop_it_renames_nothing(
    target: Target, connector: Connector, names: Swap, lock: LeaderLock
) -> None:
    connector.stop.install()
    try:
        with target.admin():
            threading.Timer(1.0, os.kill, [os.getpid(), signal.SIGTERM]).start()
            began = time.monotonic()
            with pytest.raises(Terminated):
                swap(connector, names, lock, disconnects=True)
            assert time.monotonic() - began < 4
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
    assert tables(target, names.target) == ["old"]
    assert tables(target, names.restored) == ["new"]


def test_a_name_that_is_taken_changes_nothing(
    target: Target, connector: Connector, names: Swap, lock: LeaderLock
) -> None:
    target.execute(f"CREATE DATABASE {names.aside}")
    names = dataclasses.replace(names, aside=names.restored)
    with pytest.raises(RecoveryFailed, match="already exists"):
        swap(connector, names, lock, disconnects=False)
    assert tables(target, names.target) == ["old"]


def test_the_maintenance_database_is_one_that_lets_us_in(target: Target, connector: Connector) -> None:
    with connector.reopen("the target") as session:
        assert maintenance(connector, session).dsn.database == "postgres"
    with psycopg.connect(**target.cluster.admin_params(), autocommit=True) as admin:
        admin.execute("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
        try:
            with connector.reopen("the target") as session:
                assert maintenance(connector, session).dsn.database == "template1"
        finally:
            admin.execute("GRANT CONNECT ON DATABASE postgres TO PUBLIC")
