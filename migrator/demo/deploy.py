"""One deploy as a platform would do it: a process of its own, with an environment of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from migrator.errors import MigratorError

# What makes this interpreter and this terminal work, and nothing that configures a deploy.
_INHERITED: Final = (
    *("PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONUTF8", "PYTHONIOENCODING", "LD_LIBRARY_PATH", "TMPDIR"),
    *("TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LANG", "LC_ALL", "LC_CTYPE"),
)
# A run ends within 5 s of a signal.
_GRACE_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class Deployed:
    """How a deploy ended; a negative status is the signal that killed it."""

    status: int
    seconds: float


def deploy(folder: Path, settings: Mapping[str, str]) -> Deployed:
    """Run `migrator run` there with these settings, on our own terminal if we have one.

    When we are told to stop, so is the deploy; the error passes on once it has ended.
    """
    began = time.monotonic()
    environ = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    form = {} if sys.stdout.isatty() else {"MIGRATOR_LOG_FORMAT": "text"}
    with subprocess.Popen(
        [sys.executable, "-m", "migrator", "run"],
        cwd=folder,
        env={**environ, **form, "HOME": str(folder.parent), **settings},
        stdin=subprocess.DEVNULL,
    ) as child:
        try:
            status = child.wait()
        except MigratorError:
            _end(child)
            raise
    return Deployed(status, time.monotonic() - began)


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Ctrl-C reaches the whole terminal, `kill` only us; hearing it twice does no harm."""
    child.send_signal(signal.SIGINT)
    try:
        child.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
