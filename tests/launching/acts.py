"""Stands in for torchrun and its trainers, without torch: does what RUN/acts.json says, one entry for each start.

{"save": 5}                       a whole checkpoint of step 5
{"errors": {"1": ["ValueError", "no"]}}   what processes write before they die
{"end": "done", "exit": 0}        the last event and the status; left out: no word
{"wait": true}                    until somebody asks it to stop
{"begin": false}                  it ends before training begins
{"code": -9}                      how the process ends: a number, or killed
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from cohort_cli.training import disk, kept, seal
from cohort_cli.training.runs import RunFolder
from cohort_cli.training.stop import StopFlag, die_with_parent


def tell(**event: Any) -> None:
    print(json.dumps(event), flush=True)


def save(folder: RunFolder, step: int) -> None:
    target = folder.checkpoints / f"step-{step:08d}"
    disk.make_folders(target)
    (target / "model.bin").write_bytes(b"weights")
    seal.close(target, kept.SCHEMA, {"step": step, "is_best": False})


def main() -> int:
    began = time.time()
    die_with_parent()
    folder = RunFolder.open(Path(sys.argv[1]))
    with StopFlag(folder.stop_path) as stop, folder.lock():
        folder.forget_trouble(began)
        starts = folder.root / "starts"
        number = len(starts.read_text(encoding="ascii")) if starts.exists() else 0
        starts.write_text("+" * (number + 1), encoding="ascii")
        act = json.loads((folder.root / "acts.json").read_bytes())[number]
        step = act.get("save", 0)
        if act.get("begin", True):
            tell(event="start", title="acts", parameters=1, device="none", precision="float32", steps=9, step=step,
                 run=str(folder.root), notes=[])  # fmt: skip
            folder.write_status("running", step, 9)
        if step:
            save(folder, step)
        while act.get("wait") and not stop.requested():
            time.sleep(0.02)
            if time.time() > began + 30:
                act |= {"end": "done", "exit": 0}
                break
        for rank, (kind, message) in act.get("errors", {}).items():
            folder.write_error(int(rank), type(kind, (Exception,), {})(message), step)
        if state := act.get("end"):
            message = act.get("message", "")
            folder.write_status(state, step, 9, message=message, exit=act["exit"])
            tell(event="end", state=state, step=step, message=message, repair="", exit=act["exit"])
        if act.get("code", 0) < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return int(act.get("code", 0))


if __name__ == "__main__":
    sys.exit(main())
