"""From a stream of documents to files of token ids, which training reads without parsing.    Step: shards

A shard is nothing but ids, 16 bits each, the low byte first. Documents follow one another, each closed by <|endoftext|>.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizer import BPETokenizer, write_whole

END_OF_TEXT = "<|endoftext|>"


def write_token_shards(
    tok: BPETokenizer, docs: Iterable[str], out_dir: str | Path, shard_tokens: int, dtype: type = np.uint16
) -> list[Path]:
    """Write shard_00000.bin, shard_00001.bin, … and return their paths in order.

    Every shard has exactly `shard_tokens` ids but the last one, which may have fewer; a document goes on in the next
    shard. A shard is written when it is full, and appears whole or not at all. At most one shard is in memory.
    The text of a document is ordinary text, also where it says <|endoftext|>.
    Raises ValueError, before anything is written, if an id does not fit into `dtype`, if the tokenizer has no
    <|endoftext|>, or if `shard_tokens` is not positive; FileExistsError if shards are there already.
    """
    out_dir, dtype = Path(out_dir), np.dtype(dtype).newbyteorder("<")
    if shard_tokens < 1:
        raise ValueError(f"shard_tokens is {shard_tokens}; a shard needs at least one token")
    if END_OF_TEXT not in tok.special_tokens:
        raise ValueError(f"the tokenizer has no {END_OF_TEXT}, which must close each document")
    smallest, largest, limits = min(tok.vocab), max(tok.vocab), np.iinfo(dtype)
    if smallest < limits.min or largest > limits.max:
        raise ValueError(
            f"ids from {smallest} to {largest} do not fit into {dtype.name}: {limits.min} to {limits.max}"
        )
    out_dir.mkdir(parents=True, exist_ok=True)
    if any(out_dir.glob("shard_*.bin")):
        raise FileExistsError(f"{out_dir} holds shards already")
    paths: list[Path] = []
    shard = np.empty(shard_tokens, dtype)
    filled = 0
    for ids in _documents(tok, docs):
        start = 0
        while start < len(ids):
            part = ids[start : start + shard_tokens - filled]
            shard[filled : filled + len(part)] = part
            filled, start = filled + len(part), start + len(part)
            if filled == shard_tokens:
                paths.append(_write(out_dir, len(paths), shard))
                filled = 0
    if filled:
        paths.append(_write(out_dir, len(paths), shard[:filled]))
    return paths


def _documents(tok: BPETokenizer, docs: Iterable[str]) -> Iterator[NDArray[np.int64]]:
    end = tok.encode(END_OF_TEXT, allowed_special={END_OF_TEXT})
    for doc in docs:
        yield np.array(tok.encode(doc) + end)


def _write(out_dir: Path, number: int, ids: NDArray[np.uint16]) -> Path:
    path = out_dir / f"shard_{number:05d}.bin"
    write_whole(path, ids.tobytes())
    return path


def read_shard(path: str | Path, dtype: type = np.uint16) -> NDArray[np.uint16]:
    """The ids of a shard, mapped: only what is used is read from the disk. Raises ValueError for half an id."""
    size = Path(path).stat().st_size
    if size % np.dtype(dtype).itemsize:
        raise ValueError(f"{path} has {size} bytes, which is not a whole number of ids")
    return np.memmap(path, np.dtype(dtype).newbyteorder("<"), mode="r")
