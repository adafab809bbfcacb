"""Landlock: the kernel's own list of which files a process may touch. It needs no administrator and no
container.

A process makes a ruleset, which first names every kind of access that is to be refused, then adds the folders
where some of it is allowed. From `restrict_self` on, nothing takes the rules back, for this process and all
it starts. Later kernels know more kinds of access; their version, the "ABI", says which.

What no version covers: looking at a file's size, owner and times, changing them (seccomp.py refuses that),
UDP and other sockets (seccomp.py), and files that are already open.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator

from cohort_cli.checking.sandbox import linux
from cohort_cli.checking.sandbox.places import Places, contains, without

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on every processor
GET_VERSION = 1
PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE, MAKE_CHAR, MAKE_DIR = (
    1 << n for n in range(8)
)
MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM, REFER, TRUNCATE, IOCTL_DEV = (
    1 << n for n in range(8, 16)
)

FILES_BY_ABI = {1: MAKE_SYM * 2 - 1, 2: REFER * 2 - 1, 3: TRUNCATE * 2 - 1, 5: IOCTL_DEV * 2 - 1}
BIND_AND_CONNECT_TCP = 3  # ABI 4
ABSTRACT_SOCKETS_AND_SIGNALS = 3  # ABI 6: only to processes inside the same sandbox

READ = READ_FILE | READ_DIR
WRITE = READ | WRITE_FILE | MAKE_REG | MAKE_DIR | REMOVE_FILE | REMOVE_DIR | REFER | TRUNCATE
ON_FILES = READ_FILE | WRITE_FILE | TRUNCATE  # the kinds that make sense for a single file

# Of our own folder in /proc only these, because `environ` there is the environment that the fork server
# started with.
OWN_PROC = ("maps", "status", "stat", "statm", "cmdline", "cgroup", "limits", "fd")


def abi() -> int:
    """Landlock's version on this kernel, or 0."""
    if not linux.SUPPORTED:
        return 0
    try:
        return linux.call(CREATE_RULESET, None, 0, GET_VERSION)
    except OSError:
        return 0


def enter(abi: int, places: Places, work: str, scratch: str, hidden: tuple[str, ...]) -> None:
    """Refuse every access to files but: read Python, the system and `work`; read and write `scratch`.

    Raises OSError when the kernel does not agree.
    """
    handled = next(FILES_BY_ABI[n] for n in sorted(FILES_BY_ABI, reverse=True) if n <= abi)
    words = [handled, BIND_AND_CONNECT_TCP, ABSTRACT_SOCKETS_AND_SIGNALS][: 1 + (abi >= 4) + (abi >= 6)]
    attributes = ctypes.create_string_buffer(struct.pack(f"={len(words)}Q", *words), 8 * len(words))
    ruleset = linux.call(CREATE_RULESET, attributes, 8 * len(words), 0)
    try:
        for path, access in _rules(places, work, scratch, hidden):
            _allow(ruleset, path, access & handled)
        linux.call(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _rules(places: Places, work: str, scratch: str, hidden: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    yield from ((path, READ) for path in places.readable)
    yield from ((path, READ_DIR) for path in places.listable)
    yield from ((f"/proc/self/{name}", READ) for name in OWN_PROC)
    yield os.devnull, READ | WRITE_FILE
    yield scratch, WRITE
    # A hidden folder inside the member's own is left out; the other way round, the work is what is to be
    # checked.
    holes = [folder for folder in hidden if folder != work and contains(work, folder)]
    yield from ((path, READ if whole else READ_DIR) for path, whole in without(work, holes))


def _allow(ruleset: int, path: str, access: int) -> None:
    """Allow `access` for a file, or for a folder and all that is in it. No such path: nothing to allow."""
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rule = ctypes.create_string_buffer(struct.pack("=Qi", access, fd), 12)
        try:
            linux.call(ADD_RULE, ruleset, PATH_BENEATH, rule, 0)
        except OSError:  # not a folder: the kernel wants the kinds for files only
            if not access & ON_FILES:
                return
            rule = ctypes.create_string_buffer(struct.pack("=Qi", access & ON_FILES, fd), 12)
            linux.call(ADD_RULE, ruleset, PATH_BENEATH, rule, 0)
    finally:
        os.close(fd)
