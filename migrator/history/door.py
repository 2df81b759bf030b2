"""Where processes of a project's own command find the runner: a socket in a folder that only we may enter."""

import os
import shutil
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path

from migrator.errors import PolicyRefused

_STARTUP = Path(__file__).parent.parent / "worker" / "startup"
# Source: unix(7): a socket's path has room for 108 bytes.
_LONGEST_PATH = 100


class Door:
    """A listening socket, and the variables that lead to it."""

    def __init__(self) -> None:
        """Open it. Raises `PolicyRefused` where nothing can be written."""
        try:
            self._folder = tempfile.mkdtemp(prefix="migrator-", dir=_short_folder())
        except OSError as error:
            raise PolicyRefused(
                f"there is no folder for the worker's socket: {error.strerror}",
                remedy="give the container a writable /tmp or /dev/shm, or set TMPDIR to a folder with a "
                "short name",
            ) from error
        self._address = f"{self._folder}/worker"
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self._address)
        self._socket.listen()

    @property
    def descriptor(self) -> int:
        """Becomes readable when somebody knocks."""
        return self._socket.fileno()

    def variables(self, environ: Mapping[str, str]) -> dict[str, str]:
        """What a process needs in its environment to come here by itself."""
        paths = [str(_STARTUP), *filter(None, [environ.get("PYTHONPATH")])]
        return {"MIGRATOR_WORKER_SOCKET": self._address, "PYTHONPATH": os.pathsep.join(paths)}

    def admit(self) -> socket.socket:
        """The next one that has knocked."""
        return self._socket.accept()[0]

    def close(self) -> None:
        """Nobody comes any more."""
        self._socket.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _short_folder() -> str:
    """The usual folder for temporary files, unless its name is too long for a socket in it."""
    candidates = [tempfile.gettempdir()] if _has_usual() else []
    for folder in (*candidates, "/tmp", "/dev/shm"):  # noqa: S108 - a folder of our own is made in it
        if len(os.fsencode(folder)) < _LONGEST_PATH - len("/migrator-12345678/worker") and os.access(
            folder, os.W_OK
        ):
            return folder
    raise OSError(0, "none is writable and has a short name")


def _has_usual() -> bool:
    try:
        tempfile.gettempdir()
    except OSError:
        return False
    return True
