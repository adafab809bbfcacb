"""What this machine can do: where to compute, in which number format, with how many threads, and how fast."""

from __future__ import annotations

import contextlib
import ctypes
import os
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import psutil
import torch
from torch import Tensor

from cohort_cli.errors import EnvironmentTrouble
from cohort_cli.training.config import AUTO, Hardware


def pick_device(name: str = AUTO) -> torch.device:
    """The device for `name`; for "auto" a GPU if there is one. Of several CUDA devices, that of $LOCAL_RANK.

    Raises EnvironmentTrouble if a device is asked for that is not here.
    """
    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == AUTO:
        name = next(kind for kind, usable in here.items() if usable)
    if not here[name]:
        raise EnvironmentTrouble(
            f"hardware.device is {name!r}, but torch {torch.__version__} finds no such device on this machine.",
            "Use --set hardware.device=auto, or install a torch with its support: https://pytorch.org",
        )
    return (
        torch.device(name, int(os.environ.get("LOCAL_RANK", "0"))) if name == "cuda" else torch.device(name)
    )


@cache
def bfloat16_is_fast(device: torch.device) -> bool:
    """Whether products of matrices in bfloat16 are faster than in float32 here. A CPU without units for them is
    several times slower."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return any(_cpu_can(units) for units in ("amx_bf16", "avx512_bf16")) if device.type == "cpu" else False


def pick_precision(name: str, device: torch.device) -> str:
    """ "float32" or "bfloat16". For "auto": bfloat16 on a GPU that is fast with it, and on a CPU with AMX.

    On a CPU whose only units for it are AVX-512's, a step in bfloat16 takes 0.7 of the time at a width of 384, but more
    time than in float32 at 128; so there it is yours to ask for.
    """
    if name != AUTO:
        return name
    fast = _cpu_can("amx_bf16") if device.type == "cpu" else bfloat16_is_fast(device)
    return "bfloat16" if fast else "float32"


def _cpu_can(units: str) -> bool:
    """Whether this CPU has these units, and torch the library (oneDNN) that uses them."""
    can: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return torch.backends.mkldnn.is_available() and bool(can.get(units))


def describe(device: torch.device) -> str:
    """The device in a few words, such as "cpu, 2 threads" or "cuda:0, NVIDIA A100-SXM4-40GB"."""
    if device.type == "cuda":
        return f"{device}, {torch.cuda.get_device_name(device)}"
    return f"cpu, {torch.get_num_threads()} threads" if device.type == "cpu" else str(device)


def set_up_torch(hardware: Hardware) -> None:
    """Threads and the handling of numbers, for this process. Call it before the first computation.

    Of several processes on one machine ($LOCAL_WORLD_SIZE) each gets its share of the cores.
    """
    # Numbers below 1e-38 cost a CPU many times as much as others, and Adam's averages get there. The threads of
    # the pool inherit this setting from the one that starts them, with the first computation.
    torch.set_flush_denormal(True)
    keep_freed_memory()
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(hardware.threads or max(1, cores() // processes))
    torch.backends.cuda.matmul.allow_tf32 = (
        True  # float32 products on tensor cores, with a mantissa of 10 bits
    )
    torch.backends.cudnn.allow_tf32 = True


def keep_freed_memory() -> None:
    """Let the C library of Linux keep what is freed, for the next step. By default it gives large pieces back to the
    system, which must clear every page again: with a large vocabulary that is a fifth of a step's time."""
    with contextlib.suppress(AttributeError, OSError, TypeError):  # other systems have no such function
        mallopt = ctypes.CDLL(None).mallopt
        # M_MMAP_THRESHOLD: ask for pieces of their own only above this. Older versions take at most 32 MiB.
        if mallopt(-3, 2**31 - 1) or mallopt(-3, 2**25):
            mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: give back only what is free at the end beyond this


def cores() -> int:
    """Cores that this process may use; two threads of one core count once."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, psutil.cpu_count(logical=False) or allowed)


def matrix_peak(
    device: torch.device,
    precision: torch.dtype,
    size: int = 0,
    seconds: float = 0.2,
    product: Callable[[Tensor, Tensor], Tensor] = torch.matmul,
) -> float:
    """FLOP/s of a product of two square matrices here: what "utilisation" is measured against.

    The best of the products that fit into `seconds`, after one to warm up. size: of the matrices; if it is 0, large
    enough for the device to be busy with one product for some milliseconds. product: how the model multiplies.
    """
    size = size or (1024 if device.type == "cpu" else 8192)
    a = torch.randn(size, size, device=device).to(precision)
    best, began = float("inf"), time.perf_counter()
    count = 0
    while count < 2 or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        product(a, a)
        if device.type != "cpu":
            getattr(torch, device.type).synchronize()
        if count:
            best = min(best, time.perf_counter() - start)
        count += 1
    return 2.0 * size**3 / best
