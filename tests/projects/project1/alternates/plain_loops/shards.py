import os
from pathlib import Path

import numpy as np


def write_token_shards(tok, docs, out_dir, shard_tokens, dtype=np.uint16):
    print("writing to", out_dir)
    out_dir = str(out_dir)
    if shard_tokens <= 0:
        raise ValueError("shard_tokens must be at least 1")
    if not tok.special_tokens or "<|endoftext|>" not in tok.special_tokens:
        raise ValueError("there is no <|endoftext|>")
    size = np.dtype(dtype).itemsize
    largest = np.iinfo(dtype).max
    for id in tok.vocab:
        if id > largest:
            raise ValueError("the id " + str(id) + " is too large")
    if os.path.isdir(out_dir):
        for name in os.listdir(out_dir):
            if name.startswith("shard_") and name.endswith(".bin"):
                raise FileExistsError(name + " exists already")
    os.makedirs(out_dir, exist_ok=True)
    end = tok.encode("<|endoftext|>", allowed_special={"<|endoftext|>"})[0]
    paths = []
    shard = []
    for doc in docs:
        ids = tok.encode(doc)
        ids.append(end)
        for id in ids:
            shard.append(id)
            if len(shard) == shard_tokens:
                paths.append(write_one(shard, out_dir, len(paths), size))
                shard = []
    if len(shard) > 0:
        paths.append(write_one(shard, out_dir, len(paths), size))
    return paths


def write_one(shard, out_dir, number, size):
    name = "shard_" + str(number).zfill(5) + ".bin"
    path = os.path.join(out_dir, name)
    f = open(path + ".tmp", "wb")
    for id in shard:
        f.write(id.to_bytes(size, "little"))
    f.close()
    os.replace(path + ".tmp", path)
    print(name, "done")
    return Path(path)
