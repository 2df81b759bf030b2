"""What every child process of ours does first."""

import ctypes
import signal

# Source: prctl(2). The signal also comes when the thread that started the child ends: ours is the main one.
_PR_SET_PDEATHSIG = 1
_KILL = int(signal.SIGKILL)
# Found here and not in the child: another thread, such as a spinner's, may hold a lock while we fork, and in
# the child nobody would ever release it.
_PRCTL = getattr(ctypes.CDLL(None), "prctl", None)


def die_with_parent() -> None:
    """Be killed when the parent dies, however it dies: a child that nobody watches holds locks for nobody.

    For `preexec_fn`: it imports nothing and takes no lock. Without a prctl, a pipe that breaks has to do.
    """
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, _KILL)
