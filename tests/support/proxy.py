"""A network that fails on command: a TCP proxy before any server."""

import contextlib
import ctypes
import socket
import struct
import threading
from collections.abc import Mapping
from typing import Final

from migrator.demo.cluster import HOST, free_port

# Lingering for 0 s turns the close into a reset.
_RESET: Final = struct.pack("ii", 1, 0)
# A socket filter sees each segment before TCP does: what it drops is not even acknowledged.
# Source: linux/filter.h and asm-generic/socket.h; the one instruction is `return 0`.
_DROP_ALL: Final = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
_ATTACH_FILTER, _DETACH_FILTER = 26, 27
_PROBES: Final = ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 3))
_LARGE_BYTES: Final = 16384  # no headers are so long


def flipped(content: bytes) -> bytes:
    """One bit in its middle is another."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


class TcpProxy:
    """Forwards connections to one address until told to misbehave.

    The port stays the same for life. What a stall holds back is delivered by `resume`, as a network would.
    The kernel goes on acknowledging for a stalled proxy, so only what waits for an *answer* notices; of a
    silenced one nothing comes back at all.
    """

    def __init__(self, host: str, port: int) -> None:
        """Listen on a free port for whoever wants to reach this address."""
        self._upstream = (host, port)
        self._lock = threading.Lock()
        self._flows = threading.Event()
        self._flows.set()
        # Each client with its way to the server, which a stalled network has not opened yet.
        self._links: dict[socket.socket, socket.socket | None] = {}
        self._is_silent = False
        self._flips = False
        self.host, self.port = HOST, free_port()
        self._listener = socket.create_server((self.host, self.port))
        self._serve()

    @property
    def connections(self) -> int:
        """How many clients are connected to it now."""
        with self._lock:
            return len(self._links)

    def stall(self) -> None:
        """Swallow silently: connections stay open and new ones are accepted, but no byte passes."""
        self._flows.clear()

    def silence(self) -> None:
        """Lose every packet, those of the kernel too: nothing is acknowledged, refused or reset any more."""
        self._flows.clear()
        with self._lock:
            self._is_silent = True
            for end in (self._listener, *_ends(self._links)):
                _drop_all(end)

    def silence_one(self, port: int) -> None:
        """Lose every packet of one connection: of the one that reaches the server from this port."""
        with self._lock:
            links = {
                client: way for client, way in self._links.items() if way and way.getsockname()[1] == port
            }
            assert links, f"no connection reaches the server from port {port}"
            for end in _ends(links):
                _drop_all(end)

    def flip(self) -> None:
        """Give back other bytes than the server gave: of each large piece of an answer, one bit differs."""
        self._flips = True

    def cut(self) -> None:
        """Close every connection properly and refuse new ones."""
        self._stop_listening()
        for end in self._forget_all():
            _hang_up(end)

    def reset(self) -> None:
        """Break every connection with a reset; new ones are welcome."""
        for end in self._forget_all():
            _break_off(end)

    def resume(self) -> None:
        """Behave again, after a stall, a silence or a cut."""
        with self._lock:
            if self._is_silent:
                self._is_silent = False
                for end in (self._listener, *_ends(self._links)):
                    _hear_again(end)
        self._flows.set()
        if self._listener.fileno() == -1:
            self._listener = socket.create_server((self.host, self.port))
            self._serve()

    def close(self) -> None:
        """End it with all its connections; closing twice is fine."""
        self.cut()
        self._flows.set()

    def _serve(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _stop_listening(self) -> None:
        # Closing alone would leave the accepting thread, and with it the port, where they are.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _forget_all(self) -> tuple[socket.socket, ...]:
        with self._lock:
            links, self._links = self._links, {}
        return _ends(links)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                with self._lock:
                    self._links[client] = None
                threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        self._flows.wait()
        try:
            server = socket.create_connection(self._upstream)
        except OSError:
            self._end(client, client)
            return
        with self._lock:
            if client not in self._links:
                server.close()
                return
            self._links[client] = server
        threading.Thread(target=self._pump, args=(client, server, client), daemon=True).start()
        self._pump(server, client, client)

    def _pump(self, source: socket.socket, sink: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                is_large_answer = sink is client and len(data) > _LARGE_BYTES
                sink.sendall(flipped(data) if self._flips and is_large_answer else data)
        self._flows.wait()
        self._end(client, source, sink)

    def _end(self, client: socket.socket, *ends: socket.socket) -> None:
        with self._lock:
            known = client in self._links
            self._links.pop(client, None)
        # Whoever forgot the link has closed it already, perhaps with a reset that must stay one.
        for end in ends if known else ():
            _hang_up(end)


def _ends(links: Mapping[socket.socket, socket.socket | None]) -> tuple[socket.socket, ...]:
    return tuple(end for link in links.items() for end in link if end is not None)


def _drop_all(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        program = struct.pack("HP", 1, ctypes.addressof(_DROP_ALL))
        end.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)


def _hear_again(end: socket.socket) -> None:
    """Let packets in, and probe whether the other side is still there, as a server's keepalives would."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, _DETACH_FILTER, 0)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _PROBES:
            end.setsockopt(socket.IPPROTO_TCP, option, value)


def _hang_up(end: socket.socket) -> None:
    """Close properly; the shutdown wakes a thread that is blocked on it, which would keep it open."""
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


def _break_off(end: socket.socket) -> None:
    """Close with a reset; only the reading side is shut down, as a whole shutdown would say goodbye first."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        end.shutdown(socket.SHUT_RD)
    end.close()
