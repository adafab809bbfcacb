"""What a machine can do is asked, not assumed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cohort_cli.errors import EnvironmentTrouble
from cohort_cli.training import device
from cohort_cli.training.device import bfloat16_is_fast, cores, matrix_peak, pick_device, pick_precision

CPU = torch.device("cpu")


def machine(monkeypatch: pytest.MonkeyPatch, cuda: bool = False, mps: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


def cpu_with(monkeypatch: pytest.MonkeyPatch, onednn: bool = True, **units: Any) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: units, raising=False)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: onednn)


@pytest.fixture(autouse=True)
def _ask_again() -> Iterator[None]:
    """The answer is kept for the whole process, so each test forgets it."""
    bfloat16_is_fast.cache_clear()
    yield
    bfloat16_is_fast.cache_clear()


@pytest.mark.parametrize(
    ("cuda", "mps", "name"), [(True, False, "cuda:0"), (False, True, "mps"), (False, False, "cpu")]
)
def test_auto_takes_the_gpu_if_there_is_one(
    cuda: bool, mps: bool, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, cuda, mps)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert str(pick_device("auto")) == name
    assert str(pick_device("cpu")) == "cpu"


def test_each_process_takes_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, cuda=True)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert pick_device("auto") == torch.device("cuda", 3)
    assert pick_device("cpu") == CPU


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_here_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch)
    with pytest.raises(EnvironmentTrouble, match=name) as caught:
        pick_device(name)
    assert "hardware.device=auto" in caught.value.repair


@pytest.mark.parametrize(
    ("units", "fast", "chosen"),
    [
        ({}, False, "float32"),
        ({"avx512_f": True, "avx512_bf16": False}, False, "float32"),
        ({"avx512_bf16": True}, True, "float32"),
        ({"amx_bf16": True}, True, "bfloat16"),
    ],
)
def test_a_cpu_computes_in_bfloat16_only_with_units_for_it(
    units: dict[str, bool], fast: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu_with(monkeypatch, **units)
    assert bfloat16_is_fast(CPU) is fast
    assert pick_precision("auto", CPU) == chosen
    assert pick_precision("float32", CPU) == "float32"
    assert pick_precision("bfloat16", CPU) == "bfloat16"  # whoever asks for it gets it


def test_units_are_no_use_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu_with(monkeypatch, onednn=False, amx_bf16=True)
    assert pick_precision("auto", CPU) == "float32"
    assert not bfloat16_is_fast(CPU)


def test_a_torch_that_cannot_say_gets_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert pick_precision("auto", CPU) == "float32"


def test_a_gpu_computes_in_bfloat16_if_it_is_more_than_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    for real in (True, False):
        bfloat16_is_fast.cache_clear()
        monkeypatch.setattr(
            torch.cuda,
            "is_bf16_supported",
            lambda including_emulation=True, real=real: including_emulation or real,
        )
        assert pick_precision("auto", torch.device("cuda", 0)) == ("bfloat16" if real else "float32")
    assert pick_precision("auto", torch.device("mps")) == "float32"


def test_the_peak_is_the_best_product_after_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products of 1, 2 and 8 seconds, by a clock of the test's own: the first only warms up."""
    read = iter([0.0, 0.0, 1.0, 3.0, 3.0, 3.0, 11.0, 11.0])
    monkeypatch.setattr(device, "time", SimpleNamespace(perf_counter=lambda: next(read)))
    assert matrix_peak(CPU, torch.float32, size=16, seconds=10.0) == 2 * 16**3 / 2.0
    assert next(read, None) is None


def test_the_device_is_described_in_few_words() -> None:
    assert device.describe(CPU) == f"cpu, {torch.get_num_threads()} threads"


# --- what is set for the whole process, so each trial has one of its own ----------------------------------------


def child(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


SET_UP = """
import os, torch
from cohort_cli.training import device
from cohort_cli.training.config import Hardware
device.cores = lambda: 8
device.set_up_torch(Hardware(threads=2))
"""


def test_threads_are_what_is_asked_for_or_this_process_share_of_the_cores() -> None:
    look = """
for threads, processes in ((3, "1"), (0, "1"), (0, "3"), (0, "64"), (3, "64")):
    os.environ["LOCAL_WORLD_SIZE"] = processes
    device.set_up_torch(Hardware(threads=threads))
    print(torch.get_num_threads())
del os.environ["LOCAL_WORLD_SIZE"]
device.set_up_torch(Hardware())
print(torch.get_num_threads())
"""
    assert child(SET_UP + look, OMP_NUM_THREADS="1").split() == ["3", "8", "2", "1", "3", "8"]


@pytest.mark.slow
def test_very_small_numbers_are_flushed_in_every_thread() -> None:
    look = """
x = torch.full((4_000_000,), 1e-40)  # enough for several threads
print(int((x * 1.0).count_nonzero()))
"""
    if child("import torch; print(torch.set_flush_denormal(True))") != "True":
        pytest.skip("this CPU cannot")
    assert child(SET_UP + look) == "0"
    assert child("import torch\n" + look) == "4000000"  # what it is about


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_freed_memory_is_kept_for_the_next_step() -> None:
    """Without it, each large tensor costs a page fault per 4 KiB again and again."""
    if child("import platform; print(platform.libc_ver()[0])") != "glibc":
        pytest.skip("another C library")
    look = """
import resource, torch
for step in range(22):
    if step == 2:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.zeros(25_000_000).add_(1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    assert int(child(SET_UP + look)) < 0.5 * int(child(look))


def test_the_cores_are_those_that_this_process_may_use() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)
    if hasattr(os, "sched_setaffinity"):
        code = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
        assert child(code + "from cohort_cli.training.device import cores; print(cores())") == "1"
