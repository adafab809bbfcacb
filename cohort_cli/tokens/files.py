"""Files that appear whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cohort_cli.errors import UsageError


@contextmanager
def draft_of(path: Path) -> Iterator[Path]:
    """A path to write to. It takes the place of `path` at the end, or goes with its folder if something stops us.

    Raises UsageError if nothing was written to it, or if there cannot be such a file.
    """
    try:
        with tempfile.TemporaryDirectory(dir=path.absolute().parent, prefix=f".{path.name}-") as beside:
            draft = Path(beside) / path.name
            yield draft
            if not draft.is_file():
                raise UsageError(
                    f"{path} was not written: `save` made no file.", "cohort check project1 files"
                )
            draft.replace(path)
    except FileNotFoundError as trouble:  # its folder is gone, or is none of a disk's, such as /proc
        raise UsageError(
            f"{path} cannot be written: {trouble.strerror}.", "Name another place with --out."
        ) from None


def write_whole(path: Path, data: bytes) -> None:
    with draft_of(path) as draft:
        draft.write_bytes(data)
