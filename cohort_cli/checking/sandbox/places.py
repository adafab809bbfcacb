"""What every check may read: Python, its libraries, and the parts of the system that they need.

The kit itself is the difficulty. It carries the reference solutions, and it may lie inside one of Python's
own folders: in site-packages when it was installed, or on `sys.path` when it is a checkout. So folders are
allowed with a hole in them: every entry but the one that leads to the kit.
"""

from __future__ import annotations

import os
import site
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cohort_cli

# What the C library, OpenMP, OpenSSL and Python's `zoneinfo` read when they feel like it.
SYSTEM = (
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/usr/share/locale",
    "/etc/ld.so.cache", "/etc/localtime", "/etc/timezone", "/etc/ssl/openssl.cnf", "/etc/pki/tls/openssl.cnf",
    "/dev/zero", "/dev/random", "/dev/urandom",
    "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/version", "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu", "/sys/devices/system/node", "/sys/kernel/mm/transparent_hugepage",
)  # fmt: skip


@dataclass(frozen=True)
class Places:
    """Absolute paths without symbolic links."""

    readable: tuple[str, ...]  # files, and folders with all that is in them
    listable: tuple[str, ...]  # folders whose names may be listed, because of the hole in them
    private: tuple[str, ...]  # the user's own: refused unless readable, at the levels without an allow-list


def python_places(kit_root: Path) -> Places:
    """What this very Python needs, without the kit's projects and meetings."""
    kit = os.path.realpath(kit_root)
    readable, listable = list[str](), list[str]()
    for root in [*_python_roots(kit), *SYSTEM]:
        if root == kit or not os.path.exists(root):
            continue
        if contains(kit, os.path.realpath(root)):  # a virtual environment inside a checkout
            readable.append(os.path.realpath(root))
            continue
        for path, whole in without(os.path.realpath(root), (kit,)):
            (readable if whole else listable).append(path)
    package = os.path.dirname(os.path.realpath(cohort_cli.__file__))
    for path, whole in without(package, (kit,) if kit != os.path.dirname(package) else ()):
        (readable if whole else listable).append(path)
    private = (os.path.expanduser("~"), tempfile.gettempdir())
    return Places(_smallest(readable), tuple(dict.fromkeys(listable)), tuple(map(os.path.realpath, private)))


def without(root: str, holes: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """`root` in pieces that leave out every hole: (path, True) is meant whole, (folder, False) only names."""
    inside = [hole for hole in holes if contains(root, hole)]
    if root in inside:
        return
    if not inside:
        yield root, True
        return
    yield root, False
    for entry in os.scandir(root):
        if not entry.is_symlink():  # what a link leads to is either allowed for itself, or not
            yield from without(entry.path, inside)


def contains(folder: str, path: str) -> bool:
    """Whether `path` is `folder` or lies in it."""
    return path == folder or path.startswith(os.path.join(folder, ""))


def _python_roots(kit: str) -> Iterator[str]:
    """Every folder that Python imports from; not the current one or the home, which hold other things too."""
    yield from (
        sys.prefix,
        sys.base_prefix,
        sys.exec_prefix,
        sys.base_exec_prefix,
        os.path.dirname(os.__file__),
    )
    yield from site.getsitepackages()
    if site.ENABLE_USER_SITE:
        yield site.getusersitepackages()
    home, here = os.path.realpath(os.path.expanduser("~")), os.path.realpath(os.curdir)
    for path in map(os.path.realpath, filter(None, sys.path)):
        if path != here and not contains(path, home) and not contains(kit, path):
            yield path


def _smallest(paths: Iterable[str]) -> tuple[str, ...]:
    """The same places, without those that lie in another of them."""
    kept: list[str] = []
    for path in sorted(set(paths), key=len):
        if not any(contains(folder, path) for folder in kept):
            kept.append(path)
    return tuple(kept)
