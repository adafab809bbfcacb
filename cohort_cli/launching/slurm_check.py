"""What stands in the way of a job on this Slurm, each with its repair. Asked before anything is written or sent.

One line per question: Slurm's programs, the partition and what its nodes have, the account, Python with this kit, the
folder for runs, room on its disk, time for one checkpoint. What only Slurm itself knows (quotas, reservations) it says
when the job is sent, and then nothing of the job stays.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from cohort_cli import __version__
from cohort_cli.errors import CohortError, EnvironmentTrouble
from cohort_cli.launching.job import Job
from cohort_cli.launching.place import Problem
from cohort_cli.launching.slurm_nodes import FORMAT, Nodes, hardware, read_nodes
from cohort_cli.launching.slurm_script import clock
from cohort_cli.manifest import did_you_mean
from cohort_cli.training import guards

if TYPE_CHECKING:
    from cohort_cli.launching.slurm import Slurm
    from cohort_cli.training.plan import Plan

_TRY_FOLDER = """\
mkdir -p "$0" && file=$(mktemp "$0/.cohort-XXXXXX") && rm "$file" && stat --file-system --format=%T "$0" && hostname -s
"""
# File systems of one machine alone, as `stat --file-system` names them
OWN = ("tmpfs", "ext2/ext3", "ext4", "xfs", "btrfs", "overlayfs", "zfs", "ramfs")


def problems(place: Slurm, job: Job | None) -> list[Problem]:
    if nothing := _no_programs(place):
        return [nothing]
    done = place.run(("sinfo", "--noheader", FORMAT))
    if done.returncode:
        return [Problem(f"Slurm does not answer: {done.stderr.strip()}", "Look at it there: scontrol ping")]
    found = _partition(place, read_nodes(done.stdout))
    nodes = found if isinstance(found, list) else []
    trouble = [] if isinstance(found, list) else [found]
    trouble += [*_account(place), *_python(place), *_folder(place, job)]
    if job is not None:
        missing = [name for name in job.secrets if not os.environ.get(name)]
        trouble += [Problem(f"{name} has no value here.", f"export {name}=…") for name in missing]
        trouble += [*hardware(job, nodes), *_time_and_room(place, job)]
    return trouble


def _no_programs(place: Slurm) -> Problem | None:
    from cohort_cli.launching.slurm import COMMANDS, no_slurm

    if not place.host:
        if all(map(shutil.which, COMMANDS)):
            return None
        trouble = no_slurm()
        return Problem(trouble.message, trouble.repair)
    if shutil.which("ssh") is None:
        return Problem("There is no ssh on this machine.", "Install OpenSSH's client.")
    try:
        done = place.run(("sh", "-c", f"for name in {' '.join(COMMANDS)}; do command -v $name; done | wc -l"))
    except EnvironmentTrouble as trouble:
        return Problem(f"{place.host}: {trouble.message}", f"Try it by hand: ssh {place.host}")
    if done.returncode:
        return Problem(
            f"ssh {place.host} fails: {done.stderr.strip()}",
            f"It must work without a password: ssh-copy-id {place.host}",
        )
    if int(done.stdout.split()[-1]) < len(COMMANDS):
        return Problem(f"There is no Slurm on {place.host}.", "Name the cluster's login node in places.toml.")
    return None


def _partition(place: Slurm, nodes: list[Nodes]) -> list[Nodes] | Problem:
    """The nodes of the job's partition."""
    wanted = place.settings.partition
    if not wanted:
        usual = [entry for entry in nodes if entry.usual]
        names = ", ".join(sorted({entry.partition for entry in nodes}))
        return usual or Problem(
            "This Slurm has no default partition.", f"In places.toml: partition = …    It has: {names}"
        )
    found = [entry for entry in nodes if entry.partition == wanted]
    if not found:
        known = sorted({entry.partition for entry in nodes})
        return Problem(f"This Slurm has no partition {wanted!r}.", did_you_mean(wanted, known))
    if not found[0].up:
        return Problem(
            f"The partition {wanted} takes no jobs now.", "Name another one in places.toml, or wait."
        )
    return found


def _account(place: Slurm) -> list[Problem]:
    """Whether the account is one of ours, where Slurm keeps accounts at all."""
    wanted = place.settings.account
    if not wanted:
        return []
    words = "sacctmgr --noheader --parsable2 show associations user=$(id -un) format=account"
    done = place.run(("sh", "-c", words))
    names = sorted(set(done.stdout.split()))
    if done.returncode or not names or wanted in names:
        return []
    return [Problem(f"You have no account {wanted!r} on this Slurm.", did_you_mean(wanted, names))]


def _python(place: Slurm) -> list[Problem]:
    if place.host and not place.settings.python:
        return [
            Problem(
                "Which Python trains there is not written down.", 'In places.toml: python = "/…/bin/python"'
            )
        ]
    try:
        done = place.run((place.python, "-c", "import cohort_cli; print(cohort_cli.__version__)"))
    except EnvironmentTrouble:
        return [Problem(f"There is no {place.python}.", 'In places.toml: python = "/…/bin/python"')]
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        return [
            Problem(
                f"{place.python} does not have the kit: {said}", f"Install it there: {place.python} -m pip …"
            )
        ]
    if (version := done.stdout.strip()) != __version__:
        return [
            Problem(
                f"{place.python} has the kit {version}; this one is {__version__}.", "Install the same there."
            )
        ]
    return []


def _folder(place: Slurm, job: Job | None) -> list[Problem]:
    """The folder for runs: there, ours to write to, and on a disk that the nodes see."""
    home = place.settings.runs or (str(Path(job.run).parent) if job is not None else "")
    if place.host and not place.settings.runs:
        return [
            Problem(
                "Where runs are kept there is not written down.", 'In places.toml: runs = "/scratch/…/runs"'
            )
        ]
    if not home:
        return []
    home = home if place.host else str(_existing(Path(home)))
    done = place.run(("sh", "-c", _TRY_FOLDER, home))
    answer = done.stdout.split()
    if len(answer) < 2:
        return [
            Problem(f"Nothing can be written to {home}: {done.stderr.strip()}", "Name another one: runs = …")
        ]
    kind, here = answer[0], answer[1]
    nodes = place.run(("sinfo", "--noheader", "--format=%n")).stdout.split()
    if kind in OWN and {name.partition(".")[0] for name in nodes} - {here}:
        return [
            Problem(
                f"{home} is on a disk of this machine alone ({kind}), which the nodes do not see.",
                'Name a folder that they share, in places.toml: runs = "/scratch/…/runs"',
            )
        ]
    return []


def _time_and_room(place: Slurm, job: Job) -> list[Problem]:
    """By the plan of this job: time for one checkpoint, and room for those that are kept."""
    plan = _plan(job)
    if plan is None:
        return []
    found = []
    every, steps = plan.config.run.checkpoint_every, plan.config.schedule.steps
    interval = plan.seconds / steps * min(every, steps)
    if job.limits.walltime and job.limits.walltime < interval:
        found.append(
            Problem(
                f"The job may run for {clock(job.limits.walltime)}, and a checkpoint comes every {every} steps, "
                f"after about {clock(int(interval))} on {plan.machine.name}.",
                "Give it more time (--walltime), or save more often: --set run.checkpoint_every=…",
            )
        )
    wanted = plan.checkpoint_bytes * plan.checkpoints
    home = place.settings.runs if place.host else str(_existing(Path(job.run)))
    done = place.run(("df", "-Pk", home))
    with contextlib.suppress(IndexError, ValueError):
        free = 1024 * int(done.stdout.splitlines()[1].split()[3])
        if free < wanted:
            found.append(
                Problem(
                    f"{home} has {guards.size(free)} left; {plan.checkpoints} checkpoints need {guards.size(wanted)}.",
                    "Make room there: cohort runs prune    or name another folder in places.toml: runs = …",
                )
            )
    return found


def _plan(job: Job) -> Plan | None:
    """None where it cannot be made: for a preset that is not here, or a batch that so many cannot share."""
    from cohort_cli.catalog import find_project
    from cohort_cli.training import gpus, machines
    from cohort_cli.training import plan as plans
    from cohort_cli.training.config import apply_settings, load_preset
    from cohort_cli.training.presets import preset_path
    from cohort_cli.training.runs import RunFolder

    resources = job.resources
    try:
        if (Path(job.run) / "config.json").is_file():
            config = apply_settings(RunFolder.open(Path(job.run)).config(), list(job.settings))
        else:
            config = load_preset(preset_path(find_project(job.project), job.preset), list(job.settings))
        kind = machines.CPU
        if resources.gpus:  # of an unknown kind, the fastest is a lower bound for the time
            named = resources.gpu_types[0].lower() if resources.gpu_types else ""
            kind = named if named in gpus.GPUS else "h100"
        count = resources.nodes * resources.processes_per_node
        return plans.make(config, machines.machine_for(config, kind, count))
    except CohortError:
        return None


def _existing(path: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())
