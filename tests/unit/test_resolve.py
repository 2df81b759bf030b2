"""Names become addresses where a stop can interrupt it."""

import signal
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from migrator.clock import Stop
from migrator.errors import Terminated
from migrator.postgres.refusal import Verdict, verdict
from migrator.postgres.resolve import with_addresses

ADDRESSES = {"db1": ["10.0.0.1", "10.0.0.2"], "db2": ["fd00::2"]}


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A name server that knows two names; what it does not know at all it never answers, until it is set."""
    answers = threading.Event()

    def look(host: str, *_: Any, **__: Any) -> list[Any]:
        if host == "silent":
            answers.wait(30)
        if host not in ADDRESSES:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(None, None, None, "", (address, 0)) for address in ADDRESSES[host] * 2]

    monkeypatch.setattr(socket, "getaddrinfo", look)
    yield answers
    answers.set()


@pytest.mark.usefixtures("names")
class TestAddresses:
    def test_each_address_of_a_name_has_its_host_and_port(self) -> None:
        words = with_addresses({"host": "db1,db2", "port": "5433,5434", "sslmode": "require"}, 5)
        assert words == {
            "host": "db1,db1,db2",
            "hostaddr": "10.0.0.1,10.0.0.2,fd00::2",
            "port": "5433,5433,5434",
            "sslmode": "require",
        }

    def test_one_port_is_that_of_all(self) -> None:
        assert with_addresses({"host": "db1", "port": "6432"}, 5)["port"] == "6432,6432"
        assert with_addresses({"host": "db2"}, 5)["port"] == "5432"

    def test_sockets_and_addresses_keep_their_place(self) -> None:
        words = with_addresses({"host": "/run,db2,::1,10.9.9.9,@x"}, 5)
        assert words["host"] == "/run,db2,::1,10.9.9.9,@x"
        assert words["hostaddr"] == ",fd00::2,::1,10.9.9.9,"

    @pytest.mark.parametrize(
        "words",
        [
            {},
            {"host": "/run"},
            {"host": "127.0.0.1"},
            {"host": "::1"},
            {"host": "db1", "hostaddr": "10.0.0.9"},
        ],
    )
    def test_without_a_name_nothing_is_looked_up(self, words: dict[str, str]) -> None:
        assert with_addresses(words, 5) == words

    def test_an_address_in_libpqs_variable_wins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PGHOSTADDR", "10.0.0.9")
        assert with_addresses({"host": "db1"}, 5) == {"host": "db1"}

    def test_a_name_without_an_address_may_yet_have_one(self) -> None:
        with pytest.raises(psycopg.OperationalError, match="could not translate host name 'db3'") as failure:
            with_addresses({"host": "db3"}, 5)
        assert verdict(failure.value) is Verdict.PASSING

    def test_of_several_hosts_those_that_are_known_are_tried(self) -> None:
        words = with_addresses({"host": "db3,db2", "port": "1,2"}, 5)
        assert (words["host"], words["port"]) == ("db2", "2")

    def test_a_name_server_that_is_silent_is_not_waited_for(self) -> None:
        began = time.monotonic()
        with pytest.raises(psycopg.OperationalError, match="timeout expired") as failure:
            with_addresses({"host": "silent"}, 0.05)
        assert time.monotonic() - began < 5
        assert verdict(failure.value) is Verdict.PASSING

    def test_a_stop_ends_the_wait_for_a_silent_name_server(self) -> None:
        stop = Stop()
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        stop.install()
        timer = threading.Timer(0.1, signal.raise_signal, (signal.SIGTERM,))
        timer.start()
        began = time.monotonic()
        with pytest.raises(Terminated), stop.interruptible():
            with_addresses({"host": "silent"}, 20)
        assert time.monotonic() - began < 10
        for number, handler in before.items():
            signal.signal(number, handler)
