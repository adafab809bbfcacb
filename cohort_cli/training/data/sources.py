"""Where text comes from: the word in a preset, and the documents that it stands for.

embedded             the English prose of Python's documentation: no download
a name               one of CORPORA, fetched when it is first used
hf:OWNER/NAME        any data set of the Hugging Face hub, or hf:OWNER/NAME:CONFIGURATION
notes.txt            plain text; documents end with <|endoftext|>, without one the file is a single document
.jsonl .parquet .csv rows with a column of text
a folder             a data set as `datasets` saves it with save_to_disk
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from cohort_cli.errors import UsageError
from cohort_cli.manifest import did_you_mean
from cohort_cli.training import corpus
from cohort_cli.training.data import readers
from cohort_cli.training.data.shards import sha256_of

EMBEDDED = "embedded"
HUB = "hf:"
SAVED = ("state.json", "dataset_dict.json")  # one of them is in every folder of save_to_disk
Documents = Callable[[], Iterator[str]]  # from the first document on, each time it is called


class Corpus(NamedTuple):
    """A corpus that has a name here. Sizes and licences as their pages stated them in November 2026."""

    title: str
    size: str
    licence: str
    place: str  # hub id, with ":CONFIGURATION"; or the URL of one text file
    revision: str | None = None
    sha256: str = ""  # of the text, where it is one file


CORPORA = {
    "tinyshakespeare": Corpus(
        "Tiny Shakespeare: 40,000 lines of plays",
        "1.1 MB of text, one file",
        "none stated; the text is in the public domain",
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
    "tinystories": Corpus(
        "TinyStories: stories in simple words, by GPT-3.5 and GPT-4",
        "1.9 GB of text, 2.1 million stories; 19 MB for validation",
        "CDLA-Sharing-1.0: pass the licence on with the data",
        "roneneldan/TinyStories",
    ),
    "fineweb-edu": Corpus(
        "FineWeb-Edu: web pages that teach, 10 billion tokens of them",
        "20 GB as tokens; --max-tokens takes less",
        "ODC-By 1.0: name the source",
        "HuggingFaceFW/fineweb-edu:sample-10BT",
    ),
    "openwebtext": Corpus(
        "OpenWebText: what GPT-2's own training text was like",
        "54 GB of text, 17 GB as tokens; --max-tokens takes less",
        "CC0-1.0 for the collection; pages belong to their authors",
        "Skylion007/openwebtext",
        revision="refs/convert/parquet",  # its main branch holds a script, which `datasets` no longer runs
    ),
}


class Source(NamedTuple):
    """A source that was found."""

    word: str  # what finds it again, from any folder
    says: str  # a line or more: what it is, its size and licence
    identity: str  # the same as long as the content is the same (for the hub: as long as the name is)
    open: Callable[[], Mapping[str, Documents]]  # downloads begin here. "train", perhaps "validation"
    size: int = 0  # bytes of text, where they are known in advance


def find(word: str, text_field: str) -> Source:
    """The source that a preset names. Nothing is downloaded yet.

    Raises UsageError for a word that means nothing, EnvironmentTrouble if a library is missing.
    """
    if word == EMBEDDED:
        text = corpus.load()
        says = "The English prose of Python's documentation. Licence: PSF-2.0."
        data = text.encode("utf-8")
        identity = hashlib.sha256(data).hexdigest()
        return Source(word, says, identity, lambda: {"train": lambda: iter([text])}, len(data))
    if word in CORPORA:
        found = CORPORA[word]
        says = f"{found.title}\nsize     {found.size}\nlicence  {found.licence}\nfrom     {found.place}"
        if found.sha256:
            fetched = partial(readers.fetched, found.place, found.sha256)
            return Source(word, says, found.sha256, lambda: {"train": fetched})
        return _hub(word, says, found.place, found.revision, text_field)
    if word.startswith(HUB):
        place = word.removeprefix(HUB)
        says = f"{place} on the Hugging Face hub; its page there states size and licence."
        return _hub(word, says, place, None, text_field)
    return _local(word, Path(word).expanduser().absolute(), text_field)


def _hub(word: str, says: str, place: str, revision: str | None, text_field: str) -> Source:
    readers.datasets()
    name, _, configuration = place.partition(":")
    opening = partial(readers.texts_of_hub, name, configuration or None, revision, text_field)
    return Source(word, says, f"{HUB}{place} {text_field}", opening)


def _local(word: str, path: Path, text_field: str) -> Source:
    if path.is_dir():
        if not any((path / name).is_file() for name in SAVED):
            raise UsageError(
                f"{path} is no data set that was saved with save_to_disk.",
                "Name a file, or the folder of one.",
            )
        digest = hashlib.sha256()
        for file in sorted(path.rglob("*")):
            if file.is_file():
                digest.update(f"{file.relative_to(path).as_posix()} {sha256_of(file)}\n".encode())
        readers.datasets()
        identity = f"{digest.hexdigest()} {text_field}"
        return Source(
            str(path),
            f"The saved data set {path}",
            identity,
            partial(readers.texts_of_folder, path, text_field),
        )
    if not path.is_file():
        raise UsageError(
            f"There is no source {word!r}: it is no name that is known, and no file.",
            f"{did_you_mean(word, [EMBEDDED, *CORPORA])} A data set of the hub is written hf:OWNER/NAME",
        )
    size = path.stat().st_size
    says = f"{path}, {size:,} bytes"
    if path.suffix == ".txt":
        return Source(str(path), says, sha256_of(path), lambda: {"train": partial(readers.plain, path)}, size)
    if path.suffix not in readers.KINDS:
        raise UsageError(
            f"{path} is of no kind that can be read.",
            f"Known are .txt, {', '.join(readers.KINDS)}, and the folder of a saved data set.",
        )
    readers.datasets()
    rows = partial(readers.texts_of_file, path, text_field)
    return Source(str(path), says, f"{sha256_of(path)} {text_field}", lambda: {"train": rows})
