"""Starts the processes of a job on this machine, and listens to them. No torch here.

One process is started as it is; several by torchrun, the only launcher of processes that there is. What they say on
standard output is a line of JSON per event; what they say on standard error goes into the run's log.txt.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

from cohort_cli.training.config import Config
from cohort_cli.training.runs import RunFolder
from cohort_cli.training.stop import PARENT

SHUTDOWN_SECONDS = 90  # for the last checkpoint, after a request to stop
SIGNALS = "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1,SIGUSR2"


def command(folder: RunFolder, processes: int) -> list[str]:
    """The command line that trains this folder."""
    worker = ["-m", "cohort_cli.training", str(folder.root)]
    if processes == 1:
        return [sys.executable, *worker]
    launcher = [
        sys.executable,
        "-m",
        "cohort_cli.training.torchrun",
        "--standalone",
        f"--nproc-per-node={processes}",
    ]
    launcher += ["--max-restarts=0", "--monitor-interval=0.5"]
    if sys.platform != "win32":
        launcher += [f"--shutdown-timeout={SHUTDOWN_SECONDS}", f"--signals-to-handle={SIGNALS}"]
    return [*launcher, *worker]


def environment(processes: int, threads: int = 0) -> dict[str, str]:
    """The variables of the processes: ours, and how many CPU threads each may use."""
    cores = os.cpu_count() or 1
    env = {**os.environ, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1", PARENT: str(os.getpid())}
    env["OMP_NUM_THREADS"] = str(threads or max(1, cores // processes))
    # Without this, processes that are started again read the addresses of those that died (torch 2.13).
    env["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    return env


def processes_for(config: Config, wanted: int) -> int:
    """As many as asked for; else one for each GPU, and one on a CPU."""
    if wanted:
        return wanted
    return max(1, gpus()) if config.hardware.device in ("auto", "cuda") else 1


def gpus() -> int:
    """How many GPUs of this machine a job may use."""
    if not shutil.which("nvidia-smi"):
        return 0
    listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=False)
    count = listed.stdout.count("GPU ")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")  # "" hides all of them
    return (
        count if visible is None else min(count, len([word for word in visible.split(",") if word.strip()]))
    )


@contextmanager
def started(
    folder: RunFolder, processes: int, threads: int = 0, words: Sequence[str] = ()
) -> Iterator[tuple[subprocess.Popen[str], Iterator[Any]]]:
    """The job's process and its events. If we are left in a hurry, it is asked to stop and given time to save.

    words: another command line than `command` has.
    """
    with folder.log_path.open("a", encoding="utf-8") as log:
        process = subprocess.Popen(
            words or command(folder, processes),
            env=environment(processes, threads),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        assert process.stdout is not None
        try:
            yield process, _events(process.stdout)
        finally:
            if process.poll() is None:
                folder.stop_path.touch()
                try:
                    process.wait(SHUTDOWN_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
            process.stdout.close()
            process.wait()


def _events(stream: IO[str]) -> Iterator[dict[str, Any]]:
    """The events among the lines; a library that prints does no harm."""
    for line in stream:
        if line.startswith("{"):
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and "event" in event:
                yield event
