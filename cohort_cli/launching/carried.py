"""What goes along to a machine that sees none of this one's folders: the run's folder with the member's code in it.

    require_portable(run)     refuses a run that needs other files of this machine
    packed(run, place)        the folder as text, for places that take no files

There the kit is installed anew: `kit` of places.toml says how, and it must name one version, as other bits would be
trained with another one. `install_problem` asks for that.
"""

from __future__ import annotations

import base64
import gzip
import io
import os
import re
import tarfile
from pathlib import Path

from cohort_cli.errors import UsageError
from cohort_cli.launching.job import Job
from cohort_cli.launching.place import Problem, read_handle
from cohort_cli.launching.programs import JobTrouble
from cohort_cli.training.runs import RunFolder

UV = "0.13.9"  # brings Python where the machine has none that is new enough
PYTHON = "3.12"
LIMIT = 256_000  # bytes of the packed folder; it is sent as a variable
EXAMPLE = "cohort-kit[train] @ git+https://git.example.org/our-group/kit@v0.1.0"
_PINNED = re.compile(r"==\s*[\w.!+]+$|\.whl$|\.(zip|tar\.gz)$|git\+\S+@[\w.-]+$")
OURS = ("job.json", "submitted.json", "lock.json", "STOP")  # of this machine: never sent, never fetched
STAYS = ("checkpoints", *OURS, "evaluations", "report.html", "log.txt", ".skyignore")
_WHEN = (
    1_000_000_000  # of every packed file: the same folder is the same text. A zip file knows none before 1980
)


def install_problem(kit: str, section: str) -> list[Problem]:
    """What is missing in places.toml before another machine can install the kit."""
    repair = f"in places.toml, under [{section}]: kit = {EXAMPLE!r}".replace("'", '"')
    if not kit:
        return [Problem("Nothing says how the kit is installed on that machine.", repair)]
    if not _PINNED.search(kit):
        return [Problem(f"kit = {kit!r} names no version, so nobody knows what will be trained.", repair)]
    return []


def secret_problems(job: Job) -> list[Problem]:
    """The secrets that a job names and this shell does not have."""
    return [
        Problem(f"The secret {name} is not set here.", f"export {name}=…    its value is only passed on")
        for name in job.secrets
        if not os.environ.get(name)
    ]


def fetched(run: Path) -> list[str]:
    """The names of what is in a run's folder now. Raises JobTrouble if that is no run."""
    if not (run / "status.json").is_file():
        raise JobTrouble(f"What came back is no run: {run} has no status.json.", "Was the job ever running?")
    return sorted(path.name for path in run.iterdir())


def require_portable(run: Path) -> None:
    """Raises UsageError if the run needs files that only this machine has. Copies the member's code into it."""
    folder = RunFolder.open(run)
    data = folder.config().data
    if data.tokenizer not in ("gpt2", "characters"):
        raise UsageError(
            f"data.tokenizer is {data.tokenizer!r}, a file that the other machine does not have.",
            "Train it with --on here or --on slurm, or with --set data.tokenizer=gpt2",
        )
    if Path(data.source).is_file():
        raise UsageError(
            f"data.source is {data.source}, which the other machine does not have.",
            "Put it on the hub and use --set data.source=hf:OWNER/NAME, or train with --on here or --on slurm.",
        )
    folder.carry_parts()


def packed(run: Path, its_place: str) -> str:
    """The run's folder as a tar.gz in base64. Raises UsageError if it is too large.

    its_place: who keeps the checkpoints of an earlier part of this run already, so that they stay here.
    """
    handle = read_handle(run)
    stays = STAYS if handle is not None and handle.place == its_place else STAYS[1:]
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=_WHEN) as zipped, tarfile.open(
        fileobj=zipped, mode="w"
    ) as tar:  # fmt: skip
        for path in sorted(run.rglob("*")):
            name = path.relative_to(run)
            if not path.is_file() or name.parts[0] in stays or name.parts[0].startswith("."):
                continue
            entry = tarfile.TarInfo(name.as_posix())
            entry.size, entry.mode, entry.mtime = path.stat().st_size, 0o644, _WHEN
            with path.open("rb") as file:
                tar.addfile(entry, file)
            if buffer.tell() > LIMIT:
                break
    if len(buffer.getvalue()) > LIMIT:
        raise UsageError(
            f"{run.name} is too large to be sent along: more than {LIMIT // 1000} kB, packed.",
            "A run that begins with a checkpoint of this machine: --on here, slurm or sky.",
        )
    return base64.b64encode(buffer.getvalue()).decode()
