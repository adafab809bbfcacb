"""What do batches cost, beside those that people use?

    python benchmarks/batches.py [--runs 9] [--megabytes 200]

A file of random 16-bit ids, warm in the system's cache. Each contender makes batches of (x, y), int64 tensors on the
CPU, for SECONDS of CPU time; contenders take turns, and each ratio is the median of the ratios of the turns. Exits with
1 when the goal is missed: at least 8 times nanoGPT's get_batch, at each shape.

    ours       Sequences.rows: windows of a mapped file in random order, each once per epoch
    nanogpt    get_batch, written anew from its description: the file mapped anew for each batch, a slice for each row
    datasets   Hugging Face's datasets: a row per window, shuffled by torch's DataLoader in this process
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cohort_cli.training.data.batches import Sequences
from cohort_cli.training.data.shards import Counts, Split

GOAL = 8.0
SHAPES = ((12, 64), (64, 256), (12, 1024), (64, 1024))  # sequences, tokens each
SECONDS = 0.3
Batches = Iterator[tuple[Tensor, Tensor]]


def ours(path: Path, batch: int, length: int) -> Batches:
    tokens = path.stat().st_size // 2
    sequences = Sequences(Split([path], "uint16", Counts(1, tokens, tokens, 0, (path.name,))), length, seed=1)
    for first in itertools.count(0, batch):
        rows = torch.from_numpy(sequences.rows(first, batch))
        yield rows[:, :-1], rows[:, 1:]


def nanogpt(path: Path, batch: int, length: int) -> Batches:
    while True:
        data = np.memmap(path, dtype=np.uint16, mode="r")
        starts = torch.randint(len(data) - length, (batch,))
        x = torch.stack([torch.from_numpy(data[i : i + length].astype(np.int64)) for i in starts])
        y = torch.stack([torch.from_numpy(data[i + 1 : i + 1 + length].astype(np.int64)) for i in starts])
        yield x, y


def hugging_face(path: Path, batch: int, length: int) -> Batches:
    import datasets

    datasets.disable_progress_bars()
    tokens = np.fromfile(
        path, np.uint16, count=4_000_000
    )  # a part is enough: its speed does not depend on the size
    windows = tokens[: len(tokens) // (length + 1) * (length + 1)].reshape(-1, length + 1)
    rows = datasets.Dataset.from_dict({"ids": windows.astype(np.int64)}).with_format("torch")
    loader: torch.utils.data.DataLoader = torch.utils.data.DataLoader(
        rows, batch, shuffle=True, drop_last=True
    )
    while True:
        for found in loader:
            yield found["ids"][:, :-1], found["ids"][:, 1:]


CONTENDERS: dict[str, Callable[[Path, int, int], Batches]] = {
    "ours": ours, "nanogpt": nanogpt, "datasets": hugging_face,
}  # fmt: skip


def speed(batches: Batches) -> float:
    """Million tokens (of x) per CPU second."""
    tokens, started = 0, time.process_time()
    while (seconds := time.process_time() - started) < SECONDS:
        tokens += next(batches)[0].numel()
    return tokens / seconds / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description="The cost of batches.")
    parser.add_argument("--runs", type=int, default=9, help="turns of each contender")
    parser.add_argument("--megabytes", type=int, default=200, help="size of the file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    missed = False
    with tempfile.TemporaryDirectory(prefix="cohort-batches-") as folder:
        path = Path(folder) / "tokens.bin"
        np.random.RandomState(1).randint(0, 50_257, options.megabytes * 500_000).astype("<u2").tofile(path)
        print("million tokens per CPU second, medians           ours  nanogpt  datasets   ours/nanogpt")
        for batch, length in SHAPES:
            contenders = {name: make(path, batch, length) for name, make in CONTENDERS.items()}
            for batches in contenders.values():
                next(batches)
            turns = [
                {name: speed(batches) for name, batches in contenders.items()} for _ in range(options.runs)
            ]
            medians = {name: statistics.median(turn[name] for turn in turns) for name in CONTENDERS}
            ratio = statistics.median(turn["ours"] / turn["nanogpt"] for turn in turns)
            missed |= ratio < GOAL
            print(
                f"  {batch:>4} sequences of {length:>5} tokens              "
                + "  ".join(f"{medians[name]:7.1f}" for name in CONTENDERS)
                + f"   {ratio:6.1f}   goal: at least {GOAL:g}, {'met' if ratio >= GOAL else 'MISSED'}"
            )
    sys.exit(missed)


if __name__ == "__main__":
    main()
