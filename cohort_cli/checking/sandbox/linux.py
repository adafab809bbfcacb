"""Linux kernel calls that the standard library does not offer, and how a process gives up its rights."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import struct
import sys
from typing import Any

MACHINE = platform.machine()
SUPPORTED = sys.platform == "linux" and MACHINE in ("x86_64", "aarch64") and sys.maxsize > 2**32

# Kernel calls are known by numbers, which differ between processors.
CAPSET, PRCTL, SECCOMP = (126, 157, 317) if MACHINE == "x86_64" else (91, 167, 277)

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECUREBITS = 28
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

_libc = ctypes.CDLL(None, use_errno=True) if SUPPORTED else None


def call(number: int, *arguments: Any) -> int:
    """One kernel call. Raises OSError with the kernel's reason."""
    if _libc is None:
        raise OSError("not a Linux that we know")
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = int(_libc.syscall(ctypes.c_long(number), *words))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def prctl(option: int, *arguments: int) -> int:
    return call(PRCTL, option, *arguments, *[0] * (4 - len(arguments)))


def conceal() -> None:
    """Keep other processes of the same user from reading or writing this one's memory and environment.

    The fork server and the judge need it too: they are what a player would like to look into.
    """
    if SUPPORTED:
        with contextlib.suppress(OSError):
            prctl(PR_SET_DUMPABLE, 0)


def die_with_parent(signal_number: int) -> None:
    """Have the kernel send us this signal when the fork server ends, however it ends."""
    prctl(PR_SET_PDEATHSIG, signal_number)


def drop_capabilities() -> None:
    """Give up what makes root special, or an ordinary user in a container that hands out capabilities.

    The user stays the same, so that the member's files stay readable.
    """
    with contextlib.suppress(OSError):  # an ordinary user may not, and need not
        prctl(PR_SET_SECUREBITS, 0xEF)  # being root gives nothing from now on, not even after exec
    with contextlib.suppress(OSError):  # kernels before 4.3
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0))  # version 3, this process
    nothing = ctypes.create_string_buffer(
        24
    )  # effective, permitted, inheritable, in two halves each: all zero
    call(CAPSET, header, nothing)


def forbid_new_privileges() -> None:
    """No program that is started from here on gains rights (setuid). Landlock and seccomp ask for this."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
