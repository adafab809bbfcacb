"""The kernel's own limits on a process (POSIX). They stand behind the judge's watchdog, which is finer and
can explain.

Not used, with reasons: RLIMIT_NPROC counts every process and thread of the user, and not at all for root;
RLIMIT_RSS does nothing on Linux; RLIMIT_STACK is left alone because threads take their stack size from it.
"""

from __future__ import annotations

import contextlib
import math
import sys

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

GIB = 1 << 30
OPEN_FILES = 64  # a file that is open and removed is in no folder, so the watchdog cannot see its size
CPU_MARGIN_SECONDS = 2  # the watchdog comes first, with a better sentence

# Address space, not memory in use: torch alone maps about 0.6 GiB, and 1.4 GiB with eight threads.
ADDRESS_SPACE = 4 * GIB


def apply(cpu_seconds: float, memory_mib: int, scratch_mib: int, reused: bool) -> None:
    """Set every limit, never above what the process had."""
    if resource is None:
        return
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: scratch_mib << 20,  # bytes, of any one file
        resource.RLIMIT_NOFILE: OPEN_FILES,
    }
    if not reused:
        wanted[resource.RLIMIT_CPU] = math.ceil(cpu_seconds) + CPU_MARGIN_SECONDS
    if sys.platform != "darwin":  # macOS reserves far more than it uses
        wanted[resource.RLIMIT_AS] = max(ADDRESS_SPACE, (memory_mib << 20) + 3 * GIB)
    for kind, value in wanted.items():
        _, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        with contextlib.suppress(ValueError, OSError):  # a system that does not know this limit
            resource.setrlimit(kind, (value, value))
