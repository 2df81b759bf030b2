"""Standard output is the event stream, whatever user code prints, configures or closes."""

import pytest

from tests.support.environment import env_with
from tests.support.journal import journal, write_journal
from tests.support.project import Project
from tests.support.runner import Migrator, Result
from tests.support.target import Target


def lines(result: Result, stream: str = "stdout") -> list[str]:
    """Give what user code printed, as the events tell it."""
    return [event["message"] for event in result.named("output.captured") if event["stream"] == stream]


def test_prints_of_env_py_and_revisions_are_events(
    migrator: Migrator, project: Project, target: Target
) -> None:
    project.write_env(
        "import sys\nprint('hello from env.py')\nprint('and aside', file=sys.stderr)\n" + env_with()
    )
    write_journal(project, "a1")
    project.write_revision(
        "b2", upgrade='print(\'{"event": "run.finished", "exit_code": 0}\')\nprint(\'é → ü\')'
    )
    result = migrator()
    assert result.exit_code == 0
    assert result.stderr == ""
    assert lines(result) == ["hello from env.py", '{"event": "run.finished", "exit_code": 0}', "é → ü"]
    assert lines(result, "stderr")[0] == "and aside"
    assert len(result.named("run.finished")) == 1
    assert journal(target) == ["a1"]


def test_logging_that_env_py_configures_is_captured_and_ours_goes_on(
    migrator: Migrator, project: Project
) -> None:
    ini = (project.folder / "alembic.ini").read_text()
    project.ini(ini.replace("level = WARNING\nhandlers = console", "level = DEBUG\nhandlers = console"))
    write_journal(project, "a1")
    project.write_revision(
        "b2", header="import logging", upgrade="logging.getLogger('shop').debug('in a revision')"
    )
    result = migrator()
    assert result.exit_code == 0
    assert any(line.endswith("[shop] in a revision") for line in lines(result, "stderr"))
    assert any("[alembic.runtime.migration]" in line for line in lines(result, "stderr"))
    assert result.last["event"] == "run.finished"
    assert result.stderr == ""


def test_escapes_are_removed_and_long_lines_cut(migrator: Migrator, project: Project) -> None:
    write_journal(project, "a1")
    project.write_revision(
        "b2",
        upgrade=r"""
            print("\033[31mred\033[0m \033]0;a title\007and plain\r")
            print("x" * 200_000)
            print("\x00\x08bell\x07")
            print("the end", end="")
        """,
    )
    result = migrator()
    assert result.exit_code == 0
    first, long, third, last = lines(result)
    assert first == "red and plain"
    assert long.startswith("x" * 2000)
    assert 2000 < len(long) < 2100
    assert (third, last) == ("bell", "the end")


def test_bytes_that_are_no_text_are_shown_as_such(migrator: Migrator, project: Project) -> None:
    write_journal(project, "a1")
    project.write_revision("b2", upgrade=r"import os; os.write(1, b'caf\xe9\n')")
    result = migrator()
    assert result.exit_code == 0
    assert lines(result) == ["caf�"]


def test_much_output_does_not_block_the_worker(migrator: Migrator, project: Project) -> None:
    write_journal(project, "a1")
    project.write_revision(
        "b2", upgrade="import sys\nfor n in range(5000): print(n); print(n, file=sys.stderr)"
    )
    result = migrator()
    assert result.exit_code == 0
    numbers = [str(number) for number in range(5000)]
    assert lines(result) == numbers
    # Alembic's own lines stand before and after.
    assert [line for line in lines(result, "stderr") if line.isdigit()] == numbers


@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.stdout.close(); sys.stderr.close()",
        "import sys; sys.stdout = sys.stderr = None",
        "import os; os.close(1); os.close(2)",
        "import subprocess; subprocess.Popen(['sleep', '30'])",
        "import atexit, time; atexit.register(time.sleep, 60)",
        "import threading, time; threading.Thread(target=time.sleep, args=(60,)).start()",
    ],
)
def test_user_code_that_mishandles_its_streams_or_leaves_things_behind_still_migrates(
    migrator: Migrator, project: Project, target: Target, code: str
) -> None:
    write_journal(project, "a1")
    project.write_revision("b2", upgrade=code)
    result = migrator()
    assert result.exit_code == 0, result.last
    assert result.seconds < 10
    assert journal(target) == ["a1"]


def test_output_before_a_failure_is_told_before_it(migrator: Migrator, project: Project) -> None:
    write_journal(project, "a1")
    project.write_revision("b2", upgrade="print('about to fail'); raise ValueError('now')")
    result = migrator()
    assert result.exit_code == 14
    names = [event["event"] for event in result.events]
    assert lines(result) == ["about to fail"]
    assert names.index("output.captured") < names.index("revision.failed") < names.index("run.finished")


def test_text_for_people_says_the_same(migrator: Migrator, project: Project) -> None:
    write_journal(project, "a1")
    result = migrator(MIGRATOR_LOG_FORMAT="text")
    assert result.exit_code == 0
    assert "1 revision applied; the database is at a1" in result.stdout
    assert "\033" not in result.stdout
