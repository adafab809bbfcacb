"""Does a killed run end exactly where an uninterrupted one does?

    python benchmarks/kill_trials.py [--kills 100] [--torchrun-kills 20] [--quick] [--seed 1] [--jobs 1]

Trains a tiny network once without a break. Then again and again, killing the trainer one to four times at random moments
(kill -9, or what Windows has for it), and starting it again until the run is done. Half of the kills are aimed at the
moment in which a checkpoint is being written. Under torchrun, with two processes, a kill hits one trainer, the launcher,
or all of them at once. After each trial these must be equal to the uninterrupted run's, bit for bit:

    weights and optimizer    every tensor of the last checkpoint
    metrics and samples      every row and column but the clock's (seconds, tokens per second, utilisation)

and each start must go on from the newest whole checkpoint that was in the folder. `again` is the largest number of steps
that had to be done again; with a checkpoint every E steps, written while training goes on, it is at most 2 E - 1.
Exits with 1 if anything differs. --quick: a few kills of each kind.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from torch import uint8 as UINT8

import cohort_cli
from cohort_cli.catalog import find_project
from cohort_cli.fingerprint import code_sha256
from cohort_cli.training import checkpoint, launch
from cohort_cli.training.config import Config, load_preset
from cohort_cli.training.presets import preset_path
from cohort_cli.training.runs import RunFolder

KIT = Path(cohort_cli.__file__).parent
EVERY = 5  # steps between checkpoints
SETTINGS = [
    "model.n_layers=2", "model.d_model=32", "model.n_heads=2", "model.context=32", "model.dropout=0.1",
    "batch.sequences=8", "batch.micro_sequences=2", "schedule.steps=40", "schedule.warmup_steps=5",
    f"run.checkpoint_every={EVERY}", "run.eval_every=10", "run.eval_tokens=2000", "run.log_every=1",
    "run.sample_every=20", "run.sample_tokens=10", "hardware.threads=1", "hardware.device=cpu",
]  # fmt: skip
CLOCK = {"seconds", "tokens_per_second", "utilisation"}
PATIENCE = 300.0  # seconds for one start; then something hangs
TARGETS = ("a trainer", "all at once") + (("the launcher",) if sys.platform == "linux" else ())


class Ended(NamedTuple):
    """One start of the trainer."""

    first_step: int | None  # where it went on; None: killed before it said so
    killed: bool
    code: int | None


class Trial(NamedTuple):
    kills: int
    in_a_save: int  # kills that left half a checkpoint
    again: int  # most steps that had to be done again
    wrong: list[str]


class Trials:
    def __init__(self, home: Path, config: Config, processes: int) -> None:
        self.home, self.config, self.processes = home, config, processes
        reference = self.new_run("uninterrupted")
        ended = self.start(reference, None)
        if ended.code != 0:
            raise SystemExit(f"the uninterrupted run failed: see {reference.log_path} and {reference.root}")
        self.expected = fingerprint(reference)

    def new_run(self, name: str) -> RunFolder:
        return RunFolder.create(self.home / f"{self.processes}-{name}", self.config, project="project3")

    def trial(self, number: int, kills: int, chance: random.Random) -> Trial:
        """One run, killed this often, and then left to finish."""
        run = self.new_run(f"trial-{number}")
        done = in_a_save = again = 0
        wrong: list[str] = []
        for _ in range(kills):
            newest = newest_whole(run)
            ended = self.start(run, chance)
            wrong += went_on(ended, newest)
            if not ended.killed:
                break  # it was quicker than the kill
            done += 1
            in_a_save += any(run.checkpoints.glob(".tmp-*"))
            reached = max((row["step"] for row in run.read_metrics()), default=0)
            again = max(again, reached - newest_whole(run))
        newest = newest_whole(run)
        ended = self.start(run, None)
        wrong += went_on(ended, newest)
        if ended.code != 0 or run.read_status().state != "done":
            wrong.append(f"it ended with {ended.code}, {run.read_status()}")
        else:
            found = fingerprint(run)
            wrong += [f"{key} differ" for key in self.expected if found[key] != self.expected[key]]
        if again > 2 * EVERY - 1:
            wrong.append(f"{again} steps had to be done again")
        if not wrong:
            shutil.rmtree(run.root)
        return Trial(done, in_a_save, again, [f"{run.root}: {text}" for text in wrong])

    def start(self, run: RunFolder, chance: random.Random | None) -> Ended:
        """Start the trainer as `cohort train` does; with `chance`, kill it at some moment."""
        environment = launch.environment(self.processes, threads=1)
        with run.log_path.open("a") as log:
            process = subprocess.Popen(
                launch.command(run, self.processes), env=environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=log, text=True, encoding="utf-8",
            )  # fmt: skip
        assert process.stdout is not None
        alarm = threading.Timer(PATIENCE, kill_all, [process.pid])
        alarm.start()
        first_step, killed = None, False
        moment = Moment(chance) if chance is not None else None
        try:
            if moment is not None and moment.early:
                time.sleep(moment.delay)
                killed = kill(process, self.processes, moment)
            for event in events(process.stdout):
                if event["event"] == "start":
                    first_step = event["step"]
                if moment is not None and not killed and moment.is_now(event):
                    time.sleep(moment.delay)
                    killed = kill(process, self.processes, moment)
            process.wait()
            return Ended(first_step, killed, process.returncode)
        finally:
            alarm.cancel()
            process.stdout.close()


class Moment:
    """When to kill: while it starts, after some number of steps, or just after a checkpoint was begun."""

    def __init__(self, chance: random.Random) -> None:
        self.early = chance.random() < 0.1
        self.kind = "checkpoint" if chance.random() < 0.5 else "step"
        self.left = chance.randrange(3) if self.kind == "checkpoint" else chance.randrange(15)
        self.delay = chance.uniform(0, 2.0) if self.early else chance.uniform(0, 0.03)  # seconds
        self.target = chance.choice(TARGETS)

    def is_now(self, event: dict[str, Any]) -> bool:
        if event["event"] != self.kind:
            return False
        self.left -= 1
        return self.left < 0


def kill(process: subprocess.Popen[str], processes: int, moment: Moment) -> bool:
    """Kill one process or all, and wait until none is left. Returns False if it had ended by itself."""
    if process.poll() is not None:
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
        trainers = [child for child in family if "cohort_cli.training" in " ".join(child.cmdline())]
        if processes == 1 or moment.target == "the launcher" or not trainers:
            process.kill()
        elif moment.target == "a trainer":
            trainers[int(moment.delay * 1e6) % len(trainers)].kill()
        else:
            kill_all(process.pid)
        _, alive = psutil.wait_procs(family, PATIENCE)
        for child in alive:
            child.kill()
    return True


def kill_all(pid: int) -> None:
    """A process that we started, and those that it started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def events(stream: Any) -> Iterator[dict[str, Any]]:
    for line in stream:
        with contextlib.suppress(ValueError):
            event = json.loads(line)
            if isinstance(event, dict) and "event" in event:
                yield event


def newest_whole(run: RunFolder) -> int:
    """The step at which a start must go on."""
    for path in checkpoint.checkpoints(run.checkpoints):
        if not checkpoint.verify(path):
            return int(path.name.rpartition("-")[2])
    return 0


def went_on(ended: Ended, newest: int) -> list[str]:
    if ended.first_step in (None, newest):
        return []
    return [f"it went on from step {ended.first_step}, but step {newest} was there"]


def fingerprint(run: RunFolder) -> dict[str, str]:
    """Hashes of all that must come out equal."""
    loaded = checkpoint.load_newest(run.checkpoints, print)
    assert loaded is not None
    found = {}
    for group, named in loaded.tensors.items():
        digest = hashlib.sha256()
        for name, tensor in sorted(named.items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.reshape(-1).view(dtype=UINT8).numpy().tobytes())
        found[group] = digest.hexdigest()
    for name, rows in (("metrics", run.read_metrics()), ("samples", run.read_samples())):
        lines = [json.dumps({key: row[key] for key in row if key not in CLOCK}) for row in rows]
        found[name] = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    found["step"] = str(loaded.step)
    return found


def plan(kills: int, chance: random.Random) -> list[int]:
    """How often to kill each run, until there were so many kills."""
    counts = []
    while kills > 0:
        counts.append(min(kills, chance.randint(1, 4)))
        kills -= counts[-1]
    return counts


def series(home: Path, config: Config, processes: int, kills: int, seed: int, jobs: int) -> list[Trial]:
    """Trials until there were so many kills. A run may end before a late kill; then there are more trials."""
    if not kills:
        return []
    chance = random.Random(f"{seed} {processes}")
    trials = Trials(home, config, processes)
    done: list[Trial] = []
    with ThreadPoolExecutor(jobs) as pool:
        while (left := kills - sum(trial.kills for trial in done)) > 0:
            waiting = [
                pool.submit(trials.trial, len(done) + number, count, random.Random(chance.random()))
                for number, count in enumerate(plan(left, chance))
            ]
            for future in waiting:
                done.append(future.result())
                print(f"{sum(trial.kills for trial in done)} of {kills} kills", file=sys.stderr)
    return done


def row(name: str, trials: list[Trial]) -> str:
    kills, saves = sum(trial.kills for trial in trials), sum(trial.in_a_save for trial in trials)
    again = max((trial.again for trial in trials), default=0)
    exact = sum(not trial.wrong for trial in trials)
    return f"{name:22}{len(trials):6}{kills:8}{saves:12}{again:8}     {exact} of {len(trials)}"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--torchrun-kills", type=int, default=20)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="runs at the same time")
    options = parser.parse_args()
    kills, torchrun_kills = (3, 1) if options.quick else (options.kills, options.torchrun_kills)
    before = code_sha256(KIT)
    config = load_preset(preset_path(find_project("project3"), "smoke"), SETTINGS)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        os.environ["COHORT_DATA"] = str(Path(home, "data"))
        alone = series(Path(home), config, 1, kills, options.seed, options.jobs)
        together = series(Path(home), config, 2, torchrun_kills, options.seed, options.jobs)
        wrong = [text for trial in (*alone, *together) for text in trial.wrong]
        print(f"{'':22}{'runs':>6}{'kills':>8}{'in a save':>12}{'again':>8}     bit for bit")
        print(row("one process", alone))
        print(row("two, under torchrun", together))
        for text in wrong:
            print(text)
    if code_sha256(KIT) != before:
        print("The kit's code was changed meanwhile: this says nothing. Run it again.")
        return 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
