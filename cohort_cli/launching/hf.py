"""Hugging Face Jobs: one machine of theirs for one job, with a time limit that nothing passes.

The program `hf` (it comes with the library huggingface_hub) takes an image, a command and a flavor of machine. A job
takes no files, so the run's folder goes along packed, in a variable (.hf.env, written when the job is sent); there it
is unpacked into a bucket that is mounted, and what the job saves survives it. The time limit counts from the start,
installation too, and the trainer is asked to save before it is over.

Source: https://huggingface.co/docs/huggingface_hub/guides/jobs, and the program's own help (huggingface_hub 2.4).
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cohort_cli.errors import UsageError
from cohort_cli.launching import carried, programs, remote
from cohort_cli.launching import job as jobs
from cohort_cli.launching.job import Job
from cohort_cli.launching.place import Found, Handle, Problem, Rendered, write_files
from cohort_cli.launching.settings import HuggingFace as Settings
from cohort_cli.launching.settings import read_settings
from cohort_cli.prose import clean
from cohort_cli.training import disk

FILE = "hf.sh"
GIVEN = ".hf.env"  # hidden, so that it is never packed itself
IMAGE = "python:3.12"  # has git; torch brings the CUDA libraries, the machine its driver
MOUNTED = "/cohort"
INSTALL = 'uv tool install "huggingface_hub==2.4.0"'
UNPACK = 'mkdir /given && cd /given && printf %s "$COHORT_GIVEN" | base64 -d | tar -xz && unset COHORT_GIVEN && bash '
ASK_SECONDS = 60.0
POLL_SECONDS = 5.0
# (GPU, how many) -> flavor, of `hf jobs hardware`
FLAVORS = {
    ("t4", 1): "t4-small", ("l4", 1): "l4x1", ("l4", 4): "l4x4",
    ("l40s", 1): "l40sx1", ("l40s", 4): "l40sx4", ("l40s", 8): "l40sx8",
    ("a10", 1): "a10g-small", ("a10", 2): "a10g-largex2", ("a10", 4): "a10g-largex4",
    ("a100", 1): "a100-large", ("a100", 4): "a100x4", ("a100", 8): "a100x8",
    ("h200", 1): "h200", ("h200", 2): "h200x2", ("h200", 4): "h200x4", ("h200", 8): "h200x8",
}  # fmt: skip
CPU = "cpu-upgrade"
STAGES = {"SCHEDULING": "waiting", "RUNNING": "running"}  # every other one is an end


class Hf:
    name = "hf"
    says = "one machine of Hugging Face Jobs, with a hard time limit"

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = read_settings().hf if settings is None else settings

    # --- before it runs ----------------------------------------------------------------------------------

    def check(self, job: Job | None) -> list[Problem]:
        problems = carried.install_problem(self.settings.kit, "hf")
        if not self.settings.bucket:
            problems.append(
                Problem(
                    "No bucket is named, and what the run saves would go with the machine.",
                    'hf buckets create runs    then in places.toml, under [hf]: bucket = "YOUR-NAME/runs"',
                )
            )
        if job is not None:
            self.flavor(job)
            if not job.limits.walltime:
                problems.append(Problem("A rented machine is paid for until the job ends.", "--walltime 2h"))
            problems += carried.secret_problems(job)
        if programs.find("hf") is None:
            return [*problems, Problem("The program hf (huggingface_hub) is not installed.", INSTALL)]
        if trouble := self._token():
            return [*problems, trouble]
        return problems + (self._price(job) if job is not None else [])

    def _token(self) -> Problem | None:
        ended = programs.run("hf", ["auth", "whoami"], timeout=ASK_SECONDS)
        if ended.returncode == 0:
            return None
        says = programs.plain(ended.stderr + ended.stdout)
        if "Not logged in" in says or "Invalid user token" in says or "401" in says:
            return Problem("hf has no token of yours, or it is not valid.", "hf auth login")
        said = [line for line in says.splitlines() if "Error" in line] or [
            f"it ended with {ended.returncode}"
        ]
        return Problem(f"hf could not ask Hugging Face: {clean(said[0])}", "hf auth whoami")

    def _price(self, job: Job) -> list[Problem]:
        """Whether the flavor costs more per hour than the cap. Hugging Face says what it costs."""
        cap, flavor = job.limits.max_usd_per_hour, self.flavor(job)
        if not cap:
            return []
        ended = programs.run("hf", ["jobs", "hardware", "--format", "json"], timeout=ASK_SECONDS)
        for row in _json(ended.stdout) or []:
            if row.get("name") == flavor and (price := _per_hour(row)) is not None:
                if price <= cap:
                    return []
                return [
                    Problem(
                        f"{flavor} costs {price:.2f} USD per hour, more than {cap:.2f}.", "hf jobs hardware"
                    )
                ]
        return [
            Problem(
                f"What {flavor} costs per hour is not known.", "hf jobs hardware, or no --max-usd-per-hour"
            )
        ]

    def flavor(self, job: Job) -> str:
        """Raises UsageError for what no flavor is."""
        resources = job.resources
        if resources.nodes > 1:
            raise UsageError(
                "A job of Hugging Face has one machine.", "--nodes 1, or --on sky, or --on slurm"
            )
        if self.settings.flavor:
            return self.settings.flavor
        if not resources.gpus:
            return CPU
        for kind in resources.gpu_types:
            if flavor := FLAVORS.get((kind.lower(), resources.gpus)):
                return flavor
        known = ", ".join(f"{count} x {kind}" for kind, count in FLAVORS)
        asked = " or ".join(resources.gpu_types) or "GPU of any kind"
        raise UsageError(
            f"Hugging Face has no machine with {resources.gpus} x {asked}.",
            f"--gpus and --gpu-type for one of: {known}",
        )

    def render(self, job: Job) -> Rendered:
        words = ["hf", "jobs", "run", "--detach", "--quiet", "--flavor", self.flavor(job)]
        words += ["--timeout", f"{job.limits.walltime}s"] if job.limits.walltime else []
        words += ["--namespace", self.settings.namespace] if self.settings.namespace else []
        words += ["--name", job.name, "--volume", f"hf://buckets/{self.settings.bucket}:{MOUNTED}"]
        for name, value in job.env:
            words += ["--env", f"{name}={value}"]
        for name in job.secrets:
            words += ["--secrets", name]  # hf takes the value from its environment
        words += ["--env-file", GIVEN, IMAGE, "bash", "-c", UNPACK + FILE]
        return Rendered({FILE: self._script(job)}, tuple(words))

    def _script(self, job: Job) -> str:
        launcher = []
        if job.resources.processes_per_node > 1:
            launcher = remote.torchrun(job, nodes=["--standalone"])
        lines = [
            f"# {job.project}, preset {job.preset}. Written by cohort train --on hf.",
            "set -u -o pipefail",
            f"RUN={MOUNTED}/{remote.quoted(job.name)}",
            'PYTHON="${COHORT_PYTHON:-python}"',
            f'"$PYTHON" -m pip install --quiet --root-user-action=ignore {remote.quoted(self.settings.kit)} || exit 4',
            *remote.host_lines(job),
            *remote.place_lines(),
            *remote.train_lines(job, launcher),
            *remote.END,
        ]
        return "\n".join(lines) + "\n"

    # --- while it runs -----------------------------------------------------------------------------------

    def submit(self, job: Job, rendered: Rendered, run: Path) -> Handle:
        carried.require_portable(run)
        write_files(rendered, run)
        given = run / GIVEN
        try:
            disk.replace_bytes(given, f"COHORT_GIVEN={carried.packed(run, self.name)}\n".encode())
            given.chmod(0o600)  # it is a member's code
            words = list(rendered.command[1:])
            said = programs.call("hf", words, cwd=run, timeout=ASK_SECONDS, repair="cohort doctor --on hf")
        finally:
            given.unlink(missing_ok=True)
        ids = [line.strip() for line in said.splitlines() if line.strip().replace("-", "").isalnum()]
        if not ids:
            raise programs.JobTrouble("hf took the job and did not say its number.", "hf jobs list")
        prefix = f"{self.settings.namespace}/" if self.settings.namespace else ""
        return Handle(self.name, prefix + ids[0], "", datetime.now(UTC).isoformat(timespec="seconds"))

    def status(self, handle: Handle) -> Found:
        said = programs.call("hf", ["jobs", "inspect", handle.id, "--format", "json"], timeout=ASK_SECONDS)
        found = _json(said)
        status = (found[0] if isinstance(found, list) and found else found or {}).get("status") or {}
        stage = str(status.get("stage") if isinstance(status, dict) else status)
        return Found(STAGES.get(stage, "gone"), " ".join(filter(None, [stage, _message(status)])))

    def logs(self, handle: Handle, run: Path, follow: bool) -> Iterator[str]:
        yield from programs.follow("hf", ["jobs", "logs", *(["--follow"] if follow else []), handle.id])

    def cancel(self, handle: Handle, run: Path) -> None:
        """STOP first, into the bucket; then, when it has ended or had its time, the job."""
        job = jobs.read(run)
        if job is not None and self.status(handle).state == "running":
            with tempfile.TemporaryDirectory(prefix="cohort-") as folder:
                stop = Path(folder, "STOP")
                stop.write_text("asked by cohort runs stop\n", encoding="utf-8")
                programs.call(
                    "hf", ["buckets", "cp", str(stop), f"{self._folder(job)}/STOP"], timeout=ASK_SECONDS
                )
            end = time.monotonic() + job.limits.grace
            while time.monotonic() < end and self.status(handle).state == "running":
                time.sleep(POLL_SECONDS)
        if self.status(handle).state != "gone":
            programs.call("hf", ["jobs", "cancel", handle.id], timeout=ASK_SECONDS)

    def fetch(self, handle: Handle, job: Job, into: Path) -> list[str]:
        wanted = [word for pattern in job.outputs if pattern != "*" for word in ("--include", pattern)]
        wanted += [word for name in carried.OURS for word in ("--exclude", name)]
        programs.call("hf", ["buckets", "sync", self._folder(job), str(into), *wanted])
        return carried.fetched(into)

    def _folder(self, job: Job) -> str:
        return f"hf://buckets/{self.settings.bucket}/{job.name}"


def _message(status: Any) -> str:
    return str(status.get("message") or "") if isinstance(status, dict) else ""


def _per_hour(row: dict[str, Any]) -> float | None:
    """USD for an hour of a flavor, which hf writes as "$0.80" or "free"; None if that cannot be told."""
    text = str(row.get("cost/hour")).removeprefix("$")
    try:
        return 0.0 if text == "free" else float(text)
    except ValueError:
        return None


def _json(text: str) -> Any:
    starts = [at for at in (text.find("["), text.find("{")) if at >= 0]
    try:
        return json.JSONDecoder().raw_decode(text[min(starts) :])[0] if starts else None
    except ValueError:
        return None
