"""A machine rented for one job, by the separate program `sky` (SkyPilot): clouds, Kubernetes, and more.

One task in YAML says what is rented and what runs there. Money is guarded three times: the command ends itself after
the job's walltime, an idle machine is given back, and none that costs more per hour than the cap is taken. SkyPilot
itself knows no walltime, and its idle timer never ends a job that hangs.

What a rented machine wrote is lost with it, so the run's folder lies in a bucket (SkyPilot's MOUNT_CACHED), or in a
folder that all machines see. Several machines need the latter: a bucket shows to one what another wrote, but late.

Source: SkyPilot 0.14, https://docs.skypilot.co/en/latest/reference/yaml-spec.html
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cohort_cli.errors import CohortError, UsageError
from cohort_cli.launching import carried, programs, remote, yaml_text
from cohort_cli.launching import job as jobs
from cohort_cli.launching.job import Job
from cohort_cli.launching.place import Found, Handle, Problem, Rendered, write_files
from cohort_cli.launching.settings import Sky as Settings
from cohort_cli.launching.settings import read_settings

FILE = "sky.yaml"
IGNORE = ".skyignore"  # without it, .gitignore would say which files of the run stay at home
MOUNTED = "~/cohort/bucket"
PORT = 29_500
READY_SECONDS = 600  # until the first machine has put the run's folder in its place
ASK_SECONDS = 180.0  # the first `sky` command starts a server of its own
LAUNCH_SECONDS = 3_600.0  # a cloud may have no machine free at once
POLL_SECONDS = 5.0
INSTALL = 'uv tool install "skypilot[aws]==0.14.1"    or [gcp], [kubernetes], …'
# The kit's names of GPUs, where SkyPilot's differ. Any other word is SkyPilot's own: sky gpus list
NAMES = {"a100": "A100-80GB", "a100-40": "A100", "h100": "H100", "h200": "H200", "b200": "B200", "l40s": "L40S",
         "l4": "L4", "t4": "T4", "a10": "A10", "rtx5090": "RTX5090", "rtx4090": "RTX4090", "rtx3090": "RTX3090",
         "mi300x": "MI300X"}  # fmt: skip
# by the bucket's scheme: what copies a folder, and how it names a file that stays
FETCHERS = {
    "s3": (["aws", "s3", "sync"], "--exclude={}"),
    "gs": (["gcloud", "storage", "rsync", "--recursive"], "--exclude=^{}$"),
}


class Sky:
    name = "sky"
    says = "a machine rented for this job, by SkyPilot: clouds and Kubernetes"

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = read_settings().sky if settings is None else settings

    # --- before it runs ----------------------------------------------------------------------------------

    def check(self, job: Job | None) -> list[Problem]:
        problems = carried.install_problem(self.settings.kit, "sky")
        if not self.settings.bucket:
            problems.append(
                Problem(
                    "No bucket is named, and what the run saves would go with the machine.",
                    'in places.toml, under [sky]: bucket = "s3://YOUR-BUCKET"',
                )
            )
        if job is not None:
            problems += self._of_job(job)
            problems += carried.secret_problems(job)
        if programs.find("sky") is None:
            return [*problems, Problem("The program sky (SkyPilot) is not installed.", INSTALL)]
        return problems + self._credentials()

    def _of_job(self, job: Job) -> list[Problem]:
        problems = []
        if not job.limits.walltime:
            problems.append(Problem("A rented machine is paid for until it is given back.", "--walltime 2h"))
        if job.resources.nodes > 1 and not self.settings.bucket.startswith("/"):
            problems.append(
                Problem(
                    "Several machines need one folder that all of them see at once; a bucket is none.",
                    'One machine: --nodes 1. Or in places.toml, under [sky]: bucket = "/mnt/shared/runs"',
                )
            )
        return problems

    def _credentials(self) -> list[Problem]:
        """`sky check` says with exit code 0 that nothing is enabled, so its answer is read."""
        infra = self.settings.infra.split("/")[0]
        ended = programs.run("sky", ["check", *([infra] if infra else []), "-o", "json"], timeout=ASK_SECONDS)
        found = _json(ended.stdout, "{")
        if ended.returncode == 0 and found is not None and any(found.values()):
            return []
        what = (
            f"SkyPilot has no credentials for {infra}." if infra else "SkyPilot has credentials for no cloud."
        )
        return [Problem(what, f"sky check {infra}".strip() + "    says what is missing for each")]

    def render(self, job: Job) -> Rendered:
        cluster = cluster_of(job)
        secrets = [word for name in job.secrets for word in ("--secret", name)]
        words = ["sky", "launch", "--cluster", cluster, "--yes", "--detach-run", *secrets, FILE]
        head = f"# {job.project}, preset {job.preset}. Written by cohort train --on sky; read by SkyPilot 0.14.\n"
        if job.limits.max_usd_per_hour and job.limits.walltime:
            hours, price = job.limits.walltime / 3600, job.limits.max_usd_per_hour
            head += f"# Costs at most {hours:.2f} h x {price:.2f} = {hours * price:.2f} USD, and what starting takes.\n"
        return Rendered({FILE: head + yaml_text.dump(self._task(job)), IGNORE: _ignored()}, tuple(words))

    def _task(self, job: Job) -> dict[str, Any]:
        task: dict[str, Any] = {
            "name": cluster_of(job),
            "workdir": ".",
            "num_nodes": job.resources.nodes,
            "resources": self._resources(job),
        }
        if not self.settings.bucket.startswith("/"):
            task["file_mounts"] = {MOUNTED: {"source": self.settings.bucket, "mode": "MOUNT_CACHED"}}
        if job.env:
            task["envs"] = dict(job.env)
        return {**task, "setup": self._setup(), "run": self._run(job)}

    def _resources(self, job: Job) -> dict[str, Any]:
        resources, limits, found = job.resources, job.limits, dict[str, Any]()
        if self.settings.infra:
            found["infra"] = self.settings.infra
        if resources.gpus:
            if not resources.gpu_types:
                raise UsageError("--on sky needs to know which GPU.", "For example: --gpu-type L4")
            kinds = [f"{NAMES.get(kind.lower(), kind)}:{resources.gpus}" for kind in resources.gpu_types]
            found["accelerators"] = kinds if len(kinds) > 1 else kinds[0]  # a list is an order of preference
        for key, value in (("cpus", resources.cpus), ("memory", resources.memory_gb)):
            if value:
                found[key] = f"{value}+"
        if resources.disk_gb:
            found["disk_size"] = resources.disk_gb
        if resources.spot:
            found["use_spot"] = True
        if limits.max_usd_per_hour:
            found["max_hourly_cost"] = round(limits.max_usd_per_hour / resources.nodes, 4)  # of one machine
        found["autostop"] = {"idle_minutes": limits.idle_minutes, "down": True}
        return found

    def _setup(self) -> str:
        lines = [
            "set -e",
            'export PATH="$HOME/.local/bin:$PATH"',
            f"command -v uv >/dev/null || python3 -m pip install --quiet --user uv=={carried.UV}",
            f"[ -x ~/cohort/venv/bin/python ] || uv venv --quiet --python {carried.PYTHON} ~/cohort/venv",
            f"uv pip install --quiet --python ~/cohort/venv/bin/python {remote.quoted(self.settings.kit)}",
            *self.settings.setup,
        ]
        return "\n".join(lines) + "\n"

    def _run(self, job: Job) -> str:
        """A job of one process needs no launcher; else one torchrun per machine, and the first one is the head."""
        several = job.resources.nodes > 1
        ready = '"$RUN/.ready-${SKYPILOT_TASK_ID:-0}"'
        lines = [
            "set -u -o pipefail",
            f"RUN={self._folder(job)}",
            'PYTHON="${COHORT_PYTHON:-$HOME/cohort/venv/bin/python}"',
            *remote.host_lines(job),
        ]
        if several:
            lines += [
                'if [ "$SKYPILOT_NODE_RANK" = 0 ]; then',
                *("  " + line for line in remote.place_lines()),
                f'  rm -f "$RUN"/.ready-*; touch {ready}',
                "fi",
                f"until [ -e {ready} ]; do",
                f'  [ $SECONDS -lt {READY_SECONDS} ] || {{ echo "the run folder never came: $RUN"; exit 1; }}',
                "  sleep 1",
                "done",
            ]
        else:
            lines += remote.place_lines()
        nodes = ["--standalone"]
        if several:
            lines.append('head=$(echo "$SKYPILOT_NODE_IPS" | head -n1)')
            nodes = [
                '--nnodes="$SKYPILOT_NUM_NODES" --node-rank="$SKYPILOT_NODE_RANK"',
                f'--master-addr="$head" --master-port="${{COHORT_PORT:-{PORT}}}"',
            ]
        alone = not several and job.resources.processes_per_node == 1
        lines += remote.train_lines(job, [] if alone else remote.torchrun(job, nodes=nodes))
        return "\n".join([*lines, *remote.END]) + "\n"

    def _folder(self, job: Job) -> str:
        """The run's folder on the rented machine, for its shell."""
        home = self.settings.bucket if self.settings.bucket.startswith("/") else MOUNTED
        path = f"{home.rstrip('/')}/{job.name}"
        return '"$HOME"/' + remote.quoted(path[2:]) if path.startswith("~/") else remote.quoted(path)

    # --- while it runs -----------------------------------------------------------------------------------

    def submit(self, job: Job, rendered: Rendered, run: Path) -> Handle:
        carried.require_portable(run)
        write_files(rendered, run)
        cluster = cluster_of(job)
        try:
            programs.call(
                "sky", list(rendered.command[1:]), cwd=run, timeout=LAUNCH_SECONDS, repair="sky status"
            )
        except BaseException:  # Ctrl-C too: a machine that was rented by then would cost money
            with contextlib.suppress(CohortError):
                programs.run("sky", ["down", "--yes", cluster], timeout=ASK_SECONDS)
            raise
        return Handle(self.name, cluster, "", datetime.now(UTC).isoformat(timespec="seconds"))

    def status(self, handle: Handle) -> Found:
        ended = programs.run("sky", ["status", handle.id, "-o", "json"], timeout=ASK_SECONDS)
        clusters = [one for one in _json(ended.stdout, "[") or [] if one.get("name") == handle.id]
        if not clusters:
            return Found("gone", "the machine was given back")
        state = str(clusters[0].get("status"))
        if state != "UP":
            return Found("waiting" if state == "INIT" else "gone", f"machine {state}")
        ended = programs.run("sky", ["queue", handle.id, "-o", "json"], timeout=ASK_SECONDS)
        listed = (_json(ended.stdout, "{") or {}).get(handle.id) or []
        training = [str(one.get("status")) for one in listed if one.get("job_name") == handle.id]
        if not training:
            return Found("waiting", "machine UP, no job yet")
        newest = training[0]
        if newest in ("INIT", "PENDING", "SETTING_UP"):
            return Found("waiting", f"job {newest}")
        return Found("running" if newest == "RUNNING" else "gone", f"job {newest}")

    def logs(self, handle: Handle, run: Path, follow: bool) -> Iterator[str]:
        yield from programs.follow("sky", ["logs", handle.id, "--follow" if follow else "--no-follow"])

    def cancel(self, handle: Handle, run: Path) -> None:
        """STOP first: `sky cancel` leaves a trainer no time to save. Then the machine goes back."""
        job = jobs.read(run)
        if job is not None and self.status(handle).state == "running":
            touch = f"touch {self._folder(job)}/STOP"
            programs.call("sky", ["exec", "--name", "stop", handle.id, touch], timeout=ASK_SECONDS)
            end = time.monotonic() + job.limits.grace
            while time.monotonic() < end and self.status(handle).state == "running":
                time.sleep(POLL_SECONDS)
        programs.run("sky", ["cancel", "--yes", "--all", handle.id], timeout=ASK_SECONDS)
        # --graceful waits until the bucket has everything
        programs.call(
            "sky", ["down", "--yes", "--graceful", handle.id], timeout=LAUNCH_SECONDS, repair="sky status"
        )

    def fetch(self, handle: Handle, job: Job, into: Path) -> list[str]:
        """The run's folder from the bucket, which outlives the machine; from a shared folder through the machine."""
        bucket = self.settings.bucket.rstrip("/")
        words, stays = FETCHERS.get(bucket.partition("://")[0], ([""], ""))
        source = f"{bucket}/{job.name}"
        if bucket.startswith("/"):
            words, stays, source = ["rsync", "--archive"], "--exclude=/{}", f"{handle.id}:{source}/"
        if programs.find(words[0]) is None:
            tool = words[0] or "that cloud's own program"
            raise UsageError(f"{bucket} is read with {tool}, which is not here.", f"Copy {source} to {into}")
        programs.call(
            words[0], [*words[1:], *(stays.format(name) for name in carried.OURS), source, str(into)]
        )
        return carried.fetched(into)


def cluster_of(job: Job) -> str:
    """A name that every cloud takes: letters, digits and "-", a letter first."""
    return "cohort-" + re.sub(r"[^a-z0-9]+", "-", job.name.lower()).strip("-")


def _ignored() -> str:
    return "".join(f"/{name}\n" for name in carried.STAYS if name != "checkpoints")


def _json(text: str, first: str) -> Any:
    """The JSON in a program's answer, which may say other things before and after it. None if there is none."""
    start = text.find(first)
    try:
        return json.JSONDecoder().raw_decode(text[start:])[0] if start >= 0 else None
    except ValueError:
        return None
