"""A JSON file that appears whole or not at all."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any, Union


def pack(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def unpack(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii"), validate=True)


def replace_file(path: Union[str, Path], data: bytes) -> None:
    path = Path(path)
    new = path.with_name(path.name + f".{os.getpid()}.tmp")
    try:
        with new.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    finally:
        if new.exists():
            new.unlink()


def write_json(path: Union[str, Path], value: Any) -> None:
    replace_file(path, json.dumps(value, indent=1).encode("utf-8"))
