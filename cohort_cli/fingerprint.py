"""Hashes of a member's code, so that a verdict counts only for exactly the code that was checked.

    code_sha256(folder)              every .py file of the folder
    step_sha256(folder, "block.py")  that file, and every file of the folder that it imports, directly or not

A file that reaches for others in a way that cannot be read from its source (open, exec, importlib,
torch.load, …) makes the step depend on every file of the folder: a verdict may then look stale too early,
but never valid too long.
"""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from cohort_cli.memo import Memo

_DYNAMIC_MODULES = {"importlib", "runpy", "pkgutil", "imp", "builtins", "zipimport", "site"}
_DYNAMIC_NAMES = {"__import__", "__builtins__", "exec", "eval", "open", "compile"}
_DYNAMIC_ATTRIBUTES = {"read_text", "read_bytes", "load", "open", "modules", "meta_path"}
_DYNAMIC_DOTTED = {("sys", "path"), ("os", "popen"), ("os", "system"), ("os", "fdopen")}


def code_sha256(folder: Path) -> str:
    """Hash of every .py file of the folder: sorted paths and contents, whatever the line endings."""
    return _sha256(folder, code_files(folder))


def code_files(folder: Path) -> list[Path]:
    """The files that `code_sha256` reads."""
    return [path for path in _all_files(folder) if path.suffix == ".py"]


def step_sha256(folder: Path, *files: str, memo: Memo | None = None) -> str:
    """Hash of these files and everything of the folder that they import. `memo`: what is known of their imports."""
    memo = Memo() if memo is None else memo
    paths = {path for file in files for path in files_of(folder, file, memo)}
    return _sha256(folder, paths)


def files_of(folder: Path, file: str, memo: Memo | None = None) -> list[Path]:
    """The import closure of one file within the folder; every file of the folder if it cannot be known."""
    memo = Memo() if memo is None else memo
    here = _names(folder)
    waiting = [folder / file]
    found: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in found or not path.is_file():
            continue
        found.add(path)
        content = _content(path)
        name = path.relative_to(folder).as_posix()
        imported = memo.get(f"imports of {name}", content, lambda: _imports(folder, path, content))  # noqa: B023
        if imported is None:
            return _all_files(folder)
        waiting += [folder / name for name in imported if name.partition("/")[0] in here]  # not `torch`, say
    return sorted(found)


def _names(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()


def _imports(folder: Path, path: Path, source: bytes) -> list[str] | None:
    """The files of the folder that one file may import, by name; None if its source does not tell."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: nested too deep to parse
        return None
    if any(_is_dynamic(node) for node in nodes):
        return None
    paths = dict.fromkeys(file for node in nodes for file in _imported(node, folder, path))
    return [file.relative_to(folder).as_posix() for file in paths if folder in file.parents]


def _is_dynamic(node: ast.AST) -> bool:
    """Does this node reach other files in a way that the import statements do not show?"""
    if isinstance(node, ast.Name):
        return node.id in _DYNAMIC_NAMES
    if isinstance(node, ast.Attribute):
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        return node.attr in _DYNAMIC_ATTRIBUTES or (owner, node.attr) in _DYNAMIC_DOTTED
    if isinstance(node, ast.Import):
        return any(alias.name.partition(".")[0] in _DYNAMIC_MODULES for alias in node.names)
    if isinstance(node, ast.ImportFrom) and not node.level:
        module = node.module or ""
        names = {(module, alias.name) for alias in node.names}
        return module.partition(".")[0] in _DYNAMIC_MODULES or bool(names & _DYNAMIC_DOTTED)
    return False


def _imported(node: ast.AST, folder: Path, path: Path) -> Iterator[Path]:
    """The files of the folder that an import statement in `path` may run."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield from _module_files(folder, alias.name.split("."))
    elif isinstance(node, ast.ImportFrom):
        above = [folder, *path.parents]
        base = above[min(node.level, len(above) - 1)]
        parts = node.module.split(".") if node.module else []
        yield from _module_files(base, parts)
        for alias in node.names:  # `from package import module`
            yield from _module_files(base, [*parts, alias.name])


def _module_files(base: Path, parts: list[str]) -> Iterator[Path]:
    """For a.b: a.py, a/__init__.py, a/b.py and a/b/__init__.py. Those that do not exist drop out later."""
    yield base / "__init__.py"
    for part in parts:
        base = base / part
        yield base.with_name(base.name + ".py")
        yield base / "__init__.py"


def _all_files(folder: Path) -> list[Path]:
    """Every file of the folder but hidden ones, caches and virtual environments. Links are not followed."""
    paths = []
    for root, folders, files in os.walk(folder):
        kept = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
        folders[:] = [name for name in kept if not os.path.exists(os.path.join(root, name, "pyvenv.cfg"))]
        paths += [Path(root, name) for name in files if not name.startswith(".")]
    return sorted(paths)


def _sha256(folder: Path, paths: Iterable[Path]) -> str:
    named = sorted((path.relative_to(folder).as_posix(), path) for path in paths)
    digest = hashlib.sha256()
    for name, path in named:
        content = _content(path)
        digest.update(f"{len(name.encode())} {len(content)}\n{name}".encode())
        digest.update(content)
    return digest.hexdigest()


def _content(path: Path) -> bytes:
    try:
        if not path.is_file():  # a named pipe would keep us waiting for ever
            return b"not a file"
        content = path.read_bytes()
    except OSError as trouble:  # gone or not readable: that too is a state of the code
        return f"unreadable: {trouble.errno}".encode()
    return content.replace(b"\r\n", b"\n") if path.suffix == ".py" else content
