"""showcase/showcase.toml: what the organiser decided about the gallery.

schema = "cohort.showcase/1"
ranking = true              # default: false

[meetings]
4 = ["ada-my-gpt"]          # what was shown at meeting 4
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from cohort_cli.errors import BrokenManifest
from cohort_cli.manifest import build, did_you_mean, line_of, load_toml, require_schema

SCHEMA = "cohort.showcase/1"
FILE = "showcase.toml"


class Settings(NamedTuple):
    ranking: bool = False
    meetings: Mapping[int, tuple[str, ...]] = MappingProxyType({})  # number -> folders of entries


class _Head(NamedTuple):
    ranking: bool = False


def read(home: Path, numbers: Collection[int]) -> Settings:
    """`home`: the folder above the entries. `numbers`: the meetings that there are. Raises BrokenManifest."""
    path = home / FILE
    if not path.exists():
        return Settings()
    table = load_toml(path)
    require_schema(table, SCHEMA, path)
    del table["schema"]
    shown = table.pop("meetings", {})
    for key in table:
        if key not in _Head._fields:
            raise BrokenManifest(
                f"{path}{line_of(path, key)}: unknown key {key!r}.",
                did_you_mean(key, [*_Head._fields, "meetings"]),
            )
    if not isinstance(shown, dict):
        raise BrokenManifest(f"{path}: meetings must be a table.", "Write [meetings] on a line of its own.")
    return Settings(
        build(_Head, table, path).ranking,
        {_number(key, path, numbers): _folders(key, value, path) for key, value in shown.items()},
    )


def _number(key: str, path: Path, numbers: Collection[int]) -> int:
    if not re.fullmatch(r"\d{1,3}", key, re.ASCII) or int(key) not in numbers:
        known = ", ".join(map(str, sorted(numbers)))
        raise BrokenManifest(
            f"{path}{line_of(path, key, '[meetings]')}: there is no meeting {key}.", f"There are: {known}."
        )
    return int(key)


def _folders(key: str, value: object, path: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise BrokenManifest(
            f"{path}{line_of(path, key, '[meetings]')}: meeting {key} must be a list of names.",
            f'For example: {key} = ["ada-my-gpt"]',
        )
    return tuple(value)
