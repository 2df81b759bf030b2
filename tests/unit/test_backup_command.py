"""Another program takes the backup: what it is told, what it must answer, and how it is ended."""

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from migrator.backup.command import BackupCommand, environment_for
from migrator.backup.watch import Watch
from migrator.clock import Stop, SystemClock
from migrator.errors import BackupFailed, InterruptedMidway, PolicyRefused
from tests.support.clock import HandClock
from tests.support.waiting import eventually

Command = Callable[..., BackupCommand]


@dataclass
class Told:
    """Events, kept."""

    told: list[tuple[str, str]] = field(default_factory=list)

    def record(self, event: str, message: str, **_facts: Any) -> None:
        self.told.append((event, message))


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def command(tmp_path: Path, told: Told) -> Command:
    """Make the command of a shell script, with a clock that nobody waits for unless told otherwise."""

    def make(script: str, *, clock: Any = None, prove: Callable[[], None] = lambda: None) -> BackupCommand:
        path = tmp_path / "snap.sh"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        watch = Watch(clock or HandClock(), Stop(), prove)
        environ = {"PATH": os.defpath}
        return BackupCommand((str(path),), environ, tmp_path, timedelta(minutes=1), watch, told)

    return make


def test_its_answer_is_the_backup(command: Command) -> None:
    backup = command('echo \'{"location": "snap-1", "size_bytes": 7, "sha256": "ab", "more": 1}\'').take({})
    assert (backup.location, backup.size_bytes, backup.sha256) == ("snap-1", 7, "ab")


def test_a_location_is_all_it_must_say(command: Command) -> None:
    backup = command('echo; echo \'{"location": "snap-1"}\'; echo').take({})
    assert (backup.location, backup.size_bytes, backup.sha256) == ("snap-1", None, None)


def test_it_is_told_the_facts(command: Command, tmp_path: Path) -> None:
    command('cat > facts; echo \'{"location": "x"}\'').take({"database": "orders", "heads": ["a1"]})
    assert json.loads((tmp_path / "facts").read_text()) == {"database": "orders", "heads": ["a1"]}


def test_it_need_not_listen(command: Command) -> None:
    assert command('exec <&-; echo \'{"location": "x"}\'').take({"a": "x" * 60_000}).location == "x"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 0", "did not print one line of JSON with a location"),
        ("echo done", "did not print one line of JSON"),
        ("echo '[]'", "did not print one line of JSON"),
        ("echo '{}'", "did not print one line of JSON"),
        ('echo \'{"location": "a"}\'; echo \'{"location": "b"}\'', "did not print one line of JSON"),
        ('echo \'{"location": ""}\'', "did not give a location as a text"),
        ("echo '{\"location\": 7}'", "did not give a location as a text"),
        ('echo \'{"location": "a", "size_bytes": "7"}\'', "did not give size_bytes as a number"),
        ("echo no room >&2; exit 1", "status 1: no room"),
        ('echo \'{"location": "a"}\'; exit 2', "status 2: it said nothing"),
        ("kill -9 $$", "status -9"),
    ],
)
def test_anything_else_is_a_failed_backup(command: Command, script: str, said: str) -> None:
    with pytest.raises(BackupFailed, match=said):
        command(script).take({})


def test_a_program_that_is_not_there_is_refused(tmp_path: Path, told: Told) -> None:
    watch = Watch(HandClock(), Stop(), lambda: None)
    with pytest.raises(PolicyRefused, match="/no/such cannot be started") as refusal:
        BackupCommand(("/no/such",), {}, tmp_path, timedelta(minutes=1), watch, told).take({})
    assert "MIGRATOR_BACKUP_COMMAND" in refusal.value.remedy


def test_its_complaints_are_events(command: Command, told: Told) -> None:
    command('printf "one\\n\\033[1mtwo\\033[0m\\nthree" >&2; echo \'{"location": "x"}\'').take({})
    assert told.told == [("output.captured", line) for line in ("one", "two", "three")]


def test_status_75_is_asked_again_after_a_pause(command: Command, told: Told) -> None:
    clock = HandClock()
    script = 'test -e tried && echo \'{"location": "x"}\' && exit; touch tried; exit 75'
    assert command(script, clock=clock).take({}).location == "x"
    assert clock.now == 1
    assert [name for name, _ in told.told] == ["hazard.found"]


def test_status_75_for_ever_is_a_failed_backup_once_its_time_is_over(command: Command) -> None:
    clock = HandClock()
    with pytest.raises(BackupFailed, match="did not take the backup within 60 s"):
        command("exit 75", clock=clock).take({})
    assert 30 <= clock.now < 60


def test_it_is_ended_with_its_children_when_its_time_is_over(command: Command, tmp_path: Path) -> None:
    class Late(HandClock):
        def monotonic(self) -> float:
            self.now += 10
            return self.now

    script = 'trap "" TERM; sleep 60 & echo $! > child; wait; sleep 60'
    with pytest.raises(BackupFailed, match="within 60 s"):
        command(script, clock=Late()).take({})
    child = int((tmp_path / "child").read_text())
    assert eventually(lambda: not runs(child), seconds=5)


def test_what_it_leaves_running_is_ended(command: Command, tmp_path: Path) -> None:
    command('sleep 60 & echo $! > child; echo \'{"location": "x"}\'').take({})
    child = int((tmp_path / "child").read_text())
    assert eventually(lambda: not runs(child), seconds=5)


def test_a_run_that_no_longer_leads_ends_it(command: Command) -> None:
    def lost() -> None:
        message = "the leader lock was lost"
        raise InterruptedMidway(message)

    began = time.monotonic()
    with pytest.raises(InterruptedMidway):
        command("exec sleep 60", clock=SystemClock(Stop()), prove=lost).take({})
    assert time.monotonic() - began < 10


def test_it_gets_no_way_into_the_database() -> None:
    environ = {
        "PATH": "/bin",
        "AWS_SECRET_ACCESS_KEY": "aws",
        "PGPASSWORD": "s3cret",
        "PGHOST": "db",
        "DATABASE_URL": "postgresql://u:s3cret@db/x",
        "APP_DSN": "postgresql://u:s3cret@db/x",
        "MIGRATOR_APP": "shop",
    }
    left = environment_for(environ, secret_names=frozenset({"DATABASE_URL"}), secrets=("s3cret",))
    assert left == {"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "aws", "MIGRATOR_APP": "shop"}


@pytest.mark.parametrize("written", ["p@ss/w rd", "p%40ss%2Fw%20rd", "p%40ss/w%20rd", "p%40ss%2Fw+rd"])
def test_a_password_is_known_in_every_way_a_url_writes_it(written: str) -> None:
    environ = {"APP_DSN": f"postgresql://u:{written}@db/x"}
    assert environment_for(environ, secret_names=frozenset(), secrets=("p@ss/w rd",)) == {}


def runs(pid: int) -> bool:
    """Whether a process lives; a zombie that nobody has waited for does not."""
    try:
        os.kill(pid, signal.SIG_DFL)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
