from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tokenizer import BPETokenizer


def write_token_shards(
    tok: BPETokenizer, docs: Iterable[str], out_dir: str | Path, shard_tokens: int, dtype: type = np.uint16
) -> list[Path]:
    kind = np.dtype(dtype).newbyteorder("<")
    if shard_tokens <= 0:
        raise ValueError("shard_tokens must be at least 1")
    if "<|endoftext|>" not in tok.special_tokens:
        raise ValueError("the tokenizer has no <|endoftext|>")
    ids = np.fromiter(tok.vocab, dtype=np.int64)
    if ids.min() < np.iinfo(kind).min or ids.max() > np.iinfo(kind).max:
        raise ValueError(f"ids from {ids.min()} to {ids.max()} do not fit into {kind}")
    out_dir = Path(out_dir)
    out_dir.mkdir(exist_ok=True, parents=True)
    if sorted(out_dir.glob("shard_*.bin")):
        raise FileExistsError(f"{out_dir} already holds shards")
    (end,) = tok.encode("<|endoftext|>", allowed_special="all")

    shard = np.empty(shard_tokens, dtype=kind) if shard_tokens <= 1 << 24 else np.empty(1 << 16, dtype=kind)
    filled = 0
    paths: list[Path] = []

    def write() -> None:
        path = out_dir / f"shard_{len(paths):05d}.bin"
        new = path.with_suffix(".part")
        try:
            shard[:filled].tofile(new)
            os.replace(new, path)
        finally:
            new.unlink(missing_ok=True)
        paths.append(path)

    for doc in docs:
        rest = np.array([*tok.encode(doc), end], dtype=np.int64)
        while len(rest):
            take = min(len(rest), shard_tokens - filled)
            while filled + take > len(shard):
                shard = np.concatenate([shard, np.empty_like(shard)])
            shard[filled : filled + take] = rest[:take]
            filled += take
            rest = rest[take:]
            if filled == shard_tokens:
                write()
                filled = 0
    if filled:
        write()
    return paths
