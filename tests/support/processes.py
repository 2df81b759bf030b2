"""What runs on this machine, as `ps` sees it."""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path


def children(pid: int) -> tuple[int, ...]:
    """Give the processes that this one started and that still run."""
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += [int(word) for word in (thread / "children").read_text().split()]
    return tuple(found)


def arguments(pid: int) -> str:
    """Give a process's command line; empty when it is gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def worker_of(runner: int) -> int | None:
    """Give the process in which a runner executes user code, if there is one now."""
    return next((pid for pid in children(runner) if "worker/main.py" in arguments(pid)), None)


def descendants(pid: int) -> Iterator[int]:
    """Give the processes that this one started, those that they started, and so on."""
    for child in children(pid):
        yield child
        yield from descendants(child)


@contextlib.contextmanager
def process_list() -> Iterator[set[str]]:
    """Collect every command line of what we start, until the block ends; others may name the same words."""
    seen: set[str] = set()
    done = threading.Event()

    def sample() -> None:
        while not done.is_set():
            seen.update(arguments(pid) for pid in descendants(os.getpid()))
            time.sleep(0.005)

    watcher = threading.Thread(target=sample, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()
