"""Slurm: one rendered script, and Slurm's own commands on this machine or on a login node over ssh.

    place = Slurm(settings.slurm)
    place.check(job);  rendered = place.render(job);  handle = place.submit(job, rendered, folder)

The job asks for a signal in time, saves, and puts itself back into the queue until it is done: slurm_script.py. Over ssh
the run's folder is copied there and fetched back: slurm_copy.py.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path

from cohort_cli.errors import CohortError, EnvironmentTrouble
from cohort_cli.launching import slurm_script, verdict
from cohort_cli.launching.job import Job
from cohort_cli.launching.place import Found, Handle, Problem, Rendered, write_files
from cohort_cli.launching.settings import Slurm as Settings
from cohort_cli.launching.settings import read_settings

COMMANDS = ("sbatch", "squeue", "scontrol", "scancel", "sinfo", "srun")
WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT")
RUNNING = (
    "RUNNING",
    "CONFIGURING",
    "COMPLETING",
    "SUSPENDED",
    "SIGNALING",
    "STAGE_OUT",
    "STOPPED",
    "RESIZING",
)
ANSWER_SECONDS = 60.0
LOOK_SECONDS = 1.0  # between two looks at a job that is followed, or that is to end

REPAIRS = (  # what sbatch says -> what to do
    ("partition", "Name one that is there: sinfo -s"),
    ("node configuration", "Ask for fewer nodes, GPUs or CPUs of each: sinfo -o '%P %D %G %c'"),
    ("node count", "Ask for fewer nodes: sinfo -s"),
    ("account", "Name one of yours in places.toml: account = …"),
    ("qos", "Name one of yours in places.toml: qos = …"),
    ("time limit", "Ask for less: --walltime …, or another partition"),
    ("memory", "Ask for less memory of each node."),
    ("gres", "Ask for GPUs that are there: sinfo -o '%P %G'"),
    ("limit", "Wait until other jobs of yours have ended, or ask for less."),
)


class Refused(CohortError):
    """Slurm does not take the job."""

    exit_code = 7


class Slurm:
    name = "slurm"
    says = "a Slurm cluster, from its login node or over ssh; goes on after its time limit by itself"

    def __init__(self, settings: Settings | None = None, *, patience: float = 120.0) -> None:
        """patience: seconds for a job to save after it was asked to stop; then Slurm ends it."""
        self.settings = read_settings().slurm if settings is None else settings
        self.patience = patience
        self.host = self.settings.host
        if self.host and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.@:-]*", self.host):
            raise EnvironmentTrouble(
                f"{self.host!r} is no name of a machine.", 'In places.toml: host = "login.example.edu"'
            )

    @property
    def python(self) -> str:
        return self.settings.python or sys.executable

    # --- before ------------------------------------------------------------------------------------------

    def check(self, job: Job | None) -> list[Problem]:
        from cohort_cli.launching.slurm_check import problems

        return problems(self, job)

    def render(self, job: Job) -> Rendered:
        job = job._replace(run=self.folder(Path(job.run)))
        command = ("sbatch", "--parsable", f"{job.run}/{slurm_script.FILE}")
        script = slurm_script.script(job, self.settings, self.python)
        return Rendered({slurm_script.FILE: script}, self.there(command))

    # --- a job -------------------------------------------------------------------------------------------

    def submit(self, job: Job, rendered: Rendered, run: Path) -> Handle:
        write_files(rendered, run)
        for name in ("STOP", verdict.FILE):  # of an earlier time
            (run / name).unlink(missing_ok=True)
        if not self.host:
            done = self.run(("sbatch", "--parsable", str(run / slurm_script.FILE)))
        else:
            from cohort_cli.launching import slurm_copy

            done = slurm_copy.submit(self, job, run)
        if done.returncode:
            raise _refused(done.stderr or done.stdout)
        number = re.match(r"\d+", done.stdout.strip().rpartition("\n")[2])
        if number is None:
            raise Refused(
                f"sbatch answered {done.stdout.strip()!r}, which is no job.", "Look at: squeue --me"
            )
        return Handle(self.name, number[0], self.host, datetime.now(UTC).isoformat(timespec="seconds"))

    def status(self, handle: Handle) -> Found:
        """By squeue, then by scontrol, which remembers a job for some minutes. No accounting is needed."""
        done = self.run(("squeue", "--noheader", f"--jobs={handle.id}", "--format=%T|%N|%r"))
        if done.returncode and "Invalid job id" not in done.stderr:
            raise _no_answer(done.stderr)
        state, _, rest = done.stdout.strip().partition("|")
        nodes, _, reason = rest.partition("|")
        if state in WAITING or state in RUNNING:
            says = f"{state.lower()} on {nodes}" if nodes else f"{state.lower()}: {reason}"
            return Found("waiting" if state in WAITING else "running", says)
        shown = self.run(("scontrol", "show", "job", "--oneliner", handle.id)).stdout
        facts = dict(word.split("=", 1) for word in shown.split() if "=" in word)
        if "JobState" not in facts:
            return Found("gone", "Slurm no longer knows this job")
        if facts["JobState"] in (*WAITING, *RUNNING):  # between the two questions
            return Found("waiting" if facts["JobState"] in WAITING else "running", facts["JobState"].lower())
        reason = facts.get("Reason", "None")
        return Found("gone", facts["JobState"].lower() + ("" if reason == "None" else f": {reason}"))

    def cancel(self, handle: Handle, run: Path) -> None:
        """Ask it to save, and wait; what has not ended then, and what has not begun, Slurm ends."""
        there = self.folder(run)
        if self.host:
            self.run(("touch", f"{there}/STOP"))
        else:
            (run / "STOP").touch()
        end = time.monotonic() + self.patience
        while (found := self.status(handle)).state == "running" and time.monotonic() < end:
            time.sleep(LOOK_SECONDS)
        if found.state != "gone":
            done = self.run(("scancel", handle.id))
            if done.returncode and "Invalid job id" not in done.stderr:
                raise _no_answer(done.stderr)

    def logs(self, handle: Handle, run: Path, follow: bool) -> Iterator[str]:
        """What the script and the trainers said. `follow`: until the job is gone."""
        names, there = (slurm_script.OUTPUT, "log.txt"), self.folder(run)
        places, torn = dict.fromkeys(names, 0), dict.fromkeys(names, b"")
        while True:
            last = not follow or self.status(handle).state == "gone"
            for name in names:
                data = self._read(f"{there}/{name}", places[name])
                places[name] += len(data)
                *lines, torn[name] = (torn[name] + data).split(b"\n")
                yield from (line.decode("utf-8", "replace") for line in lines)
            if last:
                yield from (line.decode("utf-8", "replace") for line in torn.values() if line)
                return
            time.sleep(LOOK_SECONDS)

    def fetch(self, handle: Handle, job: Job, into: Path) -> list[str]:
        """Bring the run's folder here. On the login node itself it is here already."""
        from cohort_cli.launching import slurm_copy

        def wanted(name: str) -> bool:
            return any(fnmatch(name, pattern) for pattern in job.outputs)

        return (
            slurm_copy.fetch(self, into, wanted)
            if self.host
            else slurm_copy.copy(Path(job.run), into, wanted)
        )

    # --- Slurm's commands, wherever they are -------------------------------------------------------------

    def run(self, words: tuple[str, ...], given: str | None = None) -> subprocess.CompletedProcess[str]:
        """One command there. A program that is missing, or that does not answer, raises EnvironmentTrouble."""
        try:
            return subprocess.run(
                self.there(words), input=given, stdin=None if given is not None else subprocess.DEVNULL,
                capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=ANSWER_SECONDS,
                check=False,
            )  # fmt: skip
        except FileNotFoundError:
            raise no_slurm() from None
        except subprocess.TimeoutExpired:
            raise _no_answer(f"no answer in {ANSWER_SECONDS:.0f} seconds") from None

    def there(self, words: tuple[str, ...]) -> tuple[str, ...]:
        return (*SSH, self.host, shlex.join(words)) if self.host else words

    def folder(self, run: Path) -> str:
        """The run's folder as Slurm's side sees it."""
        return f"{self.settings.runs.rstrip('/')}/{run.name}" if self.host else str(run)

    def _read(self, path: str, place: int) -> bytes:
        if not self.host:
            try:
                with open(path, "rb") as file:
                    file.seek(place)
                    return file.read()
            except FileNotFoundError:
                return b""
        words = self.there(("tail", "-c", f"+{place + 1}", path))
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return done.stdout


# A password cannot be typed here, and nobody there may use our keys.
SSH = (
    "ssh",
    "-o",
    "BatchMode=yes",
    "-o",
    "ForwardAgent=no",
    "-o",
    "ForwardX11=no",
    "-o",
    "ConnectTimeout=15",
)


def no_slurm() -> EnvironmentTrouble:
    return EnvironmentTrouble(
        "There is no Slurm on this machine: sbatch is not on the PATH.",
        'Run this on the cluster\'s login node, or name it in places.toml: [slurm] host = "…"',
    )


def _no_answer(said: str) -> EnvironmentTrouble:
    return EnvironmentTrouble(
        f"Slurm does not answer: {said.strip() or 'nothing was said'}",
        "Look at it there: sinfo; scontrol ping",
    )


def _refused(said: str) -> CohortError:
    said = " ".join(
        line.removeprefix("sbatch: ").removeprefix("error: ") for line in said.strip().splitlines()
    )
    if re.search(r"Unable to contact|Connection (refused|timed out)", said):
        return _no_answer(said)
    repair = next(
        (repair for word, repair in REPAIRS if word in said.lower()), "See: cohort doctor --on slurm"
    )
    return Refused(f"Slurm does not take the job: {said}", repair)
