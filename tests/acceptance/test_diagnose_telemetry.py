"""Diagnosis of the Pushgateway: there, not there, silent, refusing, and something else altogether."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from migrator.demo.cluster import HOST, free_port
from tests.support.diagnosed import diagnose
from tests.support.pushgateway import Pushgateway
from tests.support.runner import Migrator

CHECK = "telemetry.pushgateway"


@contextmanager
def _answering(status: int) -> Iterator[str]:
    """A web server that answers everything like this."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer((HOST, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"{HOST}:{server.server_address[1]}"
        server.shutdown()


def test_one_that_is_ready_gets_no_metrics(migrator: Migrator, pushgateway: Pushgateway) -> None:
    assert diagnose(migrator, CHECK, MIGRATOR_PUSHGATEWAY_URL=pushgateway.url).verdict(CHECK) == "pass"
    assert pushgateway.groups() == []


def test_none_is_fine(migrator: Migrator) -> None:
    assert diagnose(migrator, CHECK).verdict(CHECK) == "pass"


def test_one_that_does_not_answer(migrator: Migrator) -> None:
    port = free_port()
    found = diagnose(migrator, CHECK, MIGRATOR_PUSHGATEWAY_URL=f"http://me:hush-hush@{HOST}:{port}/prefix")
    finding = found.of(CHECK)
    assert (found.result.exit_code, finding["verdict"]) == (0, "warn")
    assert "refused" in finding["seen"]
    assert finding["remedy"] == f"curl -sS http://{HOST}:{port}/prefix/-/ready"
    assert "hush-hush" not in found.result.stdout


def test_one_that_accepts_and_says_nothing(migrator: Migrator) -> None:
    with socket.create_server((HOST, 0)) as server:
        url = f"http://{HOST}:{server.getsockname()[1]}"
        finding = diagnose(migrator, CHECK, MIGRATOR_PUSHGATEWAY_URL=url).of(CHECK)
    assert (finding["verdict"], "no answer" in finding["seen"] or "timed out" in finding["seen"]) == (
        "warn",
        True,
    )


def test_one_that_refuses_us(migrator: Migrator) -> None:
    with _answering(401) as address:
        finding = diagnose(migrator, CHECK, MIGRATOR_PUSHGATEWAY_URL=f"http://{address}").of(CHECK)
    assert (finding["verdict"], finding["status"]) == ("warn", 401)
    assert "MIGRATOR_PUSHGATEWAY_URL" in finding["remedy"]


def test_something_else_that_answers_there(migrator: Migrator) -> None:
    with _answering(404) as address:
        finding = diagnose(migrator, CHECK, MIGRATOR_PUSHGATEWAY_URL=f"http://{address}").of(CHECK)
    assert (finding["verdict"], "as no Pushgateway does" in finding["seen"]) == ("warn", True)
