"""How each kind of source is read: one document after the other, so that nothing has to fit into memory.

Plain text and a single file from the web need no library. All else goes through Hugging Face's `datasets`, streamed:
it knows the formats and the hub, and nothing of it is unpickled or executed.
"""

from __future__ import annotations

import glob
import hashlib
import logging
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from cohort_cli.errors import CohortError, DataTrouble, EnvironmentTrouble, UsageError
from cohort_cli.training.data.tokenizer import END_OF_TEXT

KINDS = {".jsonl": "json", ".parquet": "parquet", ".csv": "csv"}  # suffix -> what `datasets` calls its reader
TIMEOUT = 60  # seconds without a byte
AGAIN = "Look at the network, then run the same command again. The source embedded needs none."


def plain(path: Path) -> Iterator[str]:
    """The documents of a text file, line breaks as they are; those around <|endoftext|> belong to it."""
    lines: list[str] = []
    separated = False
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for line in file:
                while END_OF_TEXT in line:
                    before, _, line = line.partition(END_OF_TEXT)
                    separated = True
                    yield "".join([*lines, before]).strip("\r\n")
                    lines = []
                lines.append(line)
    except UnicodeDecodeError as trouble:
        byte = trouble.object[trouble.start]
        raise UsageError(f"{path} is not UTF-8 text: a byte is 0x{byte:02x}.", "Save it as UTF-8.") from None
    last = "".join(lines)
    yield last.strip("\r\n") if separated else last


def fetched(url: str, sha256: str) -> Iterator[str]:
    """The one text file at a URL, as one document, if it is the one that we know."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            data: bytes = answer.read()
    except OSError as trouble:
        raise DataTrouble(f"{url} cannot be fetched: {trouble}.", AGAIN) from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise DataTrouble(
            f"{url} is not the text that this kit knows: its checksum is wrong.",
            "Run it again. If it stays so: save the file, look at it, and give its name as the source.",
        )
    yield data.decode("utf-8")


def texts_of_file(path: Path, text_field: str) -> Iterator[str]:
    """The column of text of a .jsonl, .parquet or .csv file."""
    return _texts(rows_of_file(path), text_field, str(path))


def rows_of_file(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a .jsonl, .parquet or .csv file. Raises UsageError if it cannot be read as such."""
    kind = KINDS[path.suffix]
    options: dict[str, Any] = {"keep_default_na": False} if kind == "csv" else {}  # the word NA is a text
    with tempfile.TemporaryDirectory(prefix="cohort-", ignore_cleanup_errors=True) as cache:
        try:
            yield from datasets().load_dataset(
                kind,
                data_files={"train": [glob.escape(path.as_posix())]},
                split="train",
                streaming=True,
                cache_dir=cache,
                **options,
            )
        except CohortError:
            raise
        except StopIteration:  # `datasets` says so of a file without a row
            return
        except Exception as trouble:  # each format has its own
            raise UsageError(f"{path} cannot be read as {path.suffix[1:]}: {_first_line(trouble)}.") from None


def texts_of_folder(path: Path, text_field: str) -> dict[str, Callable[[], Iterator[str]]]:
    """The texts of a folder that save_to_disk wrote, by split."""
    found = rows_of_folder(path)
    return {split: partial(_texts, rows, text_field, str(path)) for split, rows in found.items()}


def rows_of_folder(path: Path) -> dict[str, Any]:
    """The rows of a folder that save_to_disk wrote, by split. Raises UsageError if it is no such folder."""
    try:
        loaded = datasets().load_from_disk(str(path))
    except (OSError, ValueError, KeyError) as trouble:
        raise UsageError(f"The data set {path} cannot be read: {_first_line(trouble)}.") from None
    return dict(loaded) if isinstance(loaded, dict) else {"train": loaded}


def texts_of_hub(
    name: str, configuration: str | None, revision: str | None, text_field: str
) -> dict[str, Callable[[], Iterator[str]]]:
    """The splits of a data set on the hub. Their rows come over the network while they are read."""
    with _hub_errors(name):
        parts = datasets().load_dataset(name, configuration, revision=revision, streaming=True)
    return {split: partial(_texts_of_hub, name, rows, text_field) for split, rows in parts.items()}


def _texts_of_hub(name: str, rows: Any, text_field: str) -> Iterator[str]:
    with _hub_errors(name):
        yield from _texts(rows, text_field, name)


def rows_of_hub(name: str, configuration: str | None, split: str) -> Iterator[dict[str, Any]]:
    """The rows of one split of a data set on the hub."""
    with _hub_errors(name):
        yield from datasets().load_dataset(name, configuration, split=split, streaming=True)


@contextmanager
def _hub_errors(name: str) -> Iterator[None]:
    """What goes wrong while we talk to the hub, in our words."""
    try:
        yield
    except CohortError:
        raise
    except Exception as trouble:
        says = f"{name} on the Hugging Face hub: {_first_line(trouble)}."
        if type(trouble).__name__ == "DatasetNotFoundError" or isinstance(trouble, ValueError | RuntimeError):
            raise UsageError(says, f"Look at https://huggingface.co/datasets/{name}") from None
        raise DataTrouble(says, AGAIN) from None


def datasets() -> Any:
    """The library, which is slow to import and likes to talk. Raises EnvironmentTrouble if it is missing."""
    try:
        import datasets as library
    except ImportError:
        raise EnvironmentTrouble(
            "This source needs the library `datasets`, which is not installed.",
            'pip install "cohort-kit[train]"    The source embedded and .txt files need nothing.',
        ) from None
    library.disable_progress_bars()
    library.logging.set_verbosity(logging.CRITICAL)
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)
    return library


def _texts(rows: Any, text_field: str, place: str) -> Iterator[str]:
    for number, row in enumerate(rows, 1):
        if text_field not in row:
            raise UsageError(
                f"{place} has no column {text_field!r}; it has {', '.join(map(str, row))}.",
                "Name the column that holds the text: --text-field, or data.text_field in a preset.",
            )
        text = row[text_field]
        if text is not None and not isinstance(text, str):
            raise UsageError(f"{place}, row {number}: {text_field!r} is {type(text).__name__}, not text.")
        if text:
            yield text


def _first_line(trouble: BaseException) -> str:
    return (str(trouble).strip().splitlines() or [type(trouble).__name__])[0].rstrip(".")
