"""What the nodes of a Slurm partition have, as `sinfo` lists them, and whether they can ever hold a job."""

from __future__ import annotations

import re
from typing import NamedTuple

from cohort_cli.launching.job import Job
from cohort_cli.launching.place import Problem
from cohort_cli.launching.slurm_script import clock, cpus
from cohort_cli.manifest import did_you_mean

FORMAT = "--format=%P|%a|%l|%D|%G|%c|%m"


class Nodes(NamedTuple):
    """Nodes of one kind in a partition, as sinfo lists them."""

    partition: str
    usual: bool  # whether jobs that name no partition go there
    up: bool
    limit: int  # seconds; 0: none
    number: int  # of nodes
    gpus: dict[str, int]  # type -> how many in each node
    cpus: int
    memory: int  # MB


def read_nodes(text: str) -> list[Nodes]:
    found = []
    for line in text.splitlines():
        words = line.split("|")
        if len(words) != FORMAT.count("|") + 1:
            continue
        name, state, limit, count, gres, cores, memory = words
        gpus: dict[str, int] = {}
        for match in re.finditer(r"gpu:(?:([^:,()]+):)?(\d+)", gres):
            gpus[match[1] or ""] = gpus.get(match[1] or "", 0) + int(match[2])
        numbers = [int(re.sub(r"\D", "", word) or "0") for word in (count, cores, memory)]
        found.append(
            Nodes(
                name.rstrip("*"),
                name.endswith("*"),
                state == "up",
                seconds(limit),
                numbers[0],
                gpus,
                *numbers[1:],
            )
        )
    return found


def seconds(limit: str) -> int:
    """Slurm's [days-]hours:minutes:seconds; 0 for none."""
    days, _, rest = limit.rpartition("-")
    parts = rest.split(":")
    if not all(part.isdecimal() for part in parts):
        return 0
    total = 0
    for part in parts:
        total = total * 60 + int(part)
    return total + 86_400 * int(days or 0)


def hardware(job: Job, nodes: list[Nodes]) -> list[Problem]:
    """Whether the partition can ever give what the job asks for."""
    if not nodes:
        return []
    resources, limits, found = job.resources, job.limits, []
    name = nodes[0].partition
    fit = nodes
    if resources.gpus:
        kind = resources.gpu_types[0] if resources.gpu_types else ""
        most = max(sum(entry.gpus.values()) for entry in nodes)
        types = sorted({known for entry in nodes for known in entry.gpus if known})
        if kind and kind not in types:
            return [Problem(f"The partition {name} has no GPU of type {kind!r}.", did_you_mean(kind, types))]
        fit = [e for e in fit if (e.gpus.get(kind, 0) if kind else sum(e.gpus.values())) >= resources.gpus]
        if not fit:
            return [
                Problem(
                    f"No node of {name} has {resources.gpus} GPUs; the most is {most}.",
                    f"--gpus {most} and more nodes." if most else "Name another partition in places.toml.",
                )
            ]
    fit = [e for e in fit if e.cpus >= cpus(job) and e.memory >= resources.memory_gb * 1024]
    if not fit:
        return [
            Problem(f"No node of {name} has {cpus(job)} CPUs and {resources.memory_gb} GB.", "Ask for less.")
        ]
    if (there := sum(entry.number for entry in fit)) < resources.nodes:
        what = f"{resources.nodes} nodes of {name} are asked for, and it has {there} like that."
        found.append(Problem(what, f"--nodes {there}"))
    limit = nodes[0].limit
    if limit and limits.walltime > limit:
        what = f"A job in {name} may run for {clock(limit)}, and {clock(limits.walltime)} are asked for."
        found.append(Problem(what, f"--walltime {limit // 60}m    It goes on by itself after that."))
    return found
