"""Tables as YAML, for one kind of file that we write and never read: a library would be a dependency for that alone.

Every string is written as JSON writes it, which is YAML too, so that no word ("no", "1e3", "~") can mean something else.
Only a text of several lines is a block, to be read by people.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_MEANS_MORE = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}  # as a bare key


def dump(table: dict[str, Any]) -> str:
    return "\n".join(_lines(table, "")) + "\n"


def _lines(table: dict[str, Any], indent: str) -> Iterator[str]:
    for key, value in table.items():
        bare = key.isidentifier() and key.isascii() and key.lower() not in _MEANS_MORE
        name = indent + (key if bare else json.dumps(key)) + ":"
        if isinstance(value, dict) and value:
            yield name
            yield from _lines(value, indent + "  ")
        elif isinstance(value, str) and _is_block(value):
            yield name + " |"
            for line in value.splitlines():
                yield f"{indent}  {line}" if line else ""
        else:
            yield f"{name} {json.dumps(value, ensure_ascii=False)}"


def _is_block(text: str) -> bool:
    """Whether a literal block gives exactly this text back: no control characters, one line break at the end."""
    body = text[:-1]
    lines = text.split("\n")
    return (
        text.endswith("\n")
        and "\n" in body
        and not body.endswith("\n")
        and not lines[0].startswith((" ", "\n"))
        and bool(lines[0])
        and all(char.isprintable() or char == "\n" for char in text)
    )
