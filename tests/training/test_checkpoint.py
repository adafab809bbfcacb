"""Checkpoints: exact, and one is always there, whatever stops the writer or damages the files."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from crashing import VARIANTS, Done, Dying, Killed, dying, every_point, lay_down, record, replay, state, tear
from safetensors.torch import load_file

from cohort_cli.training import checkpoint, disk, guards, seal, snapshot
from cohort_cli.training.checkpoint import Writer, best, checkpoints, load, load_newest, save, verify
from cohort_cli.training.snapshot import Tensors


def state_of(step: int) -> Tensors:
    """A small training state with what real ones have: tied weights, numbers without dimensions, several types."""
    chance = torch.Generator().manual_seed(step)
    embedding = torch.randn(7, 4, generator=chance)
    return {
        "model": {
            "wte.weight": embedding,
            "lm_head.weight": embedding,
            "turned": torch.randn(4, 3, generator=chance).t(),
            "half": torch.randn(5, generator=chance).bfloat16(),
            "row": embedding[2],
            "empty": torch.empty(0, 3),
            "mask": torch.tensor([True, False]),
        },
        "optimizer": {"wte.weight/step": torch.tensor(float(step)), "wte.weight/exp_avg": embedding * 0.1},
    }


def same(one: Tensors, other: Tensors) -> bool:
    """Bit for bit: NaN equals NaN, and -0.0 is not 0.0."""
    return bits(one) == bits(other)


def bits(tensors: Tensors) -> dict[str, dict[str, Any]]:
    return {
        group: {
            name: (t.dtype, t.shape, t.contiguous().view(-1).view(torch.uint8).tolist())
            for name, t in named.items()
        }
        for group, named in tensors.items()
    }


def put(folder: Path, step: int, *, keep: int = 2, is_best: bool = False) -> Path:
    return save(folder, step, state_of(step), {"sequences": step * 8}, keep=keep, is_best=is_best)


def is_exact(loaded: checkpoint.Loaded) -> bool:
    return same(state_of(loaded.step), loaded.tensors) and loaded.state == {"sequences": loaded.step * 8}


def holds(folder: Path, steps: tuple[int, ...]) -> int:
    """The step of the newest checkpoint, which must be one of these and exactly what was saved."""
    loaded = load_newest(folder, lambda text: None)
    assert loaded is not None
    assert loaded.step in steps
    assert is_exact(loaded)
    return loaded.step


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is one: what a real disk makes certain is not the matter of these tests."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- what is saved is what is loaded ---------------------------------------------------------------------


def test_every_bit_comes_back(tmp_path: Path) -> None:
    put(tmp_path / "checkpoints", 100)
    assert holds(tmp_path / "checkpoints", (100,)) == 100


def test_numbers_that_are_none_come_back(tmp_path: Path) -> None:
    strange = torch.tensor([float("nan"), float("-inf"), -0.0, 1e-45])
    save(tmp_path, 1, {"model": {"w": strange}}, {}, keep=1)
    assert same({"model": {"w": strange}}, load(tmp_path / "step-00000001").tensors)


def test_other_tools_read_the_model(tmp_path: Path) -> None:
    path = put(tmp_path, 1)
    plain = load_file(path / "model.safetensors")
    assert torch.equal(plain["wte.weight"], state_of(1)["model"]["wte.weight"])


def test_a_tensor_with_two_names_is_kept_once(tmp_path: Path) -> None:
    path = put(tmp_path, 1)
    assert "lm_head.weight" not in load_file(path / "model.safetensors")
    model = load(path).tensors["model"]
    assert model["lm_head.weight"].data_ptr() == model["wte.weight"].data_ptr()


def test_nothing_is_pickled(tmp_path: Path) -> None:
    assert names(put(tmp_path, 1)) == [
        "manifest.json",
        "model.safetensors",
        "optimizer.safetensors",
        "state.json",
    ]


def test_no_checkpoint_is_no_error(tmp_path: Path) -> None:
    told: list[str] = []
    assert load_newest(tmp_path / "checkpoints", told.append) is None
    assert told == []


@pytest.mark.parametrize("group", ["../model", "a/b", "", ".hidden"])
def test_a_group_is_no_path(tmp_path: Path, group: str) -> None:
    with pytest.raises(ValueError, match="group"):
        save(tmp_path, 1, {group: {}}, {}, keep=1)


# --- which ones stay -------------------------------------------------------------------------------------


def test_the_newest_stay_and_the_best(tmp_path: Path) -> None:
    for step in range(100, 700, 100):
        put(tmp_path, step, is_best=step == 200)
    assert names(tmp_path) == ["step-00000200", "step-00000500", "step-00000600"]
    assert best(tmp_path) == tmp_path / "step-00000200"


def test_a_better_one_takes_the_place_of_the_best(tmp_path: Path) -> None:
    for step in range(100, 700, 100):
        put(tmp_path, step, is_best=step in (100, 300))
    assert names(tmp_path) == ["step-00000300", "step-00000500", "step-00000600"]


def test_damaged_ones_do_not_count(tmp_path: Path) -> None:
    put(tmp_path, 100)
    for step in (200, 300, 400):
        damage(put(tmp_path, step) / "model.safetensors", "flipped bit")
    assert holds(tmp_path, (100,)) == 100
    put(tmp_path, 500)  # one whole one is there now beside 100; both are needed for keep = 2
    assert names(tmp_path) == [
        f"step-00000{number}00" for number in range(1, 6)
    ]  # the damaged ones can be looked at
    put(tmp_path, 600)
    assert names(tmp_path) == ["step-00000500", "step-00000600"]


def test_a_damaged_best_one_does_not_count(tmp_path: Path) -> None:
    put(tmp_path, 100, is_best=True)
    damage(put(tmp_path, 200, is_best=True) / "state.json", "flipped bit")
    assert best(tmp_path) == tmp_path / "step-00000100"
    for step in (300, 400, 500):
        put(tmp_path, step)
    assert best(tmp_path) == tmp_path / "step-00000100"


def test_folders_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "step-by-step").mkdir()
    (tmp_path / "step-00000050.copy").mkdir()
    for step in (100, 200, 300):
        put(tmp_path, step, keep=1)
    assert names(tmp_path) == ["step-00000050.copy", "step-00000300", "step-by-step"]


def test_steps_are_numbers_not_words(tmp_path: Path) -> None:
    for step in (99_999_999, 100_000_000):
        put(tmp_path, step, keep=1)
    assert holds(tmp_path, (100_000_000,))
    assert names(tmp_path) == ["step-100000000"]


def test_a_step_can_be_saved_again(tmp_path: Path) -> None:
    put(tmp_path, 100), put(tmp_path, 200)
    other = state_of(7)
    save(tmp_path, 200, other, {}, keep=2)
    assert same(other, load(tmp_path / "step-00000200").tensors)
    put(tmp_path, 300)
    assert names(tmp_path) == ["step-00000200", "step-00000300"]


# --- damage ----------------------------------------------------------------------------------------------


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    middle = len(data) // 2
    if how == "flipped bit":
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :])
    elif how == "truncated":
        path.write_bytes(data[:-1])
    elif how == "torn":
        tear(path)
    elif how == "emptied":
        path.write_bytes(b"")
    elif how == "longer":
        path.write_bytes(data + b"\0")
    elif how == "zeroed":
        path.write_bytes(bytes(len(data)))
    else:
        path.unlink()


FILES = ("model.safetensors", "optimizer.safetensors", "state.json", "manifest.json")
DAMAGES = ("flipped bit", "truncated", "torn", "emptied", "longer", "zeroed", "missing")


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_checkpoint_is_passed_over_aloud(tmp_path: Path, file: str, how: str) -> None:
    put(tmp_path, 100), put(tmp_path, 200)
    damage(tmp_path / "step-00000200" / file, how)
    told: list[str] = []
    loaded = load_newest(tmp_path, told.append)
    assert loaded is not None
    assert loaded.step == 100
    assert "step-00000200" in told[0]
    assert file in told[0]
    assert ("bytes instead of" in told[0]) == (
        how in ("truncated", "torn", "emptied", "longer") and file != "manifest.json"
    )
    assert "step-00000100" in told[-1]
    assert holds(tmp_path, (100,))
    with pytest.raises(checkpoint.DamagedCheckpoint, match=file):
        load(tmp_path / "step-00000200")


def test_every_flipped_bit_is_seen(quick: Path) -> None:
    path = put(quick, 100)
    chance = random.Random(1)
    for file in FILES:
        data = (path / file).read_bytes()
        for _ in range(60):
            place, bit = chance.randrange(len(data)), 1 << chance.randrange(8)
            (path / file).write_bytes(data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :])
            assert verify(path), f"{file}: bit {bit} of byte {place}"
        (path / file).write_bytes(data)
        assert not verify(path)


def test_a_manifest_that_was_changed_with_care_is_seen(tmp_path: Path) -> None:
    path = put(tmp_path, 100) / "manifest.json"
    table = json.loads(path.read_text())
    table["is_best"] = True
    path.write_text(json.dumps(table))
    assert verify(path.parent) == ["manifest.json is not what was written"]


def test_a_manifest_never_leads_out_of_its_folder(tmp_path: Path) -> None:
    path = put(tmp_path, 100)
    table = json.loads((path / "manifest.json").read_text())
    table.pop("sha256")
    table["files"]["../../secret.json"] = {"bytes": 1, "sha256": ""}
    table["sha256"] = seal._digest(table)
    (path / "manifest.json").write_text(json.dumps(table))
    assert verify(path) == ["manifest.json is not what was written"]


def test_nothing_whole_is_said_too(tmp_path: Path) -> None:
    damage(put(tmp_path, 100) / "model.safetensors", "torn")
    told: list[str] = []
    assert load_newest(tmp_path, told.append) is None
    assert "beginning" in told[-1]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_what_may_not_be_read_is_passed_over(tmp_path: Path) -> None:
    put(tmp_path, 100)
    (put(tmp_path, 200) / "model.safetensors").chmod(0)
    assert holds(tmp_path, (100,))


# --- killed ----------------------------------------------------------------------------------------------


def before(folder: Path) -> None:
    """What is there when the save that will be killed begins."""
    for step in (100, 200, 300):
        put(folder, step, is_best=step == 100)


@pytest.mark.parametrize("step", [400, 300], ids=["a new step", "a step that was saved before"])
def test_killed_at_every_operation(quick: Path, step: int) -> None:
    """Then the old or the new checkpoint is there, bit for bit; the next save works, and nothing else is left."""
    start = quick / "start"
    before(start)
    count = Dying()
    with dying(count):
        put(shutil.copytree(start, quick / "count"), step)
    assert len(count.names) > 15
    assert {"write_tensors", "sync", "sync_folder", "rename", "remove_file"} <= set(count.names)
    seen = set()
    for number, (at, half) in enumerate(every_point(count.names)):
        folder = shutil.copytree(start, quick / f"killed-{number}")
        with dying(Dying(at, half)), pytest.raises(Killed):
            put(folder, step)
        seen.add(holds(folder, (300, step)))
        assert best(folder) == folder / "step-00000100"
        assert not any(
            verify(path) for path in checkpoints(folder)
        )  # nothing that looks like one is half of one
        put(folder, step)
        assert holds(folder, (step,))
        put(folder, 500)
        assert holds(folder, (500,))
        put(folder, 600)
        assert names(folder) == ["step-00000100", "step-00000500", "step-00000600"], f"killed at {at}"
        shutil.rmtree(folder)
    assert seen == {300, step}


def test_killed_again_and_again(quick: Path) -> None:
    """Random kills of save after save: never back behind the last checkpoint that was promised."""
    chance = random.Random(5)
    for _ in range(15):
        folder = quick / "checkpoints"
        promised = 0
        for step in range(100, 1500, 100):
            with dying(Dying(chance.randrange(30), chance.random() < 0.5)), contextlib.suppress(Killed):
                put(folder, step, is_best=chance.random() < 0.3)
                promised = step
            if promised:
                holds(folder, tuple(range(promised, step + 1, 100)))
        shutil.rmtree(folder)


def test_a_disk_that_fails_once_at_every_operation(quick: Path) -> None:
    """An error of the disk is told as one, leaves no temporary file, and costs no checkpoint."""
    start = quick / "start"
    before(start)
    count = Dying()
    with dying(count):
        put(shutil.copytree(start, quick / "count"), 400)
    failed = 0
    for at in range(len(count.names)):
        folder = shutil.copytree(start, quick / f"failed-{at}")
        with dying(Dying(at, error=OSError(errno.EIO, "Input/output error"))):
            try:
                put(folder, 400)
                trouble = None
            except guards.DiskTrouble as error:
                trouble = error
        if trouble is None:  # it was only about removing an old one
            assert holds(folder, (400,))
        else:
            failed += 1
            assert trouble.exit_code == 7
            assert "Input/output error" in trouble.message
            assert ".tmp-step-00000400" not in names(folder)
            holds(folder, (300, 400))
    assert failed > 10


# --- power cut -------------------------------------------------------------------------------------------


def history_of_saves(root: Path) -> tuple[list[Done], dict[int, int]]:
    """A history of seven saves, and how many operations were done when each was promised."""
    promised = {}
    root.mkdir()
    with record(root) as history:
        for step in (100, 200, 300, 300, 400, 500, 600):
            put(root / "checkpoints", step, is_best=step == 200)
            promised[len(history)] = step
    return history, promised


def losses(history: list[Done], promised: dict[int, int], place: Path) -> tuple[int, int]:
    """(states of the disk in which a promised checkpoint is gone, states)"""
    chance = random.Random(3)
    lost, seen = 0, set()
    for done in range(len(history) + 1):
        root = replay(history[:done])
        acknowledged = max((step for count, step in promised.items() if count <= done), default=0)
        for variant in VARIANTS:
            found = state(root, variant, chance)
            key = (acknowledged, tuple(found.items()))
            if key in seen:
                continue
            seen.add(key)
            folder = place / "cut"
            lay_down(found, folder)
            loaded = load_newest(folder / "checkpoints", lambda text: None)
            step = loaded.step if loaded is not None else 0
            lost += step < acknowledged or (loaded is not None and not is_exact(loaded))
            del loaded
            shutil.rmtree(folder)
    return lost, len(seen)


def test_no_power_cut_loses_a_promised_checkpoint(quick: Path) -> None:
    history, promised = history_of_saves(quick / "run")
    lost, states = losses(history, promised, quick)
    assert states > 200
    assert lost == 0


@pytest.mark.parametrize("forgotten", ["sync", "sync_folder"])
def test_the_model_of_a_power_cut_sees_what_is_forgotten(quick: Path, forgotten: str) -> None:
    """The test above would be worth nothing if it passed without one of the two kinds of sync."""
    history, promised = history_of_saves(quick / "run")
    without: list[Done] = []
    shorter = {}
    for number, done in enumerate(history, 1):
        without += [done] if done.name != forgotten else []
        if number in promised:
            shorter[len(without)] = promised[number]
    lost, _ = losses(without, shorter, quick)
    assert lost > 0


# --- no room ---------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB, where this process may mount one."""
    place = tmp_path / "small"
    place.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this process may not mount a small file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)


MEGABYTE = {"model": {"w": torch.arange(250_000, dtype=torch.float32)}}


@pytest.mark.parametrize("foreseen", [True, False])
def test_a_full_disk(small_disk: Path, foreseen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not foreseen:  # as if another program took the room after we looked
        monkeypatch.setattr(guards, "require_space", lambda folder, needed: None)
    folder = small_disk / "checkpoints"
    save(folder, 100, MEGABYTE, {}, keep=2)
    (small_disk / "other").write_bytes(bytes(1_500_000))
    for _ in range(2):
        with pytest.raises(guards.DiskTrouble) as caught:
            save(folder, 200, MEGABYTE, {}, keep=2)
        assert caught.value.exit_code == 7
        assert ("disk is full" in caught.value.message) != foreseen
        assert ("kB left" in caught.value.message) == foreseen
        assert names(folder) == ["step-00000100"]
        loaded = load_newest(folder, print)
        assert loaded is not None
        assert same(MEGABYTE, loaded.tensors)
    (small_disk / "other").unlink()
    del loaded
    save(folder, 200, MEGABYTE, {}, keep=1)
    assert names(folder) == ["step-00000200"]


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    """The same where nothing can be mounted: the system refuses files above a size."""
    resource = pytest.importorskip("resource", reason="this system has no limits on the size of files")
    save(tmp_path, 100, MEGABYTE, {}, keep=2)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
    try:
        with pytest.raises(guards.DiskTrouble, match="disk is full"):
            save(tmp_path, 200, MEGABYTE, {}, keep=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == ["step-00000100"]


# --- the writer behind the training's back ---------------------------------------------------------------


def test_training_may_change_the_tensors_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    real = disk.write_tensors
    monkeypatch.setattr(disk, "write_tensors", lambda *words: (gate.wait(), real(*words))[1])
    tensors, state = state_of(100), {"sequences": 800}
    with contextlib.closing(Writer(tmp_path, keep=2)) as writer:
        writer.save(100, tensors, state)
        for named in tensors.values():
            for tensor in named.values():
                tensor.zero_()
        state["sequences"] = 0
        assert writer.finished() == []
        gate.set()
        writer.wait()
        assert [saved.step for saved in writer.finished()] == [100]
        assert writer.finished() == []
    assert holds(tmp_path, (100,))


def test_buffers_are_used_again_and_follow_the_shapes(tmp_path: Path) -> None:
    buffers: snapshot.Buffers = {}
    first = snapshot.take({"model": {"w": torch.ones(3)}}, buffers).tensors["model"]["w"]
    again = snapshot.take({"model": {"w": torch.zeros(3)}}, buffers).tensors["model"]["w"]
    assert again.data_ptr() == first.data_ptr()
    other = snapshot.take({"model": {"w": torch.full((2, 2), 7.0)}}, buffers).tensors["model"]["w"]
    assert other.tolist() == [[7.0, 7.0], [7.0, 7.0]]


def test_reserved_memory_is_what_a_save_uses(tmp_path: Path) -> None:
    large = {"model": {"w": torch.randn(600_000), "h": torch.randn(600_000).bfloat16()}}
    with contextlib.closing(Writer(tmp_path, keep=1)) as writer:
        writer.reserve(large)
        writer.wait()
        places = {key: buffer.data_ptr() for key, buffer in writer._buffers.items()}
        writer.save(1, large, {})
        writer.wait()
        assert {key: buffer.data_ptr() for key, buffer in writer._buffers.items()} == places
        assert set(places) == {("model", "w"), ("model", "h")}
    assert same(large, load(tmp_path / "step-00000001").tensors)


@pytest.mark.parametrize("asking", ["save", "wait", "close", "finished"])
def test_an_error_of_the_thread_reaches_the_training(tmp_path: Path, asking: str) -> None:
    writer = Writer(tmp_path / "file" / "checkpoints", keep=2)
    (tmp_path / "file").write_text("no folder")
    writer.save(100, state_of(100), {})
    while writer._thread is not None and writer._thread.is_alive():
        time.sleep(0.01)
    ask: dict[str, Any] = {
        "save": lambda: writer.save(200, state_of(200), {}),
        "wait": writer.wait,
        "close": writer.close,
        "finished": writer.finished,
    }
    with pytest.raises(guards.DiskTrouble):
        ask[asking]()
    writer.close()  # said once is enough


def test_a_program_that_ends_still_finishes_its_save(tmp_path: Path) -> None:
    program = (
        "import sys, torch\nfrom pathlib import Path\nfrom cohort_cli.training.checkpoint import Writer\n"
        "Writer(Path(sys.argv[1]), keep=1).save(7, {'model': {'w': torch.randn(3_000_000)}}, {})\nraise SystemExit(3)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False).returncode == 3
    assert [path.name for path in checkpoints(tmp_path)] == ["step-00000007"]
    assert not verify(tmp_path / "step-00000007")
