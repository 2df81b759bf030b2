"""Calls that wait for the network, in threads: the run itself must hear a signal within a second."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")

GLANCE_SECONDS = 0.2


def started(call: Callable[_P, _T], *arguments: _P.args, **keywords: _P.kwargs) -> Future[_T]:
    """Have a thread of its own do it."""
    executor = ThreadPoolExecutor(1, thread_name_prefix="store")
    future = executor.submit(call, *arguments, **keywords)
    executor.shutdown(wait=False)
    return future


def awaited(future: Future[_T], while_waiting: Callable[[], None]) -> _T:
    """Wait for its end. `while_waiting` may raise: then the call is left to its own timeouts."""
    while not future.done():
        wait([future], GLANCE_SECONDS)
        if not future.done():
            while_waiting()
    return future.result()
