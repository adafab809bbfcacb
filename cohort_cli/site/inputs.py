"""Has anything changed since the site was built? One hash of all that goes in, and one of what came out.

It is the hash of whole folders, not of what a build really opened: a file too many costs a build now and then, a file
too few would show an old page.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import cohort_cli

MARK = ".cohort-site"  # lies in every folder that we built, so that we never replace one that is not ours
SCHEMA = "cohort.site/1"
PARTS = ("docs", "projects", "meetings", "mkdocs.yml")  # of a kit
BUILDERS = ("mkdocs", "mkdocs-material", "markdown", "pymdown-extensions", "pygments", "latex2mathml",
            "markdown-it-py", "nh3", "rjsmin", "rcssmin", "jupytext", "nbclient", "torch")  # fmt: skip
CHUNK = 1 << 20
_SKIPPED = {"__pycache__", "build", "node_modules"}


def digest(kit: Path, reads: Iterable[Path]) -> str:
    """SHA-256 of the kit's files, the program, its builders' versions, and everything in `reads`."""
    hashed = hashlib.sha256()
    facts = [sys.version, os.environ.get("SOURCE_DATE_EPOCH", ""), *map(_version, BUILDERS)]
    hashed.update(json.dumps(facts).encode())
    roots = [*(kit / part for part in PARTS), Path(cohort_cli.__file__).parent, *reads]
    for number, root in enumerate(roots):
        for path in _files(root):
            name = path.relative_to(root).as_posix()
            hashed.update(f"\n{number} {len(name.encode())} {name} ".encode())
            _add(hashed, path)
    return hashed.hexdigest()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _files(root: Path) -> Iterator[Path]:
    """Of a folder or of a file, in order. Hidden ones are no part of a site; links are not followed into folders."""
    if root.is_file():
        yield root
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED)
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))
        yield from (path for name in folders if (path := Path(folder, name)).is_symlink())


def _add(hashed: hashlib._Hash, path: Path) -> None:
    """The content. A file that cannot be read, or a link to a folder, is a state of its own."""
    if not path.is_file():
        hashed.update(b"no plain file")
        return
    try:
        with path.open("rb") as file:
            hashed.update(f"{os.fstat(file.fileno()).st_size} ".encode())
            while chunk := file.read(CHUNK):
                hashed.update(chunk)
    except OSError as trouble:
        hashed.update(f"unreadable: {trouble.errno}".encode())


# --- the mark --------------------------------------------------------------------------------------------------


def write_mark(site: Path, inputs: str, pages: int) -> None:
    table = {
        "schema": SCHEMA,
        "says": "Built by `cohort site build`, which replaces this folder.",
        "inputs": inputs,
        "pages": pages,
        "files": _outline(site),
    }
    (site / MARK).write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def pages_if_unchanged(site: Path, inputs: str) -> int | None:
    """How many pages a site of these inputs has, if it lies there whole; else None."""
    try:
        table = json.loads((site / MARK).read_text(encoding="utf-8"))
        same = table["schema"] == SCHEMA and table["inputs"] == inputs and table["files"] == _outline(site)
        return int(table["pages"]) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _outline(site: Path) -> str:
    """SHA-256 of the names and sizes of all files: enough to see that one was lost, cut off or added."""
    lines = []
    for folder, folders, names in os.walk(site):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if path != site / MARK:
                lines.append(f"{path.relative_to(site).as_posix()} {path.lstat().st_size}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
