"""What does each fault of `cohort break` show, and does it stay within its interval?

    python benchmarks/faults.py [--seeds 1 2 3] [--faults NAME ...] [--kept-only]

Trains each fault with each seed, unless `cohort break` has kept that run, and prints a Markdown table: the training,
reported and honest loss at the end, the mean of the seeds and their range. Exits with 1 if a run is outside of the
interval that the answer sheet states. Stop it when you like: what was trained is kept.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence

from cohort_cli.bars import bar
from cohort_cli.training.breaking import game
from cohort_cli.training.breaking.faults import FAULTS, Interval
from cohort_cli.training.breaking.game import Seen


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the faults of the game.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--faults", nargs="+", default=[fault.name for fault in FAULTS])
    parser.add_argument("--kept-only", action="store_true", help="Train nothing.")
    options = parser.parse_args()
    limits = game.baselines()
    print(f"uniform {limits.uniform:.3f}, unigram {limits.unigram:.3f}, bigram {limits.bigram:.3f}\n")
    print("| fault | where | training | reported | honest | seeds |\n|---|---|---|---|---|---|")
    outside = []
    for fault in FAULTS:
        if fault.name not in options.faults:
            continue
        runs = measured(fault.name, options.seeds, options.kept_only)
        if not runs:
            continue
        columns = [
            [run.last_training for run in runs],
            [run.last_reported for run in runs],
            [run.honest for run in runs],
        ]
        cells = " | ".join(map(shown, columns))
        print(f"| `{fault.name}` | {fault.where or '-'} | {cells} | {len(runs)} |", flush=True)
        for what, losses, interval in zip(
            ("reported", "honest"), columns[1:], (fault.reported, fault.honest), strict=True
        ):
            outside += [f"{fault.name}: {what} {loss}" for loss in losses if not within(loss, interval)]
    for line in outside:
        print(f"outside of its interval: {line}", file=sys.stderr)
    return 1 if outside else 0


def measured(name: str, seeds: Sequence[int], kept_only: bool) -> list[Seen]:
    number = game.number_of(name)
    runs = [game.kept(number, seed, game.STEPS) for seed in seeds]
    if kept_only:
        return [run for run in runs if run is not None]
    with bar() as tell:
        return [game.play(number, seed, game.STEPS, tell) for seed in seeds]


def shown(losses: Sequence[float | None]) -> str:
    finite = [loss for loss in losses if loss is not None]
    if len(finite) < len(losses):
        return "not finite"
    mean = math.fsum(finite) / len(finite)
    return f"{mean:.3f} ({min(finite):.3f} to {max(finite):.3f})"


def within(loss: float | None, interval: Interval) -> bool:
    return loss is not None and interval[0] <= loss <= interval[1]


if __name__ == "__main__":
    sys.exit(main())
