"""Several processes that train one model: started by torchrun, joined here.

`ddp` keeps the whole model in each process and averages gradients. `fsdp` (FSDP2) shards weights, gradients and
optimizer over the processes and gathers one block at a time; it is for models that do not fit otherwise.

Sources: PyTorch, DistributedDataParallel and fully_shard, https://docs.pytorch.org/docs/stable/distributed.fsdp.fully_shard.html
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from cohort_cli.training.config import AUTO, Hardware


class Processes:
    """This process among its peers. Alone, every method is the obvious one and nothing is sent."""

    def __init__(self, device: torch.device) -> None:
        self.rank = int(os.environ.get("RANK", "0"))
        self.local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        self.world = int(os.environ.get("WORLD_SIZE", "1"))
        self.device = device
        if self.world > 1:
            if device.type == "cuda":
                torch.cuda.set_device(device)
            # gloo carries what lives in ordinary memory (flags, counts), so that asking costs a GPU nothing
            dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")

    @property
    def first(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in one of the processes, so that all stop at the same step."""
        return bool(self._reduce(torch.tensor([float(flag)]), dist.ReduceOp.MAX)[0])

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, elementwise, on the CPU in float64 (which Apple's GPUs do not have)."""
        return self._reduce(values.detach().cpu().double(), dist.ReduceOp.SUM)

    def _reduce(self, values: Tensor, how: Any) -> Tensor:
        if self.world > 1:
            dist.all_reduce(values, how)
        return values

    def barrier(self) -> None:
        if self.world > 1:
            dist.barrier()

    # --- the model ---------------------------------------------------------------------------------------

    def wrap(self, model: nn.Module, hardware: Hardware, bfloat16: bool) -> nn.Module:
        """The model as the processes train it together."""
        if self.world == 1:
            return model
        if hardware.parallel == "fsdp":
            return shard(model, bfloat16)
        ids = [self.device.index] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(model, device_ids=ids, gradient_as_bucket_view=True)

    def gradients_stay_here(self, model: nn.Module, yes: bool) -> contextlib.AbstractContextManager[None]:
        """While DDP adds up micro-batches, only the last one sends its gradients.

        FSDP sends them each time: kept back, they would be whole in every process, which is what it avoids.
        """
        if isinstance(model, nn.parallel.DistributedDataParallel) and yes:
            return model.no_sync()
        return contextlib.nullcontext()


def shard(model: nn.Module, bfloat16: bool) -> nn.Module:
    """FSDP2: each block is a unit of its own, what is left (embeddings, last norm, head) is one more."""
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard  # takes as long as torch itself

    policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32) if bfloat16 else MixedPrecisionPolicy()
    for block in blocks(model):
        fully_shard(block, mp_policy=policy)
    fully_shard(model, mp_policy=policy)
    return model


def blocks(model: nn.Module) -> list[nn.Module]:
    """The transformer blocks: the children of the longest nn.ModuleList, wherever a member keeps it."""
    lists = [list(module) for module in model.modules() if isinstance(module, nn.ModuleList)]
    return max(lists, key=len, default=[])


def parallel(hardware: Hardware, world: int) -> Hardware:
    """ "auto" becomes "ddp": the fewest surprises for what fits on one device."""
    if hardware.parallel == AUTO:
        return hardware._replace(parallel="ddp" if world > 1 else AUTO)
    return hardware
