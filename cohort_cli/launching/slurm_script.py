"""The script that Slurm runs, rendered from a job: everything in it is a literal, except what only Slurm knows.

One task for each node, in it torchrun, below it the trainers. The shell only passes on what happens: a signal before the
time limit becomes the file STOP, and `verdict.py` says from the run's folder whether the job is put back into the queue.

Why it is as it is:
- Slurm sends the signal to this shell alone (B:), so the training runs beside it, and `wait` is called again after each
  signal. NCCL uses SIGUSR1 itself, so trainers get a file instead.
- torchrun's meeting point is fixed (the first node), and it starts nothing again: a lost node is Slurm's business.
- srun no longer hands on --cpus-per-task by itself since Slurm 22.05.
"""

from __future__ import annotations

import shlex

from cohort_cli.errors import UsageError
from cohort_cli.launching import verdict
from cohort_cli.launching.job import Job
from cohort_cli.launching.settings import Slurm as Settings
from cohort_cli.training.launch import SHUTDOWN_SECONDS, SIGNALS

FILE = "job.sbatch"
OUTPUT = "slurm.out"
CPUS_PER_GPU = 4  # where the job does not say: the trainer, its loader, its saver, and one to spare

_TEMPLATE = """\
#!/bin/bash
# Written by cohort for one run; sent again with: sbatch {name}
{options}

{setup}set -u
run={run}
python={python}
{environment}

say() {{ echo "[cohort $(date +%FT%T)] $*"; }}
judge() {{ "$python" -m cohort_cli.launching.verdict "$@"; }}

reason=""
# A STOP that is there already is a person's, and stays one; ours says whose it is.
ask() {{ [ -e "$run/STOP" ] || echo "$1" >"$run/STOP"; }}
trap '[ -e "$run/STOP" ] || reason={walltime}; ask {walltime}; say "its time is nearly up"' USR1
trap 'reason={cancel}; ask {cancel}; say "it is ended from outside"' TERM

say "job $SLURM_JOB_ID, start $((${{SLURM_RESTART_COUNT:-0}} + 1)), on $SLURM_JOB_NODELIST"
judge begin "$run"
code=$?
[ "$code" = {again} ] || exit "$code"

{srun} &
training=$!
while :; do
    wait "$training"
    kill -0 "$training" 2>/dev/null || break
done

judge end "$run" $reason
code=$?
[ "$code" = {again} ] || exit "$code"
trap "" TERM # being put back ends this shell; until then it waits
scontrol requeue "$SLURM_JOB_ID" && sleep 600
say "Slurm did not take the job back into the queue. Send it again: it goes on from the last checkpoint"
exit {failed}
"""

_MEETING = """\
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(scontrol show node -o "$first" | sed -n 's/.* NodeAddr=\\([^ ]*\\).*/\\1/p')
port=$((20000 + SLURM_JOB_ID % 20000))
"""


def script(job: Job, settings: Settings, python: str) -> str:
    return _TEMPLATE.format(
        name=FILE,
        options="\n".join(f"#SBATCH {option}" for option in options(job, settings)),
        run=shlex.quote(job.run),
        python=shlex.quote(python),
        environment="\n".join(_environment(job)),
        setup="".join(f"{line}\n" for line in (*settings.setup, *job.setup)),
        srun=_srun(job),
        walltime=verdict.WALLTIME,
        cancel=verdict.CANCEL,
        again=verdict.AGAIN,
        failed=verdict.FAILED,
    )


def options(job: Job, settings: Settings) -> list[str]:
    resources, limits = job.resources, job.limits
    found = [
        f"--job-name={_word(f'cohort-{job.name}')}",
        f"--nodes={resources.nodes}",
        "--ntasks-per-node=1",
        f"--cpus-per-task={cpus(job)}",
    ]
    if resources.gpus:
        kind = f"{resources.gpu_types[0]}:" if resources.gpu_types else ""
        found.append(f"--gpus-per-node={_word(f'{kind}{resources.gpus}')}")
    if resources.memory_gb:
        found.append(f"--mem={resources.memory_gb}G")
    if resources.disk_gb:
        found.append(f"--tmp={resources.disk_gb}G")
    if limits.walltime:
        found.append(f"--time={clock(limits.walltime)}")
    for name in ("partition", "account", "qos"):
        if value := getattr(settings, name):
            found.append(f"--{name}={_word(value)}")
    return [
        *found,
        f"--signal=B:USR1@{limits.grace}",
        "--requeue",
        "--open-mode=append",
        f"--output={_word(f'{job.run}/{OUTPUT}'.replace('%', '%%'))}",
        "--export=ALL",
    ]


def cpus(job: Job) -> int:
    """Of each node."""
    resources = job.resources
    return resources.cpus or max(CPUS_PER_GPU * resources.gpus, resources.processes_per_node)


def clock(seconds: int) -> str:
    """Slurm's hours, minutes and seconds."""
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _environment(job: Job) -> list[str]:
    """Ours, then the member's. Secrets come with the environment of whoever sends the job."""
    ours = {
        "PYTHONUTF8": "1",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": str(max(1, cpus(job) // job.resources.processes_per_node)),
        # Without this, processes that are started again read the addresses of those that died (torch 2.13).
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
    }
    return [f"export {name}={shlex.quote(value)}" for name, value in {**ours, **dict(job.env)}.items()]


def _srun(job: Job) -> str:
    """The line that trains. What libraries print goes into the run's log.txt, as everywhere."""
    nodes, processes = job.resources.nodes, job.resources.processes_per_node
    worker = '-m cohort_cli.training "$run"'
    torchrun = (
        f"-m torch.distributed.run --nproc-per-node={processes} --max-restarts=0 --monitor-interval=0.5 \\\n"
        f"    --shutdown-timeout={SHUTDOWN_SECONDS} --signals-to-handle={SIGNALS}"
    )
    begin = f"srun --nodes={nodes} --ntasks={nodes} --cpus-per-task={cpus(job)} --kill-on-bad-exit=1 \\\n    "
    end = ' </dev/null 2>>"$run/log.txt"'
    if nodes > 1:
        inner = (
            'exec "$1" -m torch.distributed.run --nnodes="$SLURM_NNODES" --node-rank="$SLURM_NODEID" '
            '--master-addr="$3" --master-port="$4" "${@:5}" -m cohort_cli.training "$2"'
        )
        flags = torchrun.removeprefix("-m torch.distributed.run ")
        words = f'"$python" "$run" "$address" "$port" \\\n    {flags}'
        return f"{_MEETING}{begin}bash -c {shlex.quote(inner)} cohort {words}{end}"
    if processes > 1:
        return f'{begin}"$python" {torchrun} --standalone \\\n    {worker}{end}'
    return f'{begin}"$python" {worker}{end}'


def _word(text: str) -> str:
    """A value in a #SBATCH line, which Slurm takes apart by spaces and quotes, and which ends with its line."""
    if "\\" in text or any(ord(letter) < 32 for letter in text):
        raise UsageError(f"Slurm cannot be told {text!r}.", "Use names without backslashes and line breaks.")
    if all(letter.isalnum() or letter in "-_./:%+@=," for letter in text):
        return text
    return '"' + text.replace('"', '\\"') + '"'
