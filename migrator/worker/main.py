"""The worker: loads the project's Alembic and runs its code, once per attempt.

It runs under the project's interpreter (Python 3.9 or newer) and imports nothing but the standard library and
the Alembic (1.8 or newer) and SQLAlchemy (1.4 to 2.1) it finds there.

It is started with two file descriptors: one to read (a line of JSON with its orders; afterwards a line
`stop`, or the end of the stream when the runner is gone), one to write reports to, a line of JSON each, with
the kind of report under `is`. Standard output and standard error belong to the user's code.

Traps it is built around, besides those its other modules name:

- It is started by path: Python knows nothing of our package, and put its folder before the project's.
- User code may fork: a child that keeps the report pipe would have the runner listen for ever.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import types
from typing import TYPE_CHECKING, BinaryIO, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = os.path.dirname(__file__)


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
    from migrator.worker.driving import Work
    from migrator.worker.failure import failure_of
    from migrator.worker.orders import read_orders
    from migrator.worker.reports import Reports
    from migrator.worker.sessions import Sessions


def main() -> NoReturn:
    """Take orders, work, report how it ended, and end."""
    control, out = int(sys.argv[1]), int(sys.argv[2])
    for descriptor in (control, out):
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - it takes no keyword
    sys.argv = ["alembic"]
    _leave_own_folder()
    stream = os.fdopen(control, "rb", buffering=0)
    orders = read_orders(stream)
    report = Reports(out)
    os.register_at_fork(after_in_child=report.leave)
    os.register_at_fork(after_in_child=stream.close)
    work = Work(orders, report)
    threading.Thread(target=_obey, args=(stream, work.sessions), daemon=True).start()
    status = 1
    try:
        work.run()
        status = 0
    except BaseException as error:  # noqa: BLE001 - user code may raise anything, sys.exit() included
        report("failed", **failure_of(error, work.watch.current))
    for printed in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # user code may have closed or replaced it
            printed.flush()
    # Threads and atexit handlers of the user's code must not keep us: all there was to say is said.
    os._exit(status)


def _leave_own_folder() -> None:
    """Python put the folder of this file first; the project's packages must not meet it.

    Many projects expect the working directory, as `python -m alembic` gives it.
    """
    own = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != own]
    sys.path.append(os.getcwd())


def _obey(stream: BinaryIO, sessions: Sessions) -> NoReturn:
    """End with the runner: a session that nobody watches must not go on."""
    while stream.read(64):
        sessions.stopping = True
    os._exit(1)


if __name__ == "__main__":
    main()
