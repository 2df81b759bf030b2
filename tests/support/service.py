"""Server programs of Debian's that a test runs for a while."""

import os
import shlex
import shutil
import socket
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from migrator.demo.cluster import HOST, Keeper

_PATIENCE_SECONDS = 15.0


def program(name: str) -> str:
    """Find a program, also where only root looks.

    Raises:
        AssertionError: it is missing; a test that needs it fails rather than skips.
    """
    path = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    assert path is not None, f"this test needs {name}: apt-get install {name}"
    return path


@dataclass(frozen=True, slots=True)
class Service:
    """A program that listens on a port until it is closed, or until the process of the test dies."""

    port: int
    _keeper: Keeper

    @classmethod
    def start(cls, keeper: Keeper, port: int, *command: str | Path) -> "Service":
        """Start it under the keeper and wait until it listens.

        Raises:
            AssertionError: it does not; quotes its log.
        """
        keeper.script(_in_background(command))
        keeper.at_the_end('kill "$pid" && wait "$pid"')
        service = cls(port, keeper)
        if not _within(_PATIENCE_SECONDS, service.answers):
            log = service.log
            keeper.close()
            message = f"{command[0]} does not answer on port {port}: {log}"
            raise AssertionError(message)
        return service

    @property
    def log(self) -> str:
        """What the program has printed."""
        return self._keeper.log

    def answers(self) -> bool:
        """Whether somebody accepts connections."""
        with closing(socket.socket()) as probe:
            return probe.connect_ex((HOST, self.port)) == 0

    def close(self) -> None:
        """Stop the program and remove its folder; closing twice is fine."""
        self._keeper.close()


def _in_background(command: tuple[str | Path, ...]) -> str:
    return f"{shlex.join(map(str, command))} & pid=$!"


def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
