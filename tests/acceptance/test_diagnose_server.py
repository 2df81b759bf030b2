"""Diagnosis of the server: each thing that is wrong with it, and the remedy as pasted."""

import contextlib

import psycopg
import pytest

from tests.support.diagnosed import diagnose
from tests.support.project import Project
from tests.support.runner import Migrator
from tests.support.target import Target


def _as_superuser(target: Target, statement: str) -> None:
    with target.admin() as session:
        session.execute(statement.encode())


def _repaired(migrator: Migrator, target: Target, check: str) -> bool:
    """Whether the remedy of what is wrong makes the check pass."""
    remedy = diagnose(migrator, check).of(check)["remedy"]
    with target.admin() as session:  # as psql does: one statement after the other
        for statement in remedy.partition(": ")[2].splitlines() or remedy.splitlines():
            session.execute(statement.encode())
    return diagnose(migrator, check).verdict(check) == "pass"


@pytest.mark.usefixtures("any_cluster")
def test_version_size_and_encoding_are_told(migrator: Migrator, target: Target) -> None:
    found = diagnose(migrator, "server")
    assert found.of("server.version")["major"] == target.cluster.binaries.major
    assert found.of("server.size")["size_bytes"] > 1_000_000
    assert found.of("server.encoding")["encoding"] == "UTF8"
    assert found.verdict("server.collation") == found.verdict("server.leader") == "pass"


def test_an_encoding_that_checks_nothing(migrator: Migrator, target: Target) -> None:
    name = f"{target.database}_ascii"
    _as_superuser(
        target, f"CREATE DATABASE {name} OWNER {target.user} ENCODING 'SQL_ASCII' TEMPLATE template0"
    )
    url = target.url.replace(f"/{target.database}", f"/{name}")
    finding = diagnose(migrator, "server.encoding", DATABASE_URL=url).of("server.encoding")
    assert (finding["verdict"], finding["encoding"]) == ("warn", "SQL_ASCII")
    _as_superuser(target, finding["remedy"].partition(": ")[2].replace(" new ", f" {name}_new "))
    _as_superuser(target, f"ALTER DATABASE {name}_new OWNER TO {target.user}")
    cured = diagnose(migrator, "server.encoding", DATABASE_URL=url.replace(name, f"{name}_new"))
    assert cured.verdict("server.encoding") == "pass"


@pytest.mark.postgres(15)
def test_a_collation_of_another_version(migrator: Migrator, target: Target) -> None:
    target.execute('CREATE TABLE words (word text COLLATE "de-x-icu")')
    recorded = target.value("SELECT collversion FROM pg_collation WHERE collname = 'de-x-icu'")
    assert diagnose(migrator, "server.collation").verdict("server.collation") == "pass"
    _as_superuser(target, "UPDATE pg_collation SET collversion = '1.2' WHERE collname = 'de-x-icu'")
    finding = diagnose(migrator, "server.collation").of("server.collation")
    assert (finding["verdict"], finding["recorded"], finding["actual"]) == ("warn", "1.2", recorded)
    assert _repaired(migrator, target, "server.collation")


def test_a_role_with_too_few_connections(migrator: Migrator, target: Target) -> None:
    _as_superuser(target, f"ALTER ROLE {target.user} CONNECTION LIMIT 4")
    findings = diagnose(migrator, "server.connections").all_of("server.connections")
    (finding,) = [one for one in findings if one["verdict"] == "fail"]
    assert (finding["limit"], "role" in finding["seen"]) == (4, True)
    _as_superuser(target, finding["remedy"])
    assert diagnose(migrator, "server.connections").verdict("server.connections") == "pass"


def test_a_server_that_is_nearly_full(migrator: Migrator, target: Target) -> None:
    with contextlib.ExitStack() as sessions:
        free = 200 - 3 - int(target.value("SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL"))
        for _ in range(free - 8):
            sessions.enter_context(target.connect())
        finding = diagnose(migrator, "server.connections").of("server.connections")
        target.rows(finding["remedy"])
    assert finding["verdict"] in {"warn", "fail"}
    assert "of the server" in finding["seen"]


class TestExtensions:
    def test_one_that_the_server_does_not_have(self, migrator: Migrator, project: Project) -> None:
        project.write_revision("a1", upgrade="op.execute('CREATE EXTENSION IF NOT EXISTS no_such_thing')")
        finding = diagnose(migrator, "server.extensions").of("server.extensions")
        assert (finding["verdict"], finding["extension"]) == ("fail", "no_such_thing")
        assert "no_such_thing" in finding["remedy"]

    @pytest.mark.postgres(15)
    def test_one_that_only_a_superuser_may_install(
        self, migrator: Migrator, project: Project, target: Target
    ) -> None:
        name = target.value(
            "SELECT name FROM pg_available_extension_versions v WHERE superuser AND NOT trusted "
            "AND requires IS NULL AND name ~ '^[a-z_]+$' ORDER BY name LIMIT 1"
        )
        project.write_revision("a1", upgrade=f"op.execute('CREATE EXTENSION IF NOT EXISTS {name};')")
        finding = diagnose(migrator, "server.extensions").of("server.extensions")
        assert (finding["verdict"], finding["extension"]) == ("fail", name)
        assert migrator().exit_code == 16
        assert _repaired(migrator, target, "server.extensions")
        assert migrator("run", "--retry").exit_code == 0

    @pytest.mark.postgres(15)
    def test_one_that_is_outdated(self, migrator: Migrator, project: Project, target: Target) -> None:
        project.write_revision("a1", upgrade="op.execute('create extension if not exists \"pg_trgm\"')")
        assert diagnose(migrator, "server.extensions").verdict("server.extensions") == "pass"
        _as_superuser(target, "CREATE EXTENSION pg_trgm VERSION '1.5'")
        finding = diagnose(migrator, "server.extensions").of("server.extensions")
        assert (finding["verdict"], "is at 1.5" in finding["seen"]) == ("warn", True)
        _as_superuser(target, finding["remedy"])
        assert diagnose(migrator, "server.extensions").verdict("server.extensions") == "pass"


@pytest.mark.parametrize(
    "broken",
    [
        "ALTER ROLE {user} SET statement_timeout = '5s'",
        "ALTER DATABASE {database} SET lock_timeout = '1s'",
        "ALTER ROLE {user} IN DATABASE {database} SET idle_in_transaction_session_timeout = '1min'",
    ],
)
def test_timeouts_of_role_and_database(migrator: Migrator, target: Target, broken: str) -> None:
    _as_superuser(target, broken.format(user=target.user, database=target.database))
    finding = diagnose(migrator, "server.timeouts").of("server.timeouts")
    assert finding["verdict"] == "warn"
    assert finding["setting"] in broken
    assert finding["value"] in broken
    _as_superuser(target, finding["remedy"])
    assert diagnose(migrator, "server.timeouts").verdict("server.timeouts") == "pass"


def test_a_run_that_leads_right_now(migrator: Migrator, project: Project, target: Target) -> None:
    project.write_revision("a1", upgrade="op.execute('SELECT pg_sleep(600)')")
    run = migrator.start(MIGRATOR_RELEASE="1.4")
    run.wait_for_event("revision.started")
    finding = diagnose(migrator, "server.leader").of("server.leader")
    assert finding["verdict"] == "warn"
    assert "1.4" in finding["application"]
    with contextlib.suppress(psycopg.Error):
        target.rows(finding["remedy"])
    assert run.finish().exit_code == 34
    assert diagnose(migrator, "server.leader").verdict("server.leader") == "pass"
