"""One training process:  python -m cohort_cli.training RUN_FOLDER

Starts the job of a run folder, or goes on with it. torchrun starts several of these for one folder. Events go to
standard output, one JSON object per line; nothing else does. How it ended stands in the folder's status.json:
torchrun hides exit codes.

Exit codes: 0 done, 1 a member's part failed, 2 usage, 3 the folder cannot be read, 4 something is missing, 7 the
job failed or a guard stopped it, 8 network or checksum, 75 saved on request: run it again, 130 interrupted twice.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from cohort_cli.errors import CohortError
from cohort_cli.training.runs import RunFolder
from cohort_cli.training.stop import StopAsked, StopFlag, die_with_parent

STOPPED = 75


def main() -> int:
    began = time.time()
    die_with_parent()
    folder = RunFolder.open(Path(sys.argv[1]))
    rank, steps = int(os.environ.get("RANK", "0")), folder.config().schedule.steps
    first = rank == 0
    step = [folder.read_status().step]

    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library or a member's code prints is no event: it goes into the log

    def tell(event: dict[str, Any]) -> None:
        nonlocal events
        if event["event"] in ("start", "step", "eval"):
            step[0] = event["step"]
        if event["event"] in ("start", "eval", "checkpoint"):
            folder.write_status("running", step[0], steps)
        try:
            print(json.dumps(event, allow_nan=False), file=events, flush=True)
        except BrokenPipeError:  # who started us is gone; what was trained is not lost
            events = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
            stop.request("nobody listens any more")

    def say(state: str, code: int, message: str, repair: str) -> None:
        end = {"event": "end", "state": state, "step": step[0], "message": message, "repair": repair}
        tell({**end, "exit": code})

    def end(state: str, code: int, message: str = "", repair: str = "") -> int:
        if first:
            with contextlib.suppress(CohortError):  # a full disk, which has been told as the first trouble
                folder.write_status(state, step[0], steps, message=message, exit=code)
            say(state, code, message, repair)
        return code

    alive: list[object] = []
    try:
        with StopFlag(folder.stop_path) as stop, folder.lock() if first else contextlib.nullcontext():
            if first:
                folder.forget_trouble(began)
            # torch is imported here, when signals are caught already
            from cohort_cli.training import guards, job

            try:
                loop = job.prepare(folder, stop, tell)
                alive.append(loop)
                state = loop.run()
                loop.processes.barrier()
                code = end(state, 0 if state == "done" else STOPPED)
            except StopAsked:
                code = end("stopped", STOPPED)
            except BaseException as error:  # a member's code may call sys.exit
                alive.append(error)
                trouble = job.explain(error, folder.parts()) or guards.understand(error, step[0])
                with contextlib.suppress(CohortError):
                    folder.write_error(rank, error, step[0])
                if trouble is None:
                    traceback.print_exc()
                    trouble = CohortError(
                        f"{type(error).__name__}: {error}", f"The whole error is in {folder.log_path}"
                    )
                    trouble.exit_code = 7
                code = end("failed", trouble.exit_code, trouble.message, trouble.repair)
    except CohortError as taken:  # the folder is another process's: its status is not ours to write
        say("refused", taken.exit_code, taken.message, taken.repair)
        code = taken.exit_code
    return code if "WORLD_SIZE" not in os.environ else leave_as_it_is(code)


def leave_as_it_is(code: int) -> int:
    """End this process without taking its objects apart.

    With torch 2.13, DDP's destructor waits for gloo's threads while it holds Python's lock, and they may wait for that
    lock. What had to be written is written.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
