"""A job: one run's folder, and on how much hardware, for how long, at which cost it may be trained.

    job = Job(run=folder.root, project="project3", preset="gpu1", resources=Resources(gpus=1), limits=Limits(hours=2))
    job_path(folder.root)      RUN/job.json, "cohort.job/1": written before anything is submitted
    keep(job);  read(run)

A job holds names of secrets, never their values. It is the same for every place.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from cohort_cli.errors import BrokenManifest, UsageError
from cohort_cli.manifest import WrongType, convert
from cohort_cli.training import disk

SCHEMA = "cohort.job/1"
FILE = "job.json"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")  # of a variable


class Resources(NamedTuple):
    """What each of `nodes` machines must have. 0 and "" leave it to the place."""

    nodes: int = 1
    gpus: int = 0  # per node; 0: the CPU
    gpu_types: tuple[str, ...] = ()  # in the order of preference, such as ("H100", "A100")
    processes: int = 0  # per node; 0: one for each GPU, and one on a CPU
    cpus: int = 0  # per node
    memory_gb: int = 0  # of the computer, not of the GPU
    disk_gb: int = 0
    spot: bool = False  # cheaper, and may be taken away at any time

    @property
    def processes_per_node(self) -> int:
        return self.processes or max(1, self.gpus)


class Limits(NamedTuple):
    walltime: int = 0  # seconds until the place ends the job; 0: the place's own limit
    grace: int = 120  # seconds before the end in which the state is saved
    idle_minutes: int = 10  # then a rented machine is given back
    max_usd_per_hour: float = 0.0  # 0: no cap
    max_stalls: int = 2  # restarts in a row without one more saved step


class Job(NamedTuple):
    run: str  # the run's folder, as the machines that train see it
    project: str
    preset: str
    resources: Resources = Resources()
    limits: Limits = Limits()
    env: tuple[tuple[str, str], ...] = ()  # (name, value), in the order of names; nothing secret
    secrets: tuple[str, ...] = ()  # names of variables whose values the place must bring
    setup: tuple[str, ...] = ()  # lines of shell before training, such as: module load cuda
    outputs: tuple[str, ...] = ("*",)  # what is fetched, as patterns below the run's folder
    resume: bool = False  # go on with what stands in the folder
    settings: tuple[
        str, ...
    ] = ()  # what --set changes of the preset, for places that plan before the folder is there

    @property
    def name(self) -> str:
        return Path(self.run).name


def check(job: Job) -> Job:
    """The same job. Raises UsageError for one that no place can run."""
    resources, limits = job.resources, job.limits
    for what, value, least in (
        ("--nodes", resources.nodes, 1),
        ("--gpus", resources.gpus, 0),
        ("--processes", resources.processes, 0),
    ):
        if value < least:
            raise UsageError(f"{what} is {value}.", f"{what} {least} or more.")
    if limits.walltime and limits.walltime <= limits.grace:
        raise UsageError(
            f"The job may run for {limits.walltime} s, and {limits.grace} s of them are for the last checkpoint.",
            "Give it more time: --walltime 1h",
        )
    for name in (*job.secrets, *(name for name, _ in job.env)):
        if not NAME.fullmatch(name):
            raise UsageError(f"{name!r} is no name for a variable.", "For example: --secret HF_TOKEN")
    if both := {name for name, _ in job.env} & set(job.secrets):
        raise UsageError(
            f"{min(both)} is a secret, so its value is not written down.", "Leave it out of --env."
        )
    return job


def to_dict(job: Job) -> dict[str, Any]:
    table = job._asdict()
    table["resources"], table["limits"] = job.resources._asdict(), job.limits._asdict()
    table["env"] = dict(job.env)
    return {"schema": SCHEMA, **table}


def text(job: Job) -> str:
    return json.dumps(to_dict(job), indent=1) + "\n"


def keep(job: Job, run: Path) -> None:
    """Write RUN/job.json, whole or not at all. `run`: the folder as this machine sees it."""
    disk.replace_bytes(run / FILE, text(check(job)).encode())


def read(run: Path) -> Job | None:
    """The job of a run; None for a run that was never sent anywhere. Raises BrokenManifest."""
    path = run / FILE
    if not path.is_file():
        return None
    try:
        table = json.loads(path.read_bytes())
        if table.pop("schema") != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA!r}")
        table["env"] = sorted(table["env"].items())
        table["resources"] = _record(Resources, table["resources"])
        table["limits"] = _record(Limits, table["limits"])
        for key in ("env", "secrets", "setup", "outputs", "settings"):
            table[key] = tuple(tuple(item) if isinstance(item, list) else item for item in table.get(key, ()))
        return check(Job(**table))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, WrongType) as error:
        raise BrokenManifest(
            f"{path} cannot be read: {error}.", "Send the run again: it is written anew."
        ) from None


def _record(cls: Any, given: dict[str, Any]) -> Any:
    types = get_type_hints(cls)
    return cls(**{key: convert(value, types[key]) for key, value in given.items()})
