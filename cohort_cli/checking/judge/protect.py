"""Keeps the judge's memory to itself, and its orphans within reach. Linux only; elsewhere there is nothing to call."""

from __future__ import annotations

import ctypes

PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36


def protect() -> None:
    """No process of the same user may read our memory, and what a player leaves behind becomes our child.

    Raises OSError when the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((PR_SET_DUMPABLE, 0), (PR_SET_CHILD_SUBREAPER, 1)):
        if libc.prctl(option, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl failed")
