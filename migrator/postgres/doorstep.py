"""What lies before Postgres: the host's addresses, its port, and TLS with the server's certificate."""

import socket
import ssl
import struct
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

# Source: PostgreSQL, "Message Formats", SSLRequest.
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_CONTEXT_0 = 0xA0
_LONG_FORM = 0x80


@dataclass(frozen=True, slots=True)
class Tls:
    """How the server answers whoever asks for TLS; nothing is verified to find that out."""

    is_offered: bool
    protocol: str | None = None
    expires: datetime | None = None


def addresses(host: str, port: int, seconds: float) -> tuple[str, ...]:
    """All addresses of a host, in the order of the resolver. Raises `OSError`, in time."""
    found: list[str] = []
    failures: list[OSError] = []

    def look() -> None:
        try:
            answer = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            failures.append(error)
        except UnicodeError as error:
            failures.append(OSError(f"no name that could be looked up: {error}"))
        else:
            found.extend(dict.fromkeys(str(one[4][0]) for one in answer))

    thread = threading.Thread(target=look, name="resolver", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise OSError(f"no answer within {seconds:g} s")
    if failures:
        raise failures[0]
    return tuple(found)


def knock(address: str, port: int, seconds: float) -> float:
    """Seconds until the port answers; a folder is that of a socket. Raises `OSError`."""
    began = time.monotonic()
    with closing(_connect(address, port, seconds)):
        return time.monotonic() - began


def tls(address: str, port: int, host: str, seconds: float) -> Tls:
    """Ask for TLS, as a client does before it says who it is. Raises `OSError`."""
    with closing(_connect(address, port, seconds)) as plain:
        plain.sendall(_SSL_REQUEST)
        answer = plain.recv(1)
        if answer == b"N":
            return Tls(is_offered=False)
        if answer != b"S":
            raise OSError("something answers there, but not as Postgres does")
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with context.wrap_socket(plain, server_hostname=host) as wrapped:
            certificate = wrapped.getpeercert(binary_form=True)
            return Tls(
                is_offered=True,
                protocol=wrapped.version(),
                expires=_expiry(certificate) if certificate else None,
            )


def _connect(address: str, port: int, seconds: float) -> socket.socket:
    if not address.startswith("/"):
        return socket.create_connection((address, port), timeout=seconds)
    local = socket.socket(socket.AF_UNIX)
    local.settimeout(seconds)
    try:
        local.connect(str(Path(address, f".s.PGSQL.{port}")))
    except OSError:
        local.close()
        raise
    return local


def _expiry(certificate: bytes) -> datetime | None:
    """When it ends, or None where it is not understood. Python tells it only of what it could verify.

    Source: RFC 5280, 4.1: version, serial number, algorithm and issuer stand before the validity.
    """
    try:
        _, outer = _first(certificate)
        _, rest = _first(outer)
        if rest[0] == _CONTEXT_0:
            rest = _after(rest)
        for _ in range(3):
            rest = _after(rest)
        _, validity = _first(rest)
        tag, ends = _first(_after(validity))
        text = ends.decode("ascii")
        forms = {_UTC_TIME: "%y%m%d%H%M%SZ", _GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}
        return datetime.strptime(text, forms[tag]).replace(tzinfo=UTC)
    except (IndexError, KeyError, ValueError):
        return None


def _first(der: bytes) -> tuple[int, bytes]:
    """Tag and content of the first element."""
    start, length = _extent(der)
    return der[0], der[start : start + length]


def _after(der: bytes) -> bytes:
    """What follows the first element."""
    start, length = _extent(der)
    return der[start + length :]


def _extent(der: bytes) -> tuple[int, int]:
    """Where the first element's content starts, and its length."""
    if der[1] < _LONG_FORM:
        return 2, der[1]
    size = der[1] - _LONG_FORM
    return 2 + size, int.from_bytes(der[2 : 2 + size], "big")
