"""The worker: loads the project's Alembic and runs its code, once per attempt.

It runs under the project's interpreter (Python 3.9 or newer) and imports nothing but the standard library and
the Alembic (1.8 or newer) and SQLAlchemy (1.4 to 2.1) it finds there.

It talks with the runner over a socket, in lines of JSON: first come its orders, later perhaps `stop`, or the
end of the stream when the runner is gone; it sends reports, with their kind under `is`. Standard output and
standard error belong to the user's code.

Usually it is started by path, with the socket's file descriptor as its argument (`main`). Where only the
project's own command can load the project, a start-up module has a process of that command `join` instead.

Traps it is built around, besides those its other modules name:

- It is started by path: Python knows nothing of our package, and put its folder before the project's.
- User code may fork: a child that keeps the report pipe would have the runner listen for ever.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import socket
import sys
import threading
import types
from typing import TYPE_CHECKING, BinaryIO, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = os.path.dirname(__file__)
_LOOK_SECONDS = 1.0


@contextlib.contextmanager
def _importable() -> Iterator[None]:
    """Let our modules be imported by their names, whether or not there is a `migrator` here to import.

    Afterwards the names are free again: user code may import a `migrator`, another version or no kin.
    """
    theirs = _take_modules()
    for name, folder in (("migrator", os.path.dirname(_FOLDER)), ("migrator.worker", _FOLDER)):
        package = sys.modules[name] = types.ModuleType(name)
        package.__path__ = [folder]
    yield
    _take_modules()
    sys.modules.update(theirs)


def _take_modules() -> dict[str, types.ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] == "migrator"]
    return {name: sys.modules.pop(name) for name in names}


with _importable():
    from migrator.worker.attachment import Attachment
    from migrator.worker.driving import drive
    from migrator.worker.failure import failure_of
    from migrator.worker.orders import Orders, read_orders
    from migrator.worker.record import Record
    from migrator.worker.reports import Reports
    from migrator.worker.sessions import Sessions
    from migrator.worker.watch import Watch


def main() -> NoReturn:
    """Take orders, work, report how it ended, and end."""
    with socket.socket(fileno=int(sys.argv[1])) as door:
        worker = Worker(door)
    sys.argv = ["alembic"]
    _leave_own_folder()
    status = 1
    try:
        drive(worker.orders, worker.report, worker.attach)
        status = 0
    except BaseException as error:  # noqa: BLE001 - user code may raise anything, sys.exit() included
        worker.tell_failure(error)
    for printed in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # user code may have closed or replaced it
            printed.flush()
    # Threads and atexit handlers of the user's code must not keep us: all there was to say is said.
    os._exit(status)


def join(address: str) -> Worker:
    """Make this process, one of the project's own command, a worker: what it runs is watched from now on."""
    door = socket.socket(socket.AF_UNIX)
    door.connect(address)
    with door:
        worker = Worker(door)
    worker.report("ready", python=".".join(map(str, sys.version_info[:3])))
    atexit.register(worker.tell_the_end)
    return worker


class Worker:
    """What listens to the runner, and attaches to SQLAlchemy and Alembic by its orders."""

    def __init__(self, door: socket.socket) -> None:
        """Take orders."""
        control, out = os.dup(door.fileno()), os.dup(door.fileno())
        stream = os.fdopen(control, "rb", buffering=0)
        self.orders: Orders = read_orders(stream)
        self.report = Reports(out)
        os.register_at_fork(after_in_child=self.report.leave)
        os.register_at_fork(after_in_child=stream.close)
        self.watch = Watch(self.report, Record(self.orders, self.report))
        self.sessions = Sessions(self.orders, self.report, self.watch)
        self.attachment = Attachment(self.orders, self.report, self.sessions, self.watch, self.tell_failure)
        self._told: BaseException | None = None
        threading.Thread(target=_obey, args=(stream, self.sessions), daemon=True).start()

    def attach(self) -> None:
        """See every session, and every configuration of Alembic's environment."""
        self.sessions.attach()
        self.attachment.attach()

    def tell_failure(self, error: BaseException) -> None:
        """Report what ended the work, once."""
        if error is not self._told:
            self._told = error
            self.report("failed", **failure_of(error, self.watch.current))

    def tell_the_end(self) -> None:
        """When a project's own command ends: what it committed last, or why it never got to `env.py`.

        It may have committed after `env.py`, and the last statement that failed may be why it ended.
        """
        self.watch.finish()
        if self._told is None and self.sessions.last_error is not None and not self.attachment.has_finished:
            self.tell_failure(self.sessions.last_error)


def _leave_own_folder() -> None:
    """Python put the folder of this file first; the project's packages must not meet it.

    Many projects expect the working directory, as `python -m alembic` gives it.
    """
    own = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != own]
    sys.path.append(os.getcwd())


def _obey(stream: BinaryIO, sessions: Sessions) -> NoReturn:
    """End with the runner: a session that nobody watches must not go on.

    User code may close our end as well. A read that waited for ever would keep the socket open all the same.
    """
    with contextlib.suppress(OSError, ValueError):
        while True:
            ready, _, _ = select.select([stream], [], [], _LOOK_SECONDS)
            if ready and not stream.read(64):
                break
            sessions.stopping |= bool(ready)
    os._exit(1)


if __name__ == "__main__":
    main()
