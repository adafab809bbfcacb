"""Files that appear whole or not at all."""

from __future__ import annotations

import tempfile
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write in a folder beside the file, then rename. The folder goes whatever happens."""
    with tempfile.TemporaryDirectory(dir=path.absolute().parent, prefix=f".{path.name}-") as beside:
        draft = Path(beside) / path.name
        draft.write_bytes(data)
        draft.replace(path)
