"""An S3-compatible server with a limp: what it does not know, or loses, is up to the test."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

from migrator.demo.cluster import HOST


@dataclass
class OddServer:
    """Keeps objects by path; may not know conditions, and loses so many of its answers to PUT."""

    knows_conditions: bool = True
    loses_answers: int = 0
    objects: dict[str, bytes] = field(default_factory=dict)
    port: int = 0


class _Server(ThreadingHTTPServer):
    odd: OddServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def odd(self) -> OddServer:
        return cast("_Server", self.server).odd

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        content = self.odd.objects.get(self.path)
        self._answer(404 if content is None else 200, content or b"")

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["If-None-Match"] and not self.odd.knows_conditions:
            self._answer(501, b"<Error><Code>NotImplemented</Code></Error>")
        elif self.headers["If-None-Match"] and self.path in self.odd.objects:
            self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
        else:
            self.odd.objects[self.path] = content
            if self.odd.loses_answers:
                self.odd.loses_answers -= 1
                self.close_connection = True
                return
            self._answer(200)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, content: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("ETag", '"0"')
        self.send_header("Last-Modified", "Sun, 01 Mar 2026 10:00:00 GMT")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@contextmanager
def odd_server() -> Iterator[OddServer]:
    """Run one, on a free port."""
    with _Server((HOST, 0), _Handler) as server:
        server.odd = OddServer(port=server.server_address[1])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.odd
        server.shutdown()
