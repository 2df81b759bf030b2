"""The worker's process: its children, its pipes and what it says cannot hold up, confuse or outlive a run."""

import json
import signal

import pytest

from migrator import __version__
from tests.support.environment import env_with
from tests.support.journal import journal, version, write_journal
from tests.support.processes import worker_of
from tests.support.project import Project
from tests.support.runner import Migrator
from tests.support.target import Target
from tests.support.waiting import eventually

FORK = "import os, time\nif os.fork() == 0:\n    time.sleep(600)\n    os._exit(0)"
FORKING = {
    "multiprocessing": "import multiprocessing, time\n"
    "multiprocessing.get_context('fork').Process(target=time.sleep, args=(600,), daemon=True).start()",
    "os.fork": FORK,
    "a session of its own": FORK.replace("    time", "    os.setsid()\n    time"),
}
OWN_DRIVER = """
import os, psycopg
with psycopg.connect(os.environ["DATABASE_URL"]) as own:
    own.execute("CREATE TABLE own AS SELECT i FROM (SELECT 1 AS i, pg_sleep(600)) AS slow")
"""
# The only pipe it writes to besides standard output and standard error.
NOISE = """
import os, socket, stat, time
for descriptor in range(3, 100):
    try:
        is_ours = socket.socket(fileno=os.dup(descriptor)).family == socket.AF_UNIX
    except OSError:
        continue
    if is_ours:
        os.write(descriptor, {line!r}.encode() + b"\\n")
time.sleep(600)
"""
# What a revision sees of `migrator`: before it imports one, and then.
IMPORTING = """
import sys
before = [name for name in sys.modules if name.partition(".")[0] == "migrator"]
import migrator
seen = [*before, migrator.__version__]
op.execute("CREATE TABLE seen AS SELECT '" + " ".join(seen) + "' AS modules")
"""
SLEEPING = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'CREATE TABLE own%' AND state = 'active'"


@pytest.mark.parametrize("code", FORKING.values(), ids=FORKING.keys())
def test_a_child_that_user_code_forked_does_not_hold_up_the_end(
    migrator: Migrator, project: Project, target: Target, code: str
) -> None:
    project.write_env(env_with(header=code))
    write_journal(project, "a1")
    result = migrator(timeout=30)
    assert result.exit_code == 0, result.last
    assert version(target) == ["a1"]


def test_a_forked_child_that_goes_on_talking_is_not_taken_for_the_worker(
    migrator: Migrator, project: Project, target: Target
) -> None:
    code = "import os\nimport sqlalchemy as sa\nif os.fork() == 0:\n    os._exit(0 if {} else 1)\nos.wait()"
    talk = "sa.create_engine(op.get_bind().engine.url).connect()"
    write_journal(project, "a1")
    project.write_revision("b2", upgrade=code.format(talk))
    result = migrator(timeout=30)
    assert result.exit_code == 0, result.last
    assert version(target) == ["b2"]


def test_a_worker_that_closed_its_pipes_and_went_on_is_lost(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    project.write_revision("b2", upgrade="import os, time\nos.closerange(0, 200)\ntime.sleep(600)")
    result = migrator(timeout=30)
    assert result.exit_code == 34, result.last
    assert "the worker was lost" in result.last["error"]
    assert version(target) == []


def test_a_worker_that_closed_its_pipes_is_ended_by_a_signal(migrator: Migrator, project: Project) -> None:
    project.write_revision("a1", upgrade="import os, time\nos.closerange(0, 200)\ntime.sleep(600)")
    running = migrator.start()
    running.wait_for_event("revision.started")
    assert eventually(lambda: worker_of(running.pid) is not None)
    running.signal(signal.SIGTERM)
    assert running.finish(10).exit_code == 143


def test_half_characters_in_a_message_are_written_out(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    project.write_revision("b2", upgrade="raise ValueError('half \\udc80 a character')")
    result = migrator()
    assert result.exit_code == 14, result.last
    assert "half \\udc80 a character" in result.last["error"]
    assert "half" in target.value("SELECT error FROM migrator.run")


@pytest.mark.parametrize("line", ["nonsense", "[1, 2]", json.dumps({"is": 1})])
def test_something_else_on_the_way_to_the_runner_is_a_lost_worker(
    migrator: Migrator, project: Project, target: Target, line: str
) -> None:
    write_journal(project, "a1")
    project.write_revision("b2", upgrade=NOISE.format(line=line))
    result = migrator()
    assert result.exit_code == 34, result.last
    assert (journal(target), version(target)) == ([], [])


def test_a_session_without_sqlalchemy_ends_with_the_run(
    migrator: Migrator, project: Project, target: Target
) -> None:
    project.write_revision("a1", upgrade=OWN_DRIVER)
    running = migrator.start()
    assert eventually(lambda: target.rows(SLEEPING))
    running.signal(signal.SIGTERM)
    assert running.finish(20).exit_code == 143
    assert eventually(lambda: not target.rows(SLEEPING), seconds=1)


def test_a_session_without_sqlalchemy_ends_with_a_killed_runner(
    migrator: Migrator, project: Project, target: Target
) -> None:
    project.write_revision("a1", upgrade=OWN_DRIVER)
    running = migrator.start()
    assert eventually(lambda: target.rows(SLEEPING))
    running.signal(signal.SIGKILL)
    assert eventually(lambda: not target.rows(SLEEPING), seconds=5)


def test_a_session_without_sqlalchemy_cannot_write_during_discovery(
    migrator: Migrator, project: Project, target: Target
) -> None:
    header = """
        import os, psycopg
        with psycopg.connect(os.environ["DATABASE_URL"]) as own:
            own.execute("CREATE TABLE IF NOT EXISTS own ()")
    """
    project.write_env(env_with(header=header, options="version_table=os.environ['SHOP']"))
    target.execute("CREATE TABLE precious (row int)")
    write_journal(project, "a1")
    refused = migrator(SHOP="shop_version", MIGRATOR_PG_BIN="/nonexistent")
    assert refused.exit_code == 13, refused.last
    assert target.value("SELECT to_regclass('own')") is None
    assert migrator(SHOP="shop_version").exit_code == 0
    assert version(target, "shop_version") == ["a1"]


def test_user_code_that_imports_migrator_gets_the_installed_one(
    migrator: Migrator, project: Project, target: Target
) -> None:
    project.write_revision("a1", upgrade=IMPORTING)
    result = migrator()
    assert result.exit_code == 0, result.last
    assert target.value("SELECT modules FROM seen") == __version__
