"""The tokens of a source, written: documents are dealt to the two splits, cut, encoded, and put one after the other.

Each document is followed by <|endoftext|>. A tokenizer without it, such as the one of characters, gets an empty line
between two documents instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cohort_cli.errors import UsageError
from cohort_cli.training import disk
from cohort_cli.training.config import Data
from cohort_cli.training.data.choose import Choice
from cohort_cli.training.data.shards import (
    MANIFEST,
    SPLITS,
    TOKENIZER,
    Counts,
    File,
    Manifest,
    ShardWriter,
    dtype_for,
    sha256_of,
)
from cohort_cli.training.data.sources import Documents, Source
from cohort_cli.training.data.tokenizer import Ids, Tokenizer

BETWEEN = "\n\n"  # documents, for a tokenizer that has no token for it
PIECE = 1 << 20  # characters that are encoded at once, more or less

Progress = Callable[[float | None, int], None]  # (share that is done, or None where nobody knows; tokens)
Stream = Iterator[tuple[str, str]]  # (split, text) of each document


def nothing(share: float | None, tokens: int) -> None:
    """No progress is shown."""


class Piece(NamedTuple):
    """A document, or a part of a long one."""

    split: str
    text: str
    ends: bool  # is it the document's last?


def write_tokens(folder: Path, data: Data, source: Source, choice: Choice, progress: Progress) -> None:
    """Fill an empty folder with shards, tokenizer and, last of all, the manifest."""
    splits = source.open()
    if "train" not in splits:
        raise UsageError(f'{data.source} has no split "train"; it has {", ".join(splits)}.')
    tokenizer = choice.make(lambda: training_text(splits, data))
    made = _Splits(folder, data, source, tokenizer, progress)
    with ExitStack() as stack:
        stack.callback(made.abandon)
        for stream, split, limit in streams(splits, data):
            made.write(stream, split, limit)
        counts, files = made.finish()
    path = folder / TOKENIZER
    _write_synced(path, tokenizer.to_json())
    files.append(File(TOKENIZER, path.stat().st_size, sha256_of(path)))
    manifest = Manifest(
        settings=data._asdict(),
        source=source.says,
        content=source.identity,
        vocab_size=tokenizer.vocab_size,
        dtype=made.dtype,
        splits=counts,
        files=tuple(files),
    )
    _write_synced(folder / MANIFEST, manifest.to_json())


def streams(splits: Mapping[str, Documents], data: Data) -> list[tuple[Stream, str, int]]:
    """What is to be written: documents, and the split that ends them once it has so many tokens (0: never).

    A source without a validation split is dealt; one of a single document is cut, its end is for validation.
    """
    limits = {"train": data.max_tokens, "validation": math.ceil(data.max_tokens * data.validation_share)}
    if "validation" in splits:
        return [(_of(split, splits[split]()), split, limit) for split, limit in limits.items()]
    documents = filter(None, splits["train"]())
    first, second = next(documents, ""), next(documents, None)
    if second is None:
        cut = int(len(first) * (1 - data.validation_share))
        parts = {"train": first[:cut], "validation": first[cut:]}
        return [(_of(split, [parts[split]]), split, limit) for split, limit in limits.items()]
    return [(deal(chain([first, second], documents), data.validation_share), "train", data.max_tokens)]


def _of(split: str, documents: Iterable[str]) -> Stream:
    return ((split, text) for text in documents)


def deal(documents: Iterable[str], validation_share: float) -> Stream:
    """(split, text) of each document: whenever validation has less than its share, it gets the next one.

    So each run deals alike, and nothing needs to be known in advance. The first document is for training.
    """
    seen = {"train": 0, "validation": 0}  # characters
    for text in documents:
        short = seen["validation"] < validation_share * sum(seen.values())
        split = "validation" if short else "train"
        seen[split] += len(text)
        yield split, text


def pieces(stream: Stream, between: str) -> Iterator[Piece]:
    """Documents cut into pieces of about PIECE characters; `between` goes before each but the first of a split.

    A cut lies before a line break that follows something visible. GPT-2's words never reach across such a place, so
    the ids are those of the whole document.
    """
    begun: set[str] = set()
    for split, text in stream:
        if not text:
            continue
        text = _encodable(between + text if split in begun else text)
        begun.add(split)
        start = 0
        while start < len(text):
            end = _cut(text, start + PIECE)
            yield Piece(split, text[start:end], ends=end == len(text))
            start = end


def _cut(text: str, place: int) -> int:
    """The first good place for a cut from `place` on."""
    while (place := text.find("\n", place)) >= 0:
        if not text[place - 1].isspace():
            return place
        place += 1
    return len(text)


def _encodable(text: str) -> str:
    """The text; half a surrogate pair, which JSON can hold and UTF-8 cannot, becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def training_text(splits: Mapping[str, Documents], data: Data) -> Iterator[str]:
    """The text of the training split, as far as it will be written if each character is a token."""
    stream, _, limit = streams(splits, data)[0]
    left = limit
    for piece in pieces(stream, BETWEEN):
        if piece.split == "train":
            yield piece.text[:left] if limit else piece.text
            left -= len(piece.text)
            if limit and left <= 0:
                return


class _Splits:
    """Both splits while they are written."""

    def __init__(
        self, folder: Path, data: Data, source: Source, tokenizer: Tokenizer, progress: Progress
    ) -> None:
        self.data, self.source, self.tokenizer, self.progress = data, source, tokenizer, progress
        self.dtype = dtype_for(tokenizer.vocab_size)
        self.writers = {split: ShardWriter(folder, split, data.shard_tokens, self.dtype) for split in SPLITS}
        self.documents = dict.fromkeys(SPLITS, 0)
        self.bytes = dict.fromkeys(SPLITS, 0)
        self.unknown = dict.fromkeys(SPLITS, 0)

    def write(self, stream: Stream, split: str, limit: int) -> None:
        """Write documents, until `split` has `limit` tokens; the last document may be cut."""
        between = BETWEEN if self.tokenizer.end_of_text is None else ""
        for batch in _batches(pieces(stream, between)):
            ids_of = self.tokenizer.encode_many([piece.text for piece in batch])
            for piece, ids in zip(batch, ids_of, strict=True):
                room = limit - self.writers[split].tokens
                if limit and piece.split == split and len(ids) >= room:
                    characters = len(self.tokenizer.decode(ids[:room].tolist()))
                    self._add(Piece(split, piece.text[:characters], ends=True), ids[:room])
                    self._tell()
                    return
                if piece.ends and self.tokenizer.end_of_text is not None:
                    ids = np.append(ids, self.tokenizer.end_of_text)
                self._add(piece, ids)
            self._tell()

    def _add(self, piece: Piece, ids: Ids) -> None:
        self.writers[piece.split].add(ids)
        self.documents[piece.split] += piece.ends
        self.bytes[piece.split] += len(piece.text.encode("utf-8"))
        if self.tokenizer.unknown is not None:
            self.unknown[piece.split] += int((ids == self.tokenizer.unknown).sum())

    def _tell(self) -> None:
        tokens = self.writers["train"].tokens
        share = None
        if self.data.max_tokens:
            share = tokens / self.data.max_tokens
        elif self.source.size:
            share = sum(self.bytes.values()) / self.source.size
        self.progress(share, tokens + self.writers["validation"].tokens)

    def finish(self) -> tuple[dict[str, Counts], list[File]]:
        counts, files = {}, []
        for split, writer in self.writers.items():
            if writer.tokens < 2:
                raise UsageError(
                    f"{self.data.source} has too little text: {writer.tokens} tokens for {split}.",
                    "Take a longer text.",
                )
            shards = writer.finish()
            files += shards
            counts[split] = Counts(
                documents=self.documents[split],
                bytes=self.bytes[split],
                tokens=writer.tokens,
                unknown=self.unknown[split],
                shards=tuple(file.file for file in shards),
            )
        return counts, files

    def abandon(self) -> None:
        for writer in self.writers.values():
            writer.abandon()


def _batches(found: Iterator[Piece]) -> Iterator[list[Piece]]:
    """Pieces in lists of about PIECE characters, so that an encoder can use all cores."""
    batch: list[Piece] = []
    size = 0
    for piece in found:
        batch.append(piece)
        size += len(piece.text)
        if size >= PIECE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _write_synced(path: Path, text: str) -> None:
    disk.write_bytes(path, text.encode("utf-8"))
    disk.sync(path)
