"""A small fork server for these tests: each request is a script that runs in a fresh child, inside the
sandbox.

One JSON object per line on standard input, one per line on standard output. The script leaves what it found
out in `answer`. pytest's own process is not forked: it has threads.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch

from cohort_cli.checking import sandbox

KIT_ROOT = Path(__file__).resolve().parents[3]
PATIENCE_SECONDS = 60.0  # a guard against hanging only


def main() -> None:
    torch.set_num_threads(1)
    prepared: dict[str, sandbox.Prepared] = {}
    for line in sys.stdin:
        request = json.loads(line)
        level = request["level"]
        if level not in prepared:
            prepared[level] = sandbox.prepare(level, KIT_ROOT)
        print(json.dumps(_run(request, prepared[level])), flush=True)


def _run(request: dict[str, Any], prepared: sandbox.Prepared) -> dict[str, Any]:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _child(request, prepared, writing)
    os.close(writing)
    text, end = b"", time.monotonic() + PATIENCE_SECONDS
    while select.select([reading], [], [], max(0.0, end - time.monotonic()))[0]:
        chunk = os.read(reading, 1 << 16)
        if not chunk:
            break
        text += chunk
    os.close(reading)
    os.kill(pid, signal.SIGKILL) if time.monotonic() >= end else None
    _, status = os.waitpid(pid, 0)
    answer = json.loads(text) if text else {}
    return {**answer, "status": os.waitstatus_to_exitcode(status)}


def _child(request: dict[str, Any], prepared: sandbox.Prepared, writing: int) -> None:
    answer: dict[str, Any] = {}
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDWR), 1)  # what the script prints is no answer
        if request["uid"]:
            os.setgroups([])
            os.setgid(request["uid"])
            os.setuid(request["uid"])
        room = sandbox.Room(
            Path(request["work"]),
            Path(request["scratch"]),
            tuple(Path(folder) for folder in request["hidden"]),
        )
        if not request["names"].get("hook", True):  # what the kernel alone refuses
            sandbox.audit.install = lambda *_: None  # type: ignore[assignment]
        answer["level"] = sandbox.enter(prepared, room, sandbox.Limits(**request["limits"]))
        names: dict[str, Any] = {"answer": None, **request["names"]}
        exec(request["script"], names)
        answer["answer"] = names["answer"]
    except BaseException as error:
        answer["error"] = type(error).__name__
        answer["message"] = str(error)
        answer["errno"] = getattr(error, "errno", None)
    finally:
        os.write(writing, json.dumps(answer).encode())
        os._exit(0)


if __name__ == "__main__":
    main()
