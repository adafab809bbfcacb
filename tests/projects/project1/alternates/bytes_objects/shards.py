from __future__ import annotations

from pathlib import Path
from typing import Iterable, List, Union

import numpy as np
from jsonfile import replace_file
from tokenizer import BPETokenizer

SEPARATOR = "<|endoftext|>"


def write_token_shards(
    tok: BPETokenizer,
    docs: Iterable[str],
    out_dir: Union[str, Path],
    shard_tokens: int,
    dtype: type = np.uint16,
) -> List[Path]:
    if shard_tokens < 1:
        raise ValueError("shard_tokens must be positive")
    if SEPARATOR not in tok.special_tokens:
        raise ValueError(f"this tokenizer has no {SEPARATOR}")
    limits = np.iinfo(dtype)
    for id in tok.vocab:
        if not limits.min <= id <= limits.max:
            raise ValueError(f"{id} does not fit into {limits.dtype}")
    out_dir = Path(out_dir)
    if out_dir.is_dir() and list(out_dir.glob("shard_[0-9]*.bin")):
        raise FileExistsError(f"there are shards in {out_dir}")
    out_dir.mkdir(parents=True, exist_ok=True)
    end_id = tok.token_to_id[SEPARATOR.encode()]
    paths: List[Path] = []
    buffer: List[int] = []

    def flush() -> None:
        path = out_dir / f"shard_{len(paths):05d}.bin"
        replace_file(path, np.array(buffer, dtype=np.dtype(dtype).newbyteorder("<")).tobytes())
        paths.append(path)
        buffer.clear()

    for doc in docs:
        for id in [*tok.encode(doc), end_id]:
            buffer.append(id)
            if len(buffer) == shard_tokens:
                flush()
    if buffer:
        flush()
    return paths
