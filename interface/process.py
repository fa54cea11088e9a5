"""Processes: they end with the one that started them, and each keeps to one core."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Final

SUPERVISOR_VARIABLE: Final = "OME_SUPERVISOR_PID"

_PR_SET_PDEATHSIG: Final = 1
_POLL: Final = 0.05  # seconds


def never() -> bool:
    return False


def wait_for_exit(
    process: subprocess.Popen[bytes], seconds: float, hurry: Callable[[], bool] = never
) -> bool:
    """Wait until the process has ended; False when the time is over or hurry says yes."""
    deadline = time.monotonic() + seconds
    while process.poll() is None:
        if hurry() or time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True


def die_with_parent(
    expected_parent: int | None = None, sign: signal.Signals = signal.SIGTERM
) -> None:
    """Have the kernel send this process a signal when its parent dies, also by kill -9.

    expected_parent is the pid that the parent had when it started this process. If that one is
    gone already nobody would ever send the signal, so the process gets it at once. None: whoever
    is the parent now.

    The kernel's parent is the *thread* that started this process, so start processes from threads
    that live as long as the service, best from the main one. Where the kernel has no such signal
    (anything but Linux) this does nothing: an orderly stop still reaches all processes.
    """
    tie = death_signal(expected_parent or os.getppid(), sign)
    if not tie():
        os.kill(os.getpid(), sign)


def die_with_supervisor() -> None:
    """Do die_with_parent() for a process started by the supervisor; else do nothing."""
    # Taken out of the environment: for a child of ours it would name the wrong parent.
    supervisor = os.environ.pop(SUPERVISOR_VARIABLE, "")
    if supervisor:
        die_with_parent(int(supervisor))


def keep_to_one_cpu(place: int) -> None:
    """Has this process run on one of the cores that it may use: the ``place``-th, from 0.

    Counted round, and from the end where it is negative. The threads of one interpreter work in
    turns anyway; on several cores each turn has to wake another core, which where cores are
    virtual costs more than the turn. Call it before threads are started: they inherit it.
    """
    if hasattr(os, "sched_setaffinity"):
        cpus = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cpus[place % len(cpus)]})


def death_signal(parent: int, sign: signal.Signals) -> Callable[[], bool]:
    """Give the function that asks for the signal and tells whether the parent still lives.

    Split in two for use between fork and exec: whatever takes a lock or allocates, such as loading
    libc, happens before the fork. A change of user clears the request, so ask after it.
    """
    if sys.platform != "linux":
        return lambda: True
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def tie() -> bool:
        prctl(_PR_SET_PDEATHSIG, int(sign), 0, 0, 0)
        return os.getppid() == parent

    return tie
