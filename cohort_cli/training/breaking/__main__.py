"""Trains the experiments of the game:  python -m cohort_cli.training.breaking

One JSON object per line, in and out, as in training/play.py. A request names a number and no fault:

    {"number": 7, "seed": 1, "steps": 500}   -> "progress" ..., "result": {"training", "reported", "honest", "sample"}
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

from cohort_cli.errors import CohortError
from cohort_cli.training.breaking import experiment, game
from cohort_cli.training.stop import die_with_parent

SECONDS = 2.0  # between two words about the progress


def answer(request: dict[str, int]) -> Iterator[dict[str, Any]]:
    said = time.monotonic()
    for event in experiment.run(game.fault_of(request["number"]).name, request["seed"], request["steps"]):
        if event["event"] != "progress" or time.monotonic() - said > SECONDS:
            said = time.monotonic()
            yield event


def main() -> int:
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who asks; it ends this process
    try:
        tell({"event": "ready"})
        for line in sys.stdin:
            try:
                for event in answer(json.loads(line)):
                    tell(event)
            except CohortError as trouble:
                tell({"event": "error", "message": trouble.message, "repair": trouble.repair,
                      "exit": trouble.exit_code})  # fmt: skip
    except BrokenPipeError:  # nobody listens any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def tell(event: dict[str, Any]) -> None:
    print(json.dumps(event), flush=True)


if __name__ == "__main__":
    sys.exit(main())
