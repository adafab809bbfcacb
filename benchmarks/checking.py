"""How long a verdict takes, as ratios that mean the same on every machine.

    python benchmarks/checking.py [--runs N] [--saves N]

Prints three rows, measured side by side in one run:

    cold    `cohort check project2` over `python -c "import torch"`, wall time, pair by pair
    warm    from saving a file to the last verdict of its step, with `--watch`'s judge (median, 95th percentile)
    check   one whole run of the reference on a warm judge
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from cohort_cli.catalog import find_project
from cohort_cli.checking.client import Judge
from cohort_cli.checking.watch import Watcher, saves

STEP = "layers"


def wall(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def cold(runs: int) -> None:
    project = find_project("project2")
    check = [sys.executable, "-m", "cohort_cli", "check", "project2", "--work", str(project.reference)]
    torch = [sys.executable, "-c", "import torch"]
    wall(torch), wall(check)  # once, to fill the caches
    pairs = [(wall(check), wall(torch)) for _ in range(runs)]
    ratios = [a / b for a, b in pairs]
    checks, imports = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(
        f"cold    check {checks:.2f} s, import torch {imports:.2f} s, ratio {statistics.median(ratios):.2f}"
    )


def warm(count: int) -> None:
    project = find_project("project2")
    with tempfile.TemporaryDirectory() as folder, Judge() as judge:
        work = Path(folder, "work")
        shutil.copytree(project.reference, work)
        watcher = Watcher(judge, project, work, [STEP], seed=None)
        watcher.check()
        file = work / project.step(STEP).file
        text = file.read_text()
        times: list[float] = []
        stop = threading.Event()
        changes = saves(work, stop)
        for number in range(count):
            saved = [0.0]

            def save(number: int = number, saved: list[float] = saved) -> None:
                time.sleep(0.3)
                saved[0] = time.perf_counter()
                file.write_text(f"{text}\n# save {number}\n")

            threading.Thread(target=save).start()
            while True:
                next(changes)
                if watcher.check() is not None:
                    break
            times.append((time.perf_counter() - saved[0]) * 1000)
        stop.set()
        started = time.perf_counter()
        judge.check(project, work)
        whole = time.perf_counter() - started
    times.sort()
    p95 = times[max(0, round(0.95 * len(times)) - 1)]
    print(
        f"warm    save to verdict of step {STEP}: median {statistics.median(times):.0f} ms, 95th {p95:.0f} ms"
    )
    print(f"check   all {len(project.checks)} checks on a warm judge: {whole:.2f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--saves", type=int, default=20)
    options = parser.parse_args()
    cold(options.runs)
    warm(options.saves)
