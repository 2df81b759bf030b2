"""Look host names up where a stop can interrupt it: inside the driver and libpq nothing can."""

import os
import socket
import threading
import time
from collections.abc import Mapping

import psycopg

_DEFAULT_PORT = "5432"
_TURN_SECONDS = 0.1


def with_addresses(words: Mapping[str, str], seconds: float) -> dict[str, str]:
    """The same keywords with an address beside each host, in order; a name that has several is repeated.

    Of several hosts, those without an address are left out. To be called where a signal's handler may raise.
    Raises `psycopg.OperationalError` if none has one within so many seconds.
    """
    hosts = words.get("host", "").split(",")
    if not any(map(_is_name, hosts)) or words.get("hostaddr") or os.environ.get("PGHOSTADDR"):
        return dict(words)
    ports = (words.get("port") or os.environ.get("PGPORT") or _DEFAULT_PORT).split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    if len(ports) != len(hosts):  # the driver says so
        return dict(words)
    end = time.monotonic() + seconds
    lookups = [_Lookup(host) for host in hosts]
    found = [
        (lookup.host, address, port)
        for lookup, port in zip(lookups, ports, strict=True)
        for address in lookup.wait(end - time.monotonic())
    ]
    if not found:
        raise psycopg.OperationalError("; ".join(lookup.failure for lookup in lookups))
    columns = [",".join(column) for column in zip(*found, strict=True)]
    return {**words, **dict(zip(("host", "hostaddr", "port"), columns, strict=True))}


class _Lookup:
    """One host's addresses, looked up in a thread that nobody has to wait for."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.failure = f"could not translate host name {host!r} to address: timeout expired"
        self._addresses: tuple[str, ...] = () if _is_name(host) else (host if _is_address(host) else "",)
        self._done = threading.Event()
        if self._addresses:
            self._done.set()
        else:
            threading.Thread(target=self._look, name="resolver", daemon=True).start()

    def wait(self, seconds: float) -> tuple[str, ...]:
        """The addresses; none if there is none, or not within so many seconds."""
        end = time.monotonic() + seconds
        # In short turns: a signal that another thread was given does not wake this one.
        while not self._done.wait(_TURN_SECONDS) and time.monotonic() < end:
            pass
        return self._addresses

    def _look(self) -> None:
        try:
            found = socket.getaddrinfo(self.host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            self.failure = f"could not translate host name {self.host!r} to address: {error}"
        else:
            self._addresses = tuple(dict.fromkeys(str(one[4][0]) for one in found))
        self._done.set()


def _is_name(host: str) -> bool:
    return bool(host) and not host.startswith(("/", "@")) and not _is_address(host)


def _is_address(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host.partition("%")[0])
    except OSError:
        return False
    return True
