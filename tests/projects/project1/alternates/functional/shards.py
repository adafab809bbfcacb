from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from itertools import chain, count, islice
from pathlib import Path

import numpy as np
from tokenizer import BPETokenizer

END = "<|endoftext|>"


def _shards(ids: Iterator[int], dtype: np.dtype, size: int) -> Iterator[np.ndarray]:
    while (shard := np.fromiter(islice(ids, size), dtype)).size:
        yield shard


def _written(path: Path, data: bytes) -> Path:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix="unfinished_")
    try:
        with open(handle, "wb") as file:
            file.write(data)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    return path


def write_token_shards(
    tok: BPETokenizer, docs: Iterable[str], out_dir: str | Path, shard_tokens: int, dtype: type = np.uint16
) -> list[Path]:
    folder, low_first = Path(out_dir), np.dtype(dtype).newbyteorder("<")
    if shard_tokens <= 0:
        raise ValueError(f"shard_tokens is {shard_tokens}")
    if END not in tok.special_tokens:
        raise ValueError(f"the tokenizer has no {END}")
    if max(tok.vocab) > np.iinfo(low_first).max:
        raise ValueError(f"the id {max(tok.vocab)} does not fit into {low_first}")
    if any(folder.glob("shard_*.bin")):
        raise FileExistsError(f"{folder} has shards already")
    folder.mkdir(parents=True, exist_ok=True)
    (end,) = tok.encode(END, allowed_special={END})
    ids = chain.from_iterable(chain(tok.encode_iterable([doc]), (end,)) for doc in docs)
    shards = zip(count(), _shards(ids, low_first, shard_tokens))
    return [_written(folder / f"shard_{number:05d}.bin", shard.tobytes()) for number, shard in shards]
