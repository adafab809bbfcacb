"""Reads a TOML file into a NamedTuple that refuses unknown keys.

A misspelt key that is silently ignored costs an evening, so every message here names the file, the line
and the key, and proposes the key that was probably meant.
"""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from cohort_cli.errors import BrokenManifest

Record = TypeVar("Record", bound="NamedTuple")


def did_you_mean(word: str, choices: list[str]) -> str:
    """One sentence that helps after a misspelling: "Did you mean scale?", or else every choice."""
    import difflib  # only after a misspelling

    close = difflib.get_close_matches(word, choices, n=3, cutoff=0.5)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return f"Known here: {', '.join(choices)}." if choices else "Nothing is known here yet."


def read_text(path: Path) -> str:
    """A file of ours as text, or BrokenManifest that says why it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BrokenManifest(f"{path} is missing.") from None
    except UnicodeDecodeError as trouble:
        message = f"{path} is not UTF-8 text (byte {trouble.start})."
        raise BrokenManifest(message, "Save it as UTF-8.") from None
    except OSError as trouble:
        raise BrokenManifest(f"{path} cannot be read: {trouble.strerror or trouble}.") from None


def load_toml(path: Path) -> dict[str, Any]:
    """The file's tables. Raises BrokenManifest with file, line and column."""
    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as trouble:
        raise BrokenManifest(f"{path} is not valid TOML: {trouble}.", "Repair that line.") from None


def line_of(path: Path, key: str, section: str = "", which: int = 0) -> str:
    """Gives ":12" for the first line that sets `key` or opens its table, "" if no line does.

    With a `section` such as "[model]", the first such line from that heading on, if the file has the heading;
    `which` is the number of the heading, counted from 0, where there are several.
    """
    pattern = re.compile(rf"^\s*(\[+\s*)?{re.escape(key)}\s*[=\].]", re.MULTILINE)
    text = read_text(path)
    headings = list(re.finditer(rf"^\s*{re.escape(section)}", text, re.MULTILINE)) if section else []
    begin = headings[which].end() if which < len(headings) else 0
    match = pattern.search(text, begin) or pattern.search(text)
    return f":{text.count(chr(10), 0, match.end()) + 1}" if match else ""


def require_schema(table: dict[str, Any], schema: str, path: Path) -> None:
    """The first key of every file of ours says what it is and which version."""
    found = table.get("schema")
    if found == schema:
        return
    family = schema.rpartition("/")[0]
    if isinstance(found, str) and found.rpartition("/")[0] == family:
        raise BrokenManifest(
            f'{path}{line_of(path, "schema")} has schema "{found}"; this kit reads "{schema}".',
            "Update the kit, or use the kit that wrote the file.",
        )
    wanted = f'schema = "{schema}"'
    raise BrokenManifest(f"{path} does not say {wanted}.", f"Its first line must be: {wanted}")


def build(cls: type[Record], table: object, path: Path, section: str = "", which: int = 0) -> Record:
    """Make a NamedTuple from one TOML table, checking every key's name and type.

    `section` is the table's name for messages, such as "[[step]]", and `which` its number. Lists become tuples.
    """
    place = f" in {section}" if section else ""
    if not isinstance(table, dict):
        raise BrokenManifest(f"{path}: {section or 'the file'} must be a table.")
    types = _types_of(cls)
    for key in table:
        if key not in types:
            raise BrokenManifest(
                f"{path}{line_of(path, key, section, which)}: unknown key {key!r}{place}.",
                did_you_mean(key, list(types)),
            )
    values = {}
    for name, wanted in types.items():
        if name in table:
            try:
                values[name] = convert(table[name], wanted)
            except WrongType as wrong:
                raise BrokenManifest(
                    f"{path}{line_of(path, name, section, which)}: {name!r}{place} must be {wrong}."
                ) from None
        elif name not in cls._field_defaults:
            raise BrokenManifest(f"{path}: the key {name!r} is missing{place}.", f"Add {name} = …")
    return cls(**values)  # type: ignore[call-overload]


@lru_cache(maxsize=64)
def _types_of(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


class WrongType(Exception):
    """What a value must be, in words."""


def convert(value: object, wanted: Any) -> object:
    """A value of a TOML file as `wanted`. Raises WrongType."""
    if get_origin(wanted) is tuple:
        inner = get_args(wanted)[0]
        if not isinstance(value, list):
            raise WrongType("a list")
        return tuple(convert(item, inner) for item in value)
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise WrongType(f"{_NAMES.get(wanted, wanted)}, not {value!r}")
    return value


_NAMES = {str: "text in quotes", int: "a whole number", float: "a number", bool: "true or false"}
