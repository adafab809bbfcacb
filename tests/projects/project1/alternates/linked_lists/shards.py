from __future__ import annotations

import os
import sys
from array import array
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tokenizer import BPETokenizer

NAME = "<|endoftext|>"


def write_token_shards(
    tok: BPETokenizer, docs: Iterable[str], out_dir: str | Path, shard_tokens: int, dtype: type = np.uint16
) -> list[Path]:
    kind = np.dtype(dtype)
    code = {1: "B", 2: "H", 4: "I", 8: "Q"}[kind.itemsize]
    if kind.kind == "i":
        code = code.lower()
    if shard_tokens < 1:
        raise ValueError(f"shard_tokens must be positive, not {shard_tokens}")
    try:
        array(code, list(tok.vocab))
    except OverflowError as why:
        raise ValueError(f"an id does not fit into {kind}: {why}") from why
    if NAME not in tok.special_tokens:
        raise ValueError(f"no {NAME}")
    folder = Path(out_dir)
    if folder.exists() and any(entry.name.startswith("shard_") for entry in folder.iterdir()):
        raise FileExistsError(str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    end = next(id for id, data in tok.vocab.items() if data == NAME.encode())

    paths: list[Path] = []
    full = array(code)

    def out() -> None:
        if sys.byteorder == "big":
            full.byteswap()
        path = folder / f"shard_{len(paths):05}.bin"
        new = folder / f".{path.name}"
        with open(new, "wb") as file:
            full.tofile(file)
        os.replace(new, path)
        paths.append(path)
        del full[:]

    for doc in docs:
        for id in tok.encode_iterable([doc]):
            full.append(id)
            if len(full) == shard_tokens:
                out()
        full.append(end)
        if len(full) == shard_tokens:
            out()
    if full:
        out()
    return paths
