"""A shell under an unprivileged account that does all a server needs, and never outlives us for long.

Postgres refuses to run as root, hence the account. The shell reads our commands from a pipe that only we
hold: when it ends, be it that we closed it or were killed, the shell stops what it started and tidies up.
"""

import atexit
import contextlib
import os
import pwd
import random
import shlex
import socket
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import IO, Final, TypedDict, cast

from migrator.errors import PolicyRefused

HOST: Final = "127.0.0.1"

# PIPE is caught, not ignored: answering a dead starter must not kill the keeper before it has tidied up,
# while an ignored signal would be inherited by the server.
_KEEPER: Final = """
trap : PIPE
trap 'exit 1' HUP INT TERM
umask 077
farewell=:
folder=$(mktemp -d "$1/migrator-XXXXXXXX") || exit 1
trap 'eval "$farewell" </dev/null >/dev/null 2>&1; rm -rf "$folder"' EXIT
echo "$folder"
while IFS= read -r command; do
    eval "$command" </dev/null >>"$folder/log" 2>&1
    echo $?
done
"""


class Keeper:
    """A shell under an unprivileged account that obeys us, and tidies up once we are gone.

    Its folder belongs to that account and goes with it. Commands run one after the other, whichever thread
    asks; their output is in `log`.
    """

    def __init__(self) -> None:
        """Start the shell and let it make its folder.

        Raises:
            PolicyRefused: root may not become anybody else here, or there is no temporary folder.
        """
        self._turn = threading.Lock()
        try:
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", _KEEPER, "keeper", tempfile.gettempdir()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                cwd="/",  # ours may be closed to that account
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                start_new_session=True,  # Ctrl-C at the terminal is for us; the keeper follows
                **unprivileged(),
            )
        except PermissionError as error:
            message = "root may not switch to an unprivileged account here"
            raise PolicyRefused(message, remedy="run as an ordinary user") from error
        self._stdin = cast("IO[str]", self._shell.stdin)
        self._stdout = cast("IO[str]", self._shell.stdout)
        answer = self._stdout.readline().rstrip("\n")
        if not answer:
            message = f"no folder can be made under {tempfile.gettempdir()}"
            raise PolicyRefused(message, remedy="set TMPDIR to a folder everybody may write to")
        self.folder = Path(answer)
        atexit.register(self.close)

    @property
    def log(self) -> str:
        """What the commands have printed so far."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def script(self, line: str) -> int:
        """Run one line of shell in the keeper itself and give its status; 255 when the keeper is gone."""
        with self._turn:
            try:
                self._stdin.write(f"{line}\n")
                self._stdin.flush()
            except (BrokenPipeError, ValueError):
                return 255
            return int(self._stdout.readline() or 255)

    def run(self, *command: str | Path) -> int:
        """Run one program and give its exit status; 255 when the keeper is gone."""
        return self.script(shlex.join(map(str, command)))

    def at_the_end(self, line: str) -> None:
        """Set the line of shell to run before the folder goes, whoever ends us."""
        self.script(f"farewell={shlex.quote(line)}")

    def write(self, name: str, *lines: str) -> Path:
        """Append lines to a file in the folder; by a builtin, so that no process list shows them."""
        path = self.folder / name
        self.script(f"printf '%s\\n' {shlex.join(lines)} >> {shlex.quote(str(path))}")
        return path

    def close(self) -> None:
        """Let the keeper say farewell, and wait until its folder is gone. Closing twice is fine."""
        atexit.unregister(self.close)
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
        self._shell.wait()
        self._stdout.close()


class Account(TypedDict, total=False):
    """Keyword arguments of `subprocess` that give up root; empty for an ordinary user."""

    user: int
    group: int
    extra_groups: list[int]


def unprivileged() -> Account:
    """Say which account server programs run under: Postgres and PgBouncer both refuse root."""
    if os.geteuid() != 0:
        return {}
    with contextlib.suppress(KeyError):
        return _account("postgres")
    return _account("nobody")


def free_port() -> int:
    """Propose a port nobody listens on.

    It lies below the range the kernel hands to outgoing connections, so a stopped server finds it free again.
    """
    while True:
        port = random.randrange(15_000, 32_000)  # noqa: S311  a port is no secret
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((HOST, port))
                return port


def _account(name: str) -> Account:
    entry = pwd.getpwnam(name)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
