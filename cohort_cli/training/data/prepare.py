"""From a source and a tokenizer to a folder of tokens, made once and used by every run with the same settings.

    data_home()/embedded-characters-3f0c2a91b7d4/    named after the content of source, tokenizer and settings

The folder is written under another name and renamed at the end, so it is there whole or not at all. A lock lets one
process prepare while others wait for the result. What a killed preparation left is deleted by the next one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cohort_cli.errors import EnvironmentTrouble, UsageError
from cohort_cli.training import disk
from cohort_cli.training.config import Data
from cohort_cli.training.data import sources
from cohort_cli.training.data.choose import Choice, choose
from cohort_cli.training.data.shards import MANIFEST, SCHEMA, TokenFolder
from cohort_cli.training.data.write import Progress, nothing, write_tokens

Tell = Callable[[str], None]


def prepare(
    data: Data,
    home: Path,
    tell: Tell = lambda line: None,
    progress: Progress = nothing,
    again: bool = False,
) -> TokenFolder:
    """The token folder for these settings, made in `home` if it is not there yet.

    data.source may also be a token folder itself. `tell` hears what is read, from where, how large it is and under
    which licence, before anything is downloaded. `again` makes the folder anew. Raises DataTrouble (network, or a
    damaged folder), EnvironmentTrouble (a library is missing, the disk is full), UsageError (a word means nothing).
    """
    _refuse_numbers(data)
    if (Path(data.source).expanduser() / MANIFEST).is_file():
        return TokenFolder.open(Path(data.source).expanduser())
    source = sources.find(data.source, data.text_field)
    choice = choose(data.tokenizer)
    data = data._replace(source=source.word, tokenizer=choice.word)
    target = home / _name(data, source, choice)
    if not target.exists() or again:
        with _alone(target, tell):
            if not target.exists() or again:
                tell(source.says)
                with _appears(target) as draft:
                    write_tokens(draft, data, source, choice, progress)
    return TokenFolder.open(target)


def prepared(data: Data, home: Path) -> Path | None:
    """The folder of these settings, if it is there already. Nothing is downloaded."""
    source, choice = sources.find(data.source, data.text_field), choose(data.tokenizer)
    target = home / _name(data._replace(source=source.word, tokenizer=choice.word), source, choice)
    return target if target.exists() else None


def _refuse_numbers(data: Data) -> None:
    if not 0 < data.validation_share < 1:
        raise UsageError(f"A validation share of {data.validation_share} does not lie between 0 and 1.")
    if data.shard_tokens < 1 or data.max_tokens < 0:
        raise UsageError("A shard has at least 1 token, and max_tokens is 0 (all) or more.")


def _name(data: Data, source: sources.Source, choice: Choice) -> str:
    """Readable, and different for different content."""
    settings = data._replace(source="", tokenizer="", text_field="")  # their contents count, not their names
    content = json.dumps([SCHEMA, source.identity, choice.identity, settings])
    digest = hashlib.sha256(content.encode("utf-8")).hexdigest()[:12]
    words = [Path(word).stem if os.sep in word else word for word in (source.word, choice.word)]
    return "-".join([*(re.sub(r"[^A-Za-z0-9_.]+", "_", word)[:40].strip("._") for word in words), digest])


@contextmanager
def _alone(target: Path, tell: Tell) -> Iterator[None]:
    """Only one process at a time is in here for one target; the system lets go of the lock of a process that dies."""
    from filelock import FileLock, Timeout

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as trouble:
        raise EnvironmentTrouble(
            f"{target.parent} cannot be made: {trouble.strerror}.", "Name another place: COHORT_DATA=FOLDER"
        ) from None
    lock = FileLock(target.parent / f".{target.name}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        tell(f"Another process is preparing {target.name}. Waiting for it.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _appears(target: Path) -> Iterator[Path]:
    """An empty folder that takes the name of `target` at the end, or goes if something stops us."""
    for leftover in target.parent.glob(f".{target.name}.*.partial"):  # of a process that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        draft.mkdir()
        yield draft
        disk.sync_folder(draft)
        if target.exists():
            old = target.with_name(f".{target.name}.old.partial")
            disk.rename(target, old)
            disk.rename(draft, target)
            shutil.rmtree(old, ignore_errors=True)
        else:
            disk.rename(draft, target)
        disk.sync_folder(target.parent)
    except OSError as trouble:
        if disk.is_full(trouble):
            raise EnvironmentTrouble(
                f"The disk of {target.parent} is full.",
                "Make room, take less (--max-tokens), or name another place: COHORT_DATA=FOLDER",
            ) from None
        raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
