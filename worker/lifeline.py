"""A process that ends when its parent does, however the parent ends (Linux)."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def follow_parent(number: signal.Signals, *, parent: int) -> None:
    """Send this process the signal `number` when its parent ends, at once if it has ended.

    Args:
        number: what to send.
        parent: process id of the parent as the parent told it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it ended before the line above
        os.kill(os.getpid(), number)
