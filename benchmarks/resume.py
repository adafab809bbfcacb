"""How long from the command until a resumed run takes its first step, beside a run that starts anew?

    python benchmarks/resume.py [--turns 5] [--quick]

A cold start and a resumed start of the same job take turns, each in a process of its own: wall time from starting the
process to the end of its first optimizer step. nanoGPT's way (torch.load of the newest file, nothing verified) is timed
beside them, by the model and optimizer of nanogpt.py. The network: 6 layers of 384 (a checkpoint of 0.13 GB);
--quick: 2 of 64. A ratio is the median of the turns' ratios.

A cold start measures the loss of 300 held-out tokens before its first step; a resumed one has done that already.

The goal: a resumed start takes at most 1.5 times a cold one. Exits with 1 when it is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cohort_cli.catalog import find_project
from cohort_cli.training import launch
from cohort_cli.training.config import load_preset
from cohort_cli.training.presets import preset_path
from cohort_cli.training.runs import RunFolder

GOAL = 1.5
SETTINGS = (
    "model.recipe=gpt2", "model.context=256", "batch.sequences=4", "schedule.steps=3", "schedule.warmup_steps=1",
    "run.eval_every=1000", "run.log_every=1", "run.checkpoint_every=2", "run.eval_tokens=300", "run.sample_tokens=0",
    "hardware.device=cpu",
)  # fmt: skip
SIZES = {False: ("model.n_layers=6", "model.d_model=384", "model.n_heads=6"),
         True: ("model.n_layers=2", "model.d_model=64", "model.n_heads=2")}  # fmt: skip
NANOGPT = """
import sys, numpy as np, torch
sys.path.insert(0, {benchmarks!r})
import nanogpt
torch.manual_seed(1)
model = nanogpt.GPT(104, {layers}, {width}, {heads}, 256, True)
optimizer = nanogpt.optimizer_of(model, 1e-3, 0.95)
if {resume}:
    saved = torch.load({path!r}, weights_only=True)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
x, y = nanogpt.get_batch(np.random.default_rng(1).integers(0, 104, 10_000).astype(np.uint16), 4, 256)
nanogpt.step(model, optimizer, x, y, 1e-3)
print("first step", flush=True)
if not {resume}:
    torch.save({{"model": model.state_dict(), "optimizer": optimizer.state_dict()}}, {path!r})
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Cold and resumed starts.")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cohort-resume-") as place:
        os.environ["COHORT_DATA"] = str(Path(place) / "data")
        return measure(Path(place), 2 if options.quick else options.turns, options.quick)


def measure(place: Path, turns: int, quick: bool) -> int:
    config = load_preset(preset_path(find_project("project3"), "smoke"), (*SETTINGS, *SIZES[quick]))
    halfway = RunFolder.create(place / "halfway", config, project="project3")
    first_step(halfway)  # prepares the data, and leaves a checkpoint of step 2
    for newer in halfway.checkpoints.glob("step-00000003"):
        shutil.rmtree(newer)
    seconds: dict[str, list[float]] = {
        name: [] for name in ("cold", "resumed", "nanoGPT cold", "nanoGPT resumed")
    }
    for turn in range(turns):
        cold = RunFolder.create(place / f"cold-{turn}", config, project="project3")
        again = RunFolder(Path(shutil.copytree(halfway.root, place / f"again-{turn}")))
        seconds["cold"].append(first_step(cold))
        seconds["resumed"].append(first_step(again))
        for name, resume in (("nanoGPT cold", False), ("nanoGPT resumed", True)):
            seconds[name].append(nanogpt_step(place / "nanogpt.pt", config.model, resume))
        shutil.rmtree(cold.root)
        shutil.rmtree(again.root)
    size = sum(file.stat().st_size for file in (halfway.checkpoints / "step-00000002").iterdir())
    print(
        f"checkpoint of {size / 1e6:.1f} MB; seconds from the command to the end of the first step, medians\n"
    )
    for name, values in seconds.items():
        print(f"{name:<18} {statistics.median(values):6.2f} s")
    ratio = statistics.median(b / a for a, b in zip(seconds["cold"], seconds["resumed"], strict=True))
    peer = statistics.median(
        b / a for a, b in zip(seconds["nanoGPT cold"], seconds["nanoGPT resumed"], strict=True)
    )
    print(f"\nresumed over cold  {ratio:6.2f}   goal at most {GOAL}: {'met' if ratio <= GOAL else 'MISSED'}")
    print(f"nanoGPT's way      {peer:6.2f}")
    return 0 if ratio <= GOAL else 1


def first_step(folder: RunFolder) -> float:
    """Seconds until the first step event. The run then goes on to its end."""
    began, found = time.perf_counter(), 0.0
    with launch.started(folder, 1) as (process, events):
        for event in events:
            if event["event"] == "step" and not found:
                found = time.perf_counter() - began
        process.wait()
    assert found, json.dumps(folder.read_errors())
    return found


def nanogpt_step(path: Path, model: object, resume: bool) -> float:
    code = NANOGPT.format(
        benchmarks=str(Path(__file__).parent), path=str(path), resume=resume,
        layers=model.n_layers, width=model.d_model, heads=model.n_heads,  # type: ignore[attr-defined]
    )  # fmt: skip
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "first step\n"
        found = time.perf_counter() - began
        process.wait()
    return found


if __name__ == "__main__":
    sys.exit(main())
