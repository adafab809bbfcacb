"""The shell that trains on a machine of somebody else's: it begins in a folder that has what was sent along.

Shared by SkyPilot and Hugging Face. bash on Linux, GNU tar, coreutils. Three promises:

- What stands in the run's folder there already (checkpoints, a status) is never overwritten by what was sent; only
  config.json is, since `--resume --set …` changes it here.
- The job asks itself to save, `grace` seconds before its walltime is over, and is killed when it is over.
- Nothing secret is in the text: secrets come as variables, from the place.
"""

from __future__ import annotations

import shlex

from cohort_cli.launching.job import Job
from cohort_cli.training.launch import SIGNALS

HOST_LINES = (
    "export PYTHONUTF8=1 PYTHONUNBUFFERED=1 TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1",
    'export OMP_NUM_THREADS="${{OMP_NUM_THREADS:-$(( ($(nproc) + {processes} - 1) / {processes} ))}}"',
)
# How the run ended stands in its folder. That it stopped when it was asked to is no failure for the place.
END = ("code=$?", '[ "$code" = 75 ] && code=0', 'exit "$code"')


def host_lines(job: Job) -> list[str]:
    """Variables of the trainer, and the member's own lines before it."""
    processes = job.resources.processes_per_node
    return [*(line.format(processes=processes) for line in HOST_LINES), *job.setup]


def place_lines() -> list[str]:
    """Put what was sent (the current folder) into $RUN."""
    return [
        'mkdir -p "$RUN"',
        'tar -cf - . | tar -xmf - --no-same-owner --skip-old-files -C "$RUN"',
        'cp config.json "$RUN/.config.json" && mv -f "$RUN/.config.json" "$RUN/config.json"',
    ]


def train_lines(job: Job, launcher: list[str]) -> list[str]:
    """The trainer under its time limit. `launcher`: words of torchrun, for the shell; [] for one process alone.

    SECONDS is bash's: since the script began. The limit counts from there, so that installing is part of it.
    """
    limits = job.limits
    words = ['"$PYTHON"', *launcher, "-m", "cohort_cli.training", '"$RUN"']
    command = " ".join(words)
    if not limits.walltime:
        return [command]
    return [
        f"left=$(({limits.walltime - limits.grace} - SECONDS)); [ $left -gt 0 ] || left=1",
        f"timeout --signal=TERM --kill-after={limits.grace} $left \\",
        f"  {command}",
    ]


def torchrun(job: Job, *, nodes: list[str]) -> list[str]:
    """Words of torchrun. `nodes`: how its machines find each other, or --standalone."""
    return [
        "-m torch.distributed.run",
        *nodes,
        f"--nproc-per-node={job.resources.processes_per_node}",
        "--max-restarts=0",
        f"--shutdown-timeout={max(1, job.limits.grace - 10)}",
        f"--signals-to-handle={SIGNALS}",
    ]


def quoted(text: str) -> str:
    return shlex.quote(text)
