"""Functions that would do what the guard forbids, but report no event: a refusal takes their place.

They are replaced under the names by which other code finds them. That is for honest code, and for the words.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from cohort_cli.checking.sandbox.guard import LIMITS, NETWORK, PROCESS, SIGNAL


def replace() -> None:
    """Refuse processes, pairs of sockets, signals by descriptor, special files, shared memory, priorities."""
    no_workers = _refusal(PROCESS + " (with a DataLoader, num_workers=0)")
    no_workers.SEM_VALUE_MAX = 2**31 - 1  # `multiprocessing` reads it when it is imported
    plain_only = _refusal("a check may make plain files only")
    for modules, names, refuse in (
        ("_posixsubprocess", "fork_exec", no_workers),
        ("subprocess", "_fork_exec", no_workers),
        ("_multiprocessing", "SemLock", no_workers),
        ("_socket", "socketpair", _refusal(NETWORK)),
        ("os posix", "pidfd_open", _refusal(SIGNAL)),
        ("signal _signal", "pidfd_send_signal", _refusal(SIGNAL)),
        ("os posix", "mkfifo mknod memfd_create unshare setns", plain_only),
        ("_posixshmem", "shm_open", plain_only),
        ("os posix", "setpriority sched_setaffinity sched_setscheduler sched_setparam", _refusal(LIMITS)),
    ):
        for module in modules.split():
            for name in names.split():
                _replace(module, name, refuse)


def guard_torch(may_write: Callable[[Any], None]) -> None:
    """torch.save opens its file in C++: ask the guard's question about writing there too."""
    torch_c: Any = sys.modules.get("torch._C")
    writer = getattr(torch_c, "PyTorchFileWriter", None)
    if writer is None:
        return

    def guarded(file: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(file, str | bytes | os.PathLike):
            may_write(file)
        return writer(file, *args, **kwargs)

    torch_c.PyTorchFileWriter = guarded


def _refusal(says: str) -> Any:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise PermissionError(says)

    return refuse


def _replace(module: str, name: str, refuse: Any) -> None:
    try:
        holder = importlib.import_module(module)
    except ImportError:  # this system has no such module
        return
    if hasattr(holder, name):
        setattr(holder, name, refuse)
