"""How long does training wait for a checkpoint, and how long until it is safe?

    python benchmarks/checkpoint.py [--turns 7] [--quick] [--folder PLACE]

The state is what AdamW training of GPT-2 124M has to keep: parameters, two moments and a step count for each (1.49 GB).
--quick: a model of 6 layers of 384 (0.13 GB) and fewer turns. All contenders take turns on the same tensors; what the
disk has still to write is waited for in between. Seconds are wall time, medians; a ratio is the median of the turns'
ratios.

    stall    until training may change a tensor again
    safe     until the save is done; ours is then on the disk itself (synced), hashed, and older ones are gone
    load     all tensors read into memory; ours after verifying every byte

    ours        cohort_cli.training.checkpoint.Writer       dcp         torch.distributed.checkpoint.save
    ours, sync  checkpoint.save, without the thread         dcp.async   torch.distributed.checkpoint.async_save
    torch       torch.save and torch.load

The goal: ours stalls at most 0.20 of torch.save. Exits with 1 when it is missed.
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor

from cohort_cli.training import checkpoint
from cohort_cli.training.config import Model
from cohort_cli.training.models import gpt

GOAL = 0.20  # of torch.save's time
LARGE = (Model(12, 768, 12, 1024), 50257)
SMALL = (Model(6, 384, 6, 256), 512)

Tensors = dict[str, dict[str, Tensor]]


class Times(NamedTuple):
    stall: float
    safe: float
    load: float


def training_state(shape: Model, vocab_size: int) -> Tensors:
    """Parameters by name, and what AdamW remembers of each."""
    model = {name: p.detach() for name, p in gpt.build(shape, vocab_size).named_parameters()}
    memory: dict[str, Tensor] = {}
    for name, parameter in model.items():
        memory[f"{name}/step"] = torch.tensor(100.0)
        memory[f"{name}/exp_avg"] = torch.randn_like(parameter)
        memory[f"{name}/exp_avg_sq"] = torch.rand_like(parameter)
    return {"model": model, "optimizer": memory}


class Contenders:
    """Each method saves once and loads once, and returns the seconds."""

    def __init__(self, state: Tensors, place: Path) -> None:
        self.state, self.place = state, place
        self.writer = checkpoint.Writer(place / "ours", keep=2)
        self.writer.reserve(state)
        self.step = 0

    def ours(self) -> Times:
        self.writer.wait()
        began = time.perf_counter()
        self.step += 1
        self.writer.save(self.step, self.state, {})
        stall = time.perf_counter() - began
        self.writer.wait()
        safe = time.perf_counter() - began
        return Times(
            stall, safe, seconds(lambda: touch(checkpoint.load_newest(self.place / "ours", print).tensors))
        )  # type: ignore[union-attr]

    def ours_without_a_thread(self) -> Times:
        self.step += 1
        folder = self.place / "direct"
        took = seconds(lambda: checkpoint.save(folder, self.step, self.state, {}, keep=2))
        return Times(took, took, seconds(lambda: touch(checkpoint.load_newest(folder, print).tensors)))  # type: ignore[union-attr]

    def torch(self) -> Times:
        path = self.place / "torch.pt"
        took = seconds(lambda: torch.save(self.state, path))
        times = Times(took, took, seconds(lambda: touch(torch.load(path, weights_only=True))))
        path.unlink()
        return times

    def dcp(self) -> Times:
        folder = self.place / "dcp"
        took = seconds(lambda: dcp.save(self.flat(), checkpoint_id=folder))
        return Times(took, took, self.dcp_load(folder))

    def dcp_async(self) -> Times:
        folder = self.place / "dcp.async"
        began = time.perf_counter()
        future: Any = dcp.async_save(self.flat(), checkpoint_id=folder)
        stall = time.perf_counter() - began
        future.result()
        return Times(stall, time.perf_counter() - began, self.dcp_load(folder))

    def dcp_load(self, folder: Path) -> float:
        room = {name: torch.empty_like(tensor) for name, tensor in self.flat().items()}
        took = seconds(lambda: dcp.load(room, checkpoint_id=folder))
        shutil.rmtree(folder)
        return took

    def flat(self) -> dict[str, Tensor]:
        return {
            f"{group}:{name}": tensor for group, named in self.state.items() for name, tensor in named.items()
        }


def touch(tensors: Tensors) -> None:
    """Read every page: mapped tensors cost their time here."""
    for named in tensors.values():
        for tensor in named.values():
            tensor.sum()


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def compare(state: Tensors, place: Path, turns: int) -> dict[str, list[Times]]:
    contenders = Contenders(state, place)
    runs: dict[str, Callable[[], Times]] = {
        "ours": contenders.ours,
        "ours, sync": contenders.ours_without_a_thread,
        "torch": contenders.torch,
        "dcp": contenders.dcp,
        "dcp.async": contenders.dcp_async,
    }
    times: dict[str, list[Times]] = {name: [] for name in runs}
    names = list(runs)
    for turn in range(turns + 1):  # the first fills caches and is not counted
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            gc.collect()
            if hasattr(os, "sync"):
                os.sync()
            measured = runs[name]()
            if turn:
                times[name].append(measured)
        print(f"turn {turn} of {turns}", file=sys.stderr)
    contenders.writer.close()
    return times


def report(times: dict[str, list[Times]], size: int) -> bool:
    """Print the table. Returns whether the goal is met."""
    print(f"a state of {size / 1e9:.2f} GB, {len(times['ours'])} turns\n")
    print(f"{'':12}{'stall s':>9}{'safe s':>9}{'load s':>9}   stall / torch.save")
    ratios = {}
    for name, rows in times.items():
        stall, safe, load = (statistics.median(column) for column in zip(*rows, strict=True))
        pairs = zip(rows, times["torch"], strict=True)
        ratios[name] = statistics.median(own.stall / plain.stall for own, plain in pairs)
        print(f"{name:12}{stall:9.3f}{safe:9.3f}{load:9.3f}{ratios[name]:12.2f}")
    met = ratios["ours"] <= GOAL
    print(f"\ngoal: ours stalls at most {GOAL:.2f} of torch.save: {'met' if met else 'MISSED'}")
    return met


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument(
        "--folder", type=Path, default=None, help="where to write; else the system's temporary folder"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    state = training_state(*(SMALL if options.quick else LARGE))
    size = sum(tensor.nbytes for named in state.values() for tensor in named.values())
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        # asynchronous saves of dcp want a process group, of one process here
        dist.init_process_group("gloo", init_method=f"file://{place}/group", rank=0, world_size=1)
        times = compare(state, Path(place), options.turns or (5 if options.quick else 7))
        dist.destroy_process_group()
    return 0 if report(times, size) else 1


if __name__ == "__main__":
    sys.exit(main())
