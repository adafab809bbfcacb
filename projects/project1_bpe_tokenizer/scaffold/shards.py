"""From a stream of documents to files of token ids, which training reads without parsing.    Step: shards

A shard is nothing but ids, 16 bits each, the low byte first. Documents follow one another, each closed by <|endoftext|>.
You may add helper functions, files and attributes as you like.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tokenizer import BPETokenizer


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
    raise NotImplementedError("shards: write_token_shards")
