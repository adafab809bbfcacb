"""A manifest that closes a folder of files: size and SHA-256 of each, and of itself.

With it a reader knows that every byte is as it was written; without a valid one the folder does not count. The caller
has written the files; `close` makes them safe on the disk before it writes the manifest, and that before it returns.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from cohort_cli.training import disk

MANIFEST = "manifest.json"
_NAME = re.compile(r"[A-Za-z0-9_-]+\.[a-z]+")  # never a path


def close(folder: Path, schema: str, facts: dict[str, Any]) -> None:
    """Sync every file of the folder, then write manifest.json with `facts`, and sync that and the folder."""
    files = {}
    for path in sorted(folder.iterdir()):
        disk.sync(path)
        files[path.name] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
    table = {"schema": schema, **facts, "files": files}
    table["sha256"] = _digest(table)
    disk.write_bytes(folder / MANIFEST, json.dumps(table, indent=1).encode())
    disk.sync(folder / MANIFEST)
    disk.sync_folder(folder)


def read(folder: Path, schema: str) -> dict[str, Any]:
    """The manifest's table. Raises ValueError that says what is wrong with it. The files are not looked at."""
    try:
        text = (folder / MANIFEST).read_bytes()
    except FileNotFoundError:
        raise ValueError(f"{MANIFEST} is missing") from None
    except OSError as error:
        raise ValueError(f"{MANIFEST} cannot be read ({error.strerror or error})") from None
    try:
        table = dict(json.loads(text))
        if table.pop("sha256") != _digest(table):
            raise ValueError
        if table["schema"] != schema or not all(_is_entry(*item) for item in table["files"].items()):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError(f"{MANIFEST} is not what was written") from None
    return table


def _is_entry(name: str, facts: Any) -> bool:
    """Whether a row of the manifest is one that `close` writes."""
    return (
        bool(_NAME.fullmatch(name)) and isinstance(facts["bytes"], int) and isinstance(facts["sha256"], str)
    )


def problems(folder: Path, schema: str) -> list[str]:
    """What is wrong with the folder, a clause each; nothing if every byte is as it was written."""
    try:
        table = read(folder, schema)
    except ValueError as error:
        return [str(error)]
    found = []
    for name, entry in table["files"].items():
        path = folder / name
        try:
            if (size := path.stat().st_size) != entry["bytes"]:
                found.append(f"{name} has {size} bytes instead of {entry['bytes']}")
            elif sha256(path) != entry["sha256"]:
                found.append(f"{name} has changed since it was written")
        except FileNotFoundError:
            found.append(f"{name} is missing")
        except OSError as error:
            found.append(f"{name} cannot be read ({error.strerror or error})")
    return found


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(table: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()
