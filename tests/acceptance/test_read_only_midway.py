"""A server that becomes read-only midway is a switch under way (34); a revision's own doing is not (14)."""

from collections.abc import Iterator

import psycopg
import pytest

from migrator.demo.cluster import Cluster
from tests.support.journal import journal, version, write_journal
from tests.support.project import Project
from tests.support.runner import Migrator
from tests.support.target import Target

WAITS_FOR_THE_SWITCH = """
import time
while op.get_bind().exec_driver_sql("SHOW default_transaction_read_only").scalar() == "off":
    time.sleep(0.1)
"""


def switch(cluster: Cluster, value: str) -> None:
    """Make the whole server read-only, or writable again, for transactions that begin from now on."""
    with psycopg.connect(**cluster.admin_params(), autocommit=True) as session:
        session.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}".encode())
        session.execute("SELECT pg_reload_conf()")


@pytest.fixture
def server(target: Target) -> Iterator[Cluster]:
    """The target's server, writable again at the end."""
    yield target.cluster
    switch(target.cluster, "DEFAULT")


def test_a_server_that_becomes_read_only_is_exit_34_and_the_next_run_finishes(
    migrator: Migrator, project: Project, target: Target, server: Cluster
) -> None:
    write_journal(project, "a1")
    project.write_revision("b2", upgrade=WAITS_FOR_THE_SWITCH)
    write_journal(project, "c3", begins=False)
    running = migrator.start(MIGRATOR_TRANSACTION="revision", MIGRATOR_BACKUP="off")
    running.wait_for_event("revision.started", revision="b2")
    switch(server, "on")
    result = running.finish()
    assert result.exit_code == 34, result.last
    assert (result.last["sqlstate"], result.last["retryable"]) == ("25006", True)
    assert result.last["committed"] == ["a1", "b2"]
    assert "by now the server is read-only" in result.last["error"]
    switch(server, "off")
    later = migrator()
    assert later.exit_code == 0, later.last
    assert (journal(target), version(target)) == (["a1", "c3"], ["c3"])


def test_a_revision_that_forbids_itself_to_write_is_exit_14(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    project.write_revision(
        "b2",
        upgrade="""
            op.execute("SET TRANSACTION READ ONLY")
            op.execute("CREATE TABLE never (i int)")
        """,
    )
    result = migrator(MIGRATOR_TRANSACTION="revision")
    assert result.exit_code == 14, result.last
    assert (result.last["sqlstate"], version(target)) == ("25006", ["a1"])
