"""What stops a run says what is wrong and what to change, and has exit code 7."""

from __future__ import annotations

import errno
import math
from pathlib import Path

import pytest
import torch

from cohort_cli.errors import UsageError
from cohort_cli.training import guards


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_stops_the_run(value: float) -> None:
    with pytest.raises(guards.NotFinite) as caught:
        guards.require_finite("loss", value, 17)
    assert caught.value.exit_code == 7
    assert "loss of step 17" in caught.value.message
    assert "optimizer.learning_rate" in caught.value.repair


@pytest.mark.parametrize("value", [0.0, -1.0, 1e308, 5e-324])
def test_every_number_is_fine(value: float) -> None:
    guards.require_finite("loss", value, 1)


def test_room_is_asked_for_before_a_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guards.require_space(tmp_path, 1000)
    with pytest.raises(guards.DiskTrouble) as caught:
        guards.require_space(tmp_path, 10**18)
    assert caught.value.exit_code == 7
    assert "1020000.0 TB" in caught.value.message or "TB" in caught.value.message

    class Nearly:
        free = 1_500_000

    monkeypatch.setattr("shutil.disk_usage", lambda folder: Nearly)
    guards.require_space(tmp_path, 400_000)
    with pytest.raises(guards.DiskTrouble, match=r"1\.5 MB left; .* needs 2\.0 MB"):
        guards.require_space(tmp_path, 1_000_000)


def test_the_allocator_of_a_cpu_is_understood() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    trouble = guards.understand(caught.value, 3)
    assert isinstance(trouble, guards.OutOfMemory)
    assert trouble.exit_code == 7
    assert "batch.micro_sequences" in trouble.repair


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB\nGPU 0 has ..."),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:121] data. DefaultCPUAllocator: not enough memory: you tried"
        ),
    ],
)
def test_too_little_memory_is_understood(error: BaseException) -> None:
    trouble = guards.understand(error, 3)
    assert isinstance(trouble, guards.OutOfMemory)
    assert "\n" not in trouble.message


def test_a_full_disk_is_understood() -> None:
    for number in (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)):
        trouble = guards.understand(OSError(number, "no room", "log.txt"), 3)
        assert isinstance(trouble, guards.DiskTrouble)
        assert trouble.message == "log.txt cannot be written: the disk is full."


def test_other_errors_are_left_to_others() -> None:
    for error in (RuntimeError("shapes do not fit"), OSError(errno.ENOENT, "no such file"), ValueError()):
        assert guards.understand(error, 3) is None
    own = UsageError("a word is wrong")
    assert guards.understand(own, 3) is own


def test_sizes_for_people() -> None:
    assert [guards.size(n) for n in (0, 999, 1000, 1_490_000_000, 5e15)] == [
        "0 bytes", "999 bytes", "1.0 kB", "1.5 GB", "5000.0 TB",
    ]  # fmt: skip
