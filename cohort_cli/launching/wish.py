"""What somebody typed about where a job is to run, and the job that follows from it.

wish = Wish(place="slurm", gpus=2, walltime="2h", env=("A=B",))
job = job_of(wish, run, project="project3", preset="gpu1")      raises UsageError for what no place can do
"""

from __future__ import annotations

import re
from typing import NamedTuple

from cohort_cli.errors import UsageError
from cohort_cli.launching.job import Job, Limits, Resources, check

UNITS = {"d": 86_400, "h": 3_600, "m": 60, "min": 60, "s": 1}
_TIME = re.compile(r"(?:(\d+(?:\.\d+)?)(d|h|min|m|s))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(d|h|min|m|s)")


class Wish(NamedTuple):
    place: str = ""
    nodes: int = 1
    gpus: int = 0
    gpu_types: tuple[str, ...] = ()
    walltime: str = ""
    max_usd_per_hour: float = 0.0
    spot: bool = False
    env: tuple[str, ...] = ()  # "A=B"
    secrets: tuple[str, ...] = ()
    max_stalls: int = Limits().max_stalls
    processes: int = 0
    dry_run: bool = False
    detach: bool = False


OPTIONS = {"gpu_types": "--gpu-type", "secrets": "--secret"}


def refuse_without_place(wish: Wish) -> None:
    """Raise UsageError for an option that means something only with --on. --processes is older than --on."""
    default = Wish(processes=wish.processes)
    for field, value in wish._asdict().items():
        if not wish.place and value != getattr(default, field):
            option = OPTIONS.get(field, "--" + field.replace("_", "-"))
            raise UsageError(
                f"{option} says how a job is sent, and no place is named.", f"{option} … --on here"
            )


def job_of(wish: Wish, run: str, project: str, preset: str, *, resume: bool = False) -> Job:
    if wish.detach and wish.place != "here":
        raise UsageError(
            f"--detach is for this machine; --on {wish.place} never waits.",
            "Leave out --detach, or: --on here",
        )
    resources = Resources(
        nodes=wish.nodes, gpus=wish.gpus, gpu_types=wish.gpu_types, processes=wish.processes, spot=wish.spot
    )
    limits = Limits(max_usd_per_hour=wish.max_usd_per_hour, max_stalls=wish.max_stalls)
    if wish.walltime:
        limits = limits._replace(walltime=seconds(wish.walltime))
    return check(
        Job(
            run=run,
            project=project,
            preset=preset,
            resources=resources,
            limits=limits,
            env=tuple(sorted(map(_variable, wish.env))),
            secrets=tuple(sorted(set(wish.secrets))),
            resume=resume,
        )
    )


def seconds(text: str) -> int:
    """ "2h", "1h30m", "1.5h", "90m", "2d" """
    words = text.replace(" ", "").lower()
    if not _TIME.fullmatch(words):
        raise UsageError(f"--walltime {text!r} is no time.", "For example: --walltime 2h, 90m or 1d12h")
    total = round(sum(float(number) * UNITS[unit] for number, unit in _PART.findall(words)))
    if not 0 < total <= 366 * UNITS["d"]:
        raise UsageError(
            f"--walltime {text!r} is not between a second and a year.", "For example: --walltime 2h"
        )
    return total


def _variable(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found:
        raise UsageError(
            f"--env {text!r} has no value.",
            "--env NAME=VALUE, or --secret NAME to take it from here in silence",
        )
    if any(character in value for character in "\0\r\n"):
        raise UsageError(f"--env {name}: its value has a line break in it.", "One line: --env NAME=VALUE")
    return name, value
