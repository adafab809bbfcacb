"""The machine that a plan is made for: GPUs of one kind, or this computer's CPU. No torch here."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

from cohort_cli.errors import UsageError
from cohort_cli.training import gpus
from cohort_cli.training.config import AUTO, Config

CPU = "cpu"
# Of the float32 products that numpy manages, with one thread on a CPU with AVX-512 (EPYC): 0.58 for `smoke`, 0.98 for
# `laptop`, 1.4 for GPT-2's smallest shape, where torch has the faster library. Several threads reach less.
CPU_UTILISATION = 0.7


class Machine(NamedTuple):
    name: str
    gpu: gpus.Gpu | None  # None: a CPU
    devices: int  # GPUs, or processes on the CPU
    parallel: str  # "none", "ddp" or "fsdp"
    memory: float  # bytes, of one GPU or of the computer
    peak: float  # FLOP/s of all together
    utilisation: float  # the share of the peak that is assumed
    bfloat16: bool

    @property
    def speed(self) -> float:
        """FLOP/s that training will reach."""
        return self.peak * self.utilisation


def machine_for(
    config: Config, gpu: str | None = None, count: int | None = None, utilisation: float | None = None
) -> Machine:
    """The machine that is meant. Without a word: this CPU; where the preset asks for CUDA one H100, for FSDP eight.

    Raises UsageError for a GPU that the kit does not know, or if the batch cannot be shared by so many.
    """
    fsdp = config.hardware.parallel == "fsdp"
    name = gpu or ("h100" if config.hardware.device == "cuda" else CPU)
    count = count or (8 if fsdp and name != CPU else 1)
    parallel = "none" if count == 1 else "fsdp" if fsdp else "ddp"
    if config.batch.sequences % count:
        raise UsageError(
            f"batch.sequences is {config.batch.sequences}, which {count} devices cannot share evenly.",
            f"For example: --set batch.sequences={max(1, config.batch.sequences // count) * count}",
        )
    if name == CPU:
        wanted = config.hardware.precision
        bfloat16 = wanted == "bfloat16" or (wanted == AUTO and cpu_multiplies_bfloat16())
        return this_cpu(count, parallel, utilisation, bfloat16)
    found = gpus.find(name)
    # Matrix units take float32, as TF32, half as fast as bf16.
    return Machine(
        name=found.name,
        gpu=found,
        devices=count,
        parallel=parallel,
        memory=found.memory,
        peak=found.flops * count * (0.5 if found.bf16 and config.hardware.precision == "float32" else 1.0),
        utilisation=utilisation or gpus.UTILISATION,
        bfloat16=found.bf16 and config.hardware.precision in (AUTO, "bfloat16"),
    )


def this_cpu(count: int, parallel: str, utilisation: float | None, bfloat16: bool) -> Machine:
    import psutil

    return Machine(
        name=f"this CPU ({os.cpu_count()} cores)",
        gpu=None,
        devices=count,
        parallel=parallel,
        memory=float(psutil.virtual_memory().total),
        peak=measured_peak(),
        utilisation=utilisation or CPU_UTILISATION,
        bfloat16=bfloat16,
    )


def cpu_multiplies_bfloat16() -> bool:
    """Whether the engine will choose bfloat16 by itself: with AMX (device.py). Only Linux tells without torch."""
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def measured_peak(size: int = 1024, seconds: float = 0.3) -> float:
    """FLOP/s of the best product of two float32 matrices that numpy makes here in so many seconds."""
    import numpy as np

    a = np.random.default_rng(0).standard_normal((size, size), dtype=np.float32)
    best, began = float("inf"), time.perf_counter()
    while best == float("inf") or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return 2.0 * size**3 / best


def utilisation_of(run: gpus.Published) -> float:
    """What share of its GPUs' peak a published run used, by our count of FLOPs."""
    flops = 6.0 * run.parameters + 12.0 * run.n_layers * run.d_model * run.context
    return run.tokens_per_second * flops / (gpus.GPUS[run.gpu].flops * run.gpus)
