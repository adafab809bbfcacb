"""A folder of tokens: what `cohort data prepare` leaves behind, and what training reads.

    manifest.json          what the tokens were made of, how many there are, and a checksum for each file
    tokenizer.json         the tokenizer that made them
    train_00000.bin …      ids and nothing else, as Project 1 writes them: 16 bits each, the low byte first
    validation_00000.bin   (32 bits where the vocabulary has more than 65,536 ids)

A folder is never changed once it has its name. Its shards are mapped: only what is used is read from the disk.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cohort_cli.errors import BrokenManifest, CohortError, DataTrouble
from cohort_cli.manifest import build, read_text, require_schema
from cohort_cli.training import disk
from cohort_cli.training.data import tokenizer as tokenizers
from cohort_cli.training.data.tokenizer import Ids, Tokenizer

SCHEMA = "cohort.shards/1"
MANIFEST = "manifest.json"
TOKENIZER = "tokenizer.json"
SPLITS = ("train", "validation")


class File(NamedTuple):
    """One file of the folder, as it was written."""

    file: str
    size: int  # bytes
    sha256: str


class Counts(NamedTuple):
    """What one split holds."""

    documents: int
    bytes: int  # of the documents' text as UTF-8; <|endoftext|> counts none
    tokens: int
    unknown: int  # tokens that stand for a character outside of the alphabet
    shards: tuple[str, ...]  # names of files, in order


class Manifest(NamedTuple):
    """manifest.json without its first line, the schema."""

    settings: dict[str, Any]  # [data] of the preset; the same settings make the same tokens
    source: str  # what the source was, in words
    content: str  # what identifies the source's content: mostly a sha256
    vocab_size: int
    dtype: str
    splits: dict[str, Counts]
    files: tuple[File, ...]

    def to_json(self) -> str:
        table = self._asdict()
        table["splits"] = {name: counts._asdict() for name, counts in self.splits.items()}
        table["files"] = [file._asdict() for file in self.files]
        return json.dumps({"schema": SCHEMA, **table}, indent=1) + "\n"

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of a folder. Raises BrokenManifest if it is missing or not what `to_json` writes."""
        path = folder / MANIFEST
        try:
            table = json.loads(read_text(path))
        except (ValueError, RecursionError):
            raise BrokenManifest(f"{path} is not JSON.") from None
        if not isinstance(table, dict):
            raise BrokenManifest(f"{path} is not a JSON object.")
        require_schema(table, SCHEMA, path)
        del table["schema"]
        splits, files = table.get("splits"), table.get("files")
        if not isinstance(splits, dict) or not isinstance(files, list) or set(splits) != set(SPLITS):
            raise BrokenManifest(f"{path} does not say which splits and files there are.")
        table["splits"] = {name: build(Counts, counts, path, name) for name, counts in splits.items()}
        table["files"] = [build(File, file, path, "files") for file in files]
        if set(table) != set(cls._fields) or table["dtype"] not in ("uint16", "uint32"):
            raise BrokenManifest(f"{path} does not have the keys {', '.join(cls._fields)}.")
        names = [file.file for file in table["files"]]
        if any(Path(name).name != name for name in names):
            raise BrokenManifest(f"{path} names a file outside of its folder.")
        if not {TOKENIZER, *(name for split in table["splits"].values() for name in split.shards)} <= set(
            names
        ):
            raise BrokenManifest(f"{path} has no checksum for one of its files.")
        return cls(**{**table, "files": tuple(table["files"])})


def dtype_for(vocab_size: int) -> str:
    return "uint16" if vocab_size <= 1 << 16 else "uint32"


def little_endian(dtype: str) -> np.dtype[Any]:
    return np.dtype(dtype).newbyteorder("<")


class ShardWriter:
    """Writes the tokens of one split into files of `shard_tokens` tokens each; the last may have fewer.

    Nothing but the ids that were just given is held in memory.
    """

    def __init__(self, folder: Path, split: str, shard_tokens: int, dtype: str) -> None:
        self.folder, self.split, self.shard_tokens = folder, split, shard_tokens
        self.dtype = little_endian(dtype)
        self.files: list[File] = []
        self.tokens = 0
        self._file: Any = None
        self._left = 0  # tokens that still fit into the open shard

    def add(self, ids: Ids) -> None:
        """Append ids (N,)."""
        if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) <= np.iinfo(self.dtype).max:
            raise ValueError(f"ids from {ids.min()} to {ids.max()} do not fit into {self.dtype.name}")
        start = 0
        while start < len(ids):
            if self._file is None:
                self._open()
            part = ids[start : start + self._left].astype(self.dtype).tobytes()
            self._file.write(part)
            self._hash.update(part)
            taken = len(part) // self.dtype.itemsize
            start, self._left, self.tokens = start + taken, self._left - taken, self.tokens + taken
            if not self._left:
                self._close()

    def finish(self) -> list[File]:
        """Close the last shard. Every file is on the disk when this returns."""
        if self._file is not None:
            self._close()
        return self.files

    def abandon(self) -> None:
        """Close what is open, so that the folder can be deleted on every system."""
        if self._file is not None:
            self._file.close()

    def _open(self) -> None:
        self._name = f"{self.split}_{len(self.files):05d}.bin"
        self._file = (self.folder / self._name).open("wb")
        self._hash = hashlib.sha256()
        self._left = self.shard_tokens

    def _close(self) -> None:
        size = self._file.tell()
        self._file.close()
        self._file = None
        disk.sync(self.folder / self._name)
        self.files.append(File(self._name, size, self._hash.hexdigest()))


class Split:
    """The tokens of one split, as one long row that is cut into files."""

    def __init__(self, files: list[Path], dtype: str, counts: Counts) -> None:
        self.files, self.dtype, self.counts = files, little_endian(dtype), counts
        self.lengths = [path.stat().st_size // self.dtype.itemsize for path in files]  # tokens per shard
        self.tokens = sum(self.lengths)
        self._maps: dict[int, NDArray[Any]] = {}

    @property
    def bytes_per_token(self) -> float:
        """Bytes of text per token: a loss in nats / ln 2 / this is bits per byte, the same for every tokenizer."""
        return self.counts.bytes / self.counts.tokens

    def shard(self, number: int) -> NDArray[Any]:
        """The ids of one shard (N,), mapped."""
        if number not in self._maps:
            self._maps[number] = np.asarray(np.memmap(self.files[number], self.dtype, mode="r"))
        return self._maps[number]

    def forget_maps(self) -> None:
        """Map anew at the next use. Until then, every page that was ever read counts as this process's memory."""
        self._maps.clear()

    def read(self, start: int, stop: int) -> Ids:
        """Tokens start … stop - 1, across shards, as int64."""
        parts, first = [np.empty(0, np.int64)], 0
        for number, length in enumerate(self.lengths):
            if start < first + length and stop > first:
                parts.append(self.shard(number)[max(start - first, 0) : stop - first].astype(np.int64))
            first += length
        return np.concatenate(parts)

    def windows(self, length: int) -> Iterator[Ids]:
        """The whole split in order, for evaluation: windows of length + 1 tokens, which overlap by one.

        So each token but the very first is a target exactly once. The last window may be shorter.
        """
        for start in range(0, self.tokens - 1, length):
            yield self.read(start, min(start + length + 1, self.tokens))


class TokenFolder:
    """An open folder of tokens."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path, self.manifest = path, manifest
        self.tokenizer: Tokenizer = tokenizers.load(path / TOKENIZER)

    @property
    def identity(self) -> str:
        """A SHA-256 of all tokens: the same for the same text and the same tokenizer."""
        sums = "".join(f"{file.file} {file.sha256}\n" for file in self.manifest.files)
        return hashlib.sha256(sums.encode()).hexdigest()

    @classmethod
    def open(cls, path: Path, verify: str = "sizes") -> TokenFolder:
        """Open a folder whose files have the right sizes, or the right checksums (which reads all of them).

        Raises DataTrouble that says what is wrong and how to make the folder again.
        """
        found = problems(path, checksums=verify == "checksums")
        if found:
            raise DataTrouble("\n".join(found), repair(path))
        return cls(path, Manifest.read(path))

    def split(self, name: str) -> Split:
        """name: "train" or "validation"."""
        counts = self.manifest.splits[name]
        return Split([self.path / file for file in counts.shards], self.manifest.dtype, counts)


def all_folders(home: Path) -> list[Path]:
    """Every token folder in `home`, damaged ones too."""
    return sorted(path.parent for path in home.glob(f"[!.]*/{MANIFEST}"))


def problems(path: Path, checksums: bool) -> list[str]:
    """What is wrong with a folder, a sentence for each file; nothing if all is as it was written."""
    try:
        files = Manifest.read(path).files
    except CohortError as trouble:
        return [trouble.message]
    found = []
    for file, size, sha256 in files:
        try:
            has = (path / file).stat().st_size
            if has != size:
                found.append(f"{path / file} has {has:,} bytes; it was written with {size:,}.")
            elif checksums and sha256_of(path / file) != sha256:
                found.append(f"{path / file} is not what was written: its checksum is wrong.")
        except OSError as trouble:
            found.append(f"{path / file} cannot be read: {trouble.strerror}.")
    return found


def repair(path: Path) -> str:
    """The line that makes this folder again."""
    try:
        return prepare_command(Manifest.read(path).settings) + " --again"
    except CohortError:
        return f'Delete the folder "{path}", then run what you ran before: it will be prepared again.'


def prepare_command(settings: dict[str, Any]) -> str:
    """The `cohort data prepare` with these settings; those at their default are left out."""
    from cohort_cli.training.config import Data

    words = ["cohort", "data", "prepare", str(settings["source"])]
    for name, default in Data._field_defaults.items():
        if name != "source" and (settings[name] != default or name == "tokenizer"):
            words += [f"--{name.replace('_', '-')}", str(settings[name])]
    return " ".join(f'"{word}"' if " " in word else word for word in words)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
