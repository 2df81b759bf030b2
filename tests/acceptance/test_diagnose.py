"""`diagnose` as a whole: its two forms, what may be asked for, its exit codes, and that it ends."""

import json
import re
import signal
import socket
import threading
import time

import pytest

from migrator.demo.cluster import HOST, free_port
from tests.support.diagnosed import diagnose
from tests.support.journal import write_journal
from tests.support.project import Project
from tests.support.proxy import TcpProxy
from tests.support.runner import Migrator
from tests.support.target import Target


@pytest.mark.usefixtures("any_cluster")
def test_where_nothing_is_wrong_it_is_exit_0(migrator: Migrator, project: Project) -> None:
    write_journal(project, "a1")
    found = diagnose(migrator, "environment", "packages", "connection", "server", "telemetry")
    assert found.result.exit_code == 0, found.checks
    assert found.summary["fail"] == found.summary["not possible"] == 0
    assert found.summary["pass"] + found.summary["warn"] == len(found.checks)


def test_a_person_reads_one_line_for_a_pass_and_the_remedy_of_the_rest(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    result = migrator(
        "diagnose", "--only", "environment", "server", MIGRATOR_LOG_FORMAT="text", PGDATABASE="other"
    )
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "environment"
    assert "server" in lines
    (line,) = [one for one in lines if " size " in one]
    assert re.match(r"  pass  size +the database takes \d+ kB$", line)
    (number,) = [number for number, one in enumerate(lines) if one.startswith("  WARN  contradictions")]
    assert lines[number + 1].strip().startswith("why ")
    assert lines[number + 2].split() == ["remedy", "unset", "PGDATABASE"]
    assert re.match(r"\d+ findings: \d+ passed, 1 warned, 0 failed, 0 not possible$", lines[-1])
    assert target.password not in result.stdout


def test_what_hinders_several_checks_is_told_once(migrator: Migrator, target: Target) -> None:
    url = target.at(HOST, free_port()).url
    result = migrator("diagnose", "--only", "connection", MIGRATOR_LOG_FORMAT="text", DATABASE_URL=url)
    assert "  n/a   pooler, primary, clock no session can be opened: see connection.login" in result.stdout
    assert result.stdout.count("no session can be opened") == 1
    assert result.stdout.splitlines()[-1].endswith("2 failed, 4 not possible")


def test_an_unknown_check_is_exit_2_and_says_which_there_are(migrator: Migrator) -> None:
    result = migrator("diagnose", "--only", "server.size", "sever", MIGRATOR_LOG_FORMAT="text")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'sever'" in result.stderr
    assert "server.size" in result.stderr.replace("\n", " ")


def test_one_check_alone_is_asked(migrator: Migrator) -> None:
    found = diagnose(migrator, "server.size")
    assert [one["id"] for one in found.checks] == ["server.size"]
    assert found.checks[0]["size_bytes"] > 1_000_000


def test_no_secret_is_in_it(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    result = migrator(
        "diagnose",
        "--json",
        DATABASE_URL=target.at(HOST, free_port()).url,
        MIGRATOR_DIRECT_DATABASE_URL="postgresql://u:an0ther$ecret@localhost:99999/x",
        MIGRATOR_PUSHGATEWAY_URL=f"http://somebody:gateway-secret@{HOST}:{free_port()}",
        MIGRATOR_LOG_FORMAT="text",
    )
    assert result.exit_code == 18
    for secret in (target.password, "an0ther$ecret", "gateway-secret"):
        assert secret not in result.stdout + result.stderr
        assert json.dumps(secret)[1:-1] not in result.stdout


def test_it_writes_nothing(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    next_id = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"

    def takes_no_transaction_id() -> bool:
        before = target.value(next_id)
        diagnose(migrator)
        return bool(target.value(next_id) == before)

    # An autovacuum may take one meanwhile, but not each time.
    assert any(takes_no_transaction_id() for _ in range(3))
    assert target.rows("SELECT FROM pg_tables WHERE schemaname IN ('public', 'migrator')") == []


def test_without_any_settings_the_environment_is_told(migrator: Migrator) -> None:
    found = diagnose(migrator, DATABASE_URL=None, MIGRATOR_BACKUP_URL=None, MIGRATOR_WAIT_TIMEOUT="soon")
    assert found.result.exit_code == 18
    told = " ".join(one["seen"] for one in found.all_of("environment.settings"))
    for name in ("DATABASE_URL is missing", "MIGRATOR_BACKUP_URL is missing", "MIGRATOR_WAIT_TIMEOUT"):
        assert name in told
    for check in ("connection.login", "server.version", "environment.address"):
        assert found.verdict(check) == "not possible"


def test_with_one_invalid_setting_the_rest_is_still_looked_at(migrator: Migrator) -> None:
    found = diagnose(migrator, "environment", "server", MIGRATOR_WAIT_TIMEOUT="soon")
    assert found.result.exit_code == 18
    assert "MIGRATOR_WAIT_TIMEOUT" in found.of("environment.settings")["seen"]
    assert found.verdict("server.version") == "pass"


class TestDeadHosts:
    def test_one_that_refuses(self, migrator: Migrator, target: Target) -> None:
        port = free_port()
        found = diagnose(migrator, DATABASE_URL=target.at(HOST, port).url)
        assert (found.result.exit_code, found.result.seconds < 15) == (18, True)
        assert "refused" in found.of("connection.tcp")["seen"]
        assert f"-p {port}" in found.of("connection.tcp")["remedy"]
        assert found.verdict("server.version") == "not possible"

    def test_one_whose_name_does_not_resolve(self, migrator: Migrator, target: Target) -> None:
        found = diagnose(migrator, DATABASE_URL=target.at("nowhere.invalid", 5432).url)
        assert (found.result.exit_code, found.result.seconds < 15) == (18, True)
        assert found.verdict("connection.names") == "fail"
        assert "nowhere.invalid" in found.of("connection.names")["seen"]
        assert found.of("connection.names")["remedy"] == "getent ahosts nowhere.invalid"

    def test_one_that_accepts_and_never_answers(
        self, migrator: Migrator, target: Target, tcp_proxy: TcpProxy
    ) -> None:
        tcp_proxy.stall()
        found = diagnose(migrator, DATABASE_URL=target.at(tcp_proxy.host, tcp_proxy.port).url)
        assert (found.result.exit_code, found.result.seconds < 15) == (18, True)
        assert found.verdict("connection.tcp") == "pass"
        assert found.verdict("connection.login") == "fail"

    def test_one_that_swallows_every_packet(
        self, migrator: Migrator, target: Target, tcp_proxy: TcpProxy
    ) -> None:
        tcp_proxy.silence()
        found = diagnose(migrator, DATABASE_URL=target.at(tcp_proxy.host, tcp_proxy.port).url)
        assert (found.result.exit_code, found.result.seconds < 15) == (18, True)
        assert "timed out" in found.of("connection.tcp")["seen"]

    def test_one_that_falls_silent_in_between(
        self, migrator: Migrator, project: Project, target: Target, tcp_proxy: TcpProxy
    ) -> None:
        write_journal(project, "a1")
        url = target.at(tcp_proxy.host, tcp_proxy.port).url
        run = migrator.start("diagnose", "--json", DATABASE_URL=url, MIGRATOR_LOG_FORMAT="text")
        began = time.monotonic()
        while not tcp_proxy.connections and time.monotonic() - began < 10:
            time.sleep(0.001)
        tcp_proxy.silence()
        result = run.finish()
        assert result.seconds < 15
        assert json.loads(result.stdout)["summary"]["not possible"] > 0


def test_it_ends_at_once_when_told_to(migrator: Migrator, target: Target) -> None:
    with socket.create_server((HOST, 0)) as server:
        accepted: list[socket.socket] = []
        threading.Thread(target=lambda: accepted.append(server.accept()[0]), daemon=True).start()
        url = target.at(HOST, server.getsockname()[1]).url
        run = migrator.start("diagnose", DATABASE_URL=url, MIGRATOR_LOG_FORMAT="text")
        began = time.monotonic()
        while not accepted and time.monotonic() - began < 10:
            time.sleep(0.01)
        run.signal(signal.SIGTERM)
        told = time.monotonic()
        assert run.finish().exit_code == 143
        assert time.monotonic() - told < 2
        for one in accepted:
            one.close()
