"""Installs the audit hook: Python's own report of what is about to happen, which may be answered with an
exception.

The rules themselves are in `guard.py`. They run in a copy of that module which no table leads to: member code
that replaces `os.path.realpath`, `builtins.isinstance` or a name in `guard` itself changes its own world, not
the guard's.
"""

from __future__ import annotations

import builtins
import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import CodeType, ModuleType, SimpleNamespace
from typing import Any

from cohort_cli.checking.sandbox import unreported
from cohort_cli.checking.sandbox.places import Places


@dataclass(frozen=True)
class Allowed:
    """What the guard goes by. Paths are absolute and without symbolic links."""

    work: str
    scratch: str
    hidden: tuple[str, ...]
    places: Places
    strict: bool  # the kernel reads from an allow-list too: say so in words before it says "Errno 13"


GUARD = "cohort_cli.checking.sandbox.guard"
Codes = Mapping[str, CodeType]


def compiled() -> Codes:
    """The code of what `install` runs, compiled once in the fork server."""
    return {name: _code(name) for name in (GUARD, os.path.__name__)}


def install(codes: Codes, allowed: Allowed) -> None:
    """Begin to refuse. Cannot be undone."""
    guard = private_copy(GUARD, codes[GUARD])
    guard["path_tools"] = SimpleNamespace(**private_copy(os.path.__name__, codes[os.path.__name__]))
    unreported.replace()
    hook, may_write = guard["make_hook"](
        work=allowed.work,
        scratch=allowed.scratch,
        hidden=allowed.hidden,
        readable=allowed.places.readable,
        listable=allowed.places.listable,
        private=allowed.places.private,
        strict=allowed.strict,
    )
    unreported.guard_torch(may_write)
    sys.addaudithook(hook)


def private_copy(name: str, code: CodeType) -> dict[str, Any]:
    """The names of a module run once more, outside `sys.modules`, with its own copies of what it imports."""
    names: dict[str, Any] = {"__name__": name, "__builtins__": dict(vars(builtins))}
    exec(code, names)
    for key, value in list(names.items()):
        if isinstance(value, ModuleType):
            copy = ModuleType(value.__name__)
            vars(copy).update(vars(value))
            names[key] = copy
    return names


def _code(name: str) -> CodeType:
    loader: Any = importlib.util.find_spec(name).loader  # type: ignore[union-attr]
    code: CodeType = loader.get_code(name)
    return code
