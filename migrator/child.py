"""What every child process of ours does first."""

import ctypes
import signal

# Source: prctl(2). The signal also comes when the thread that started the child ends: ours is the main one.
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Be killed when the parent dies, however it dies: a child that nobody watches holds locks for nobody.

    For `preexec_fn`. Where there is no prctl, a pipe that breaks has to do.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
