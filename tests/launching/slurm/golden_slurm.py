"""The script of every preset, compared with files in golden/slurm/. After a change that is meant:

    python tests/launching/slurm/golden_slurm.py

writes them anew; look at the difference before you commit it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cohort_cli.catalog import find_project
from cohort_cli.launching.job import Job, Limits, Resources
from cohort_cli.launching.settings import Slurm as Settings
from cohort_cli.launching.slurm import Slurm
from cohort_cli.training.config import load_preset
from cohort_cli.training.presets import presets

GOLDEN = Path(__file__).parent.parent / "golden" / "slurm"
PLACE = Slurm(Settings(partition="main", python="/scratch/ada/venv/bin/python", setup=("module load cuda",)))


def all_jobs() -> Iterator[tuple[str, Job]]:
    """One GPU where a preset asks for one, eight where its name says so; that one on two nodes as well."""
    for id in ("project3", "project4"):
        for preset, path in presets(find_project(id)).items():
            gpus = 8 if "gpu8" in preset else 1 if load_preset(path).hardware.device == "cuda" else 0
            for nodes in (1, 2) if gpus == 8 else (1,):
                name = f"{id}-{preset}" + ("-2nodes" if nodes == 2 else "")
                resources = Resources(nodes, gpus, ("h100",) if gpus else ())
                env, secrets = (("COHORT_NOTE", "it's two words"),), ("HF_TOKEN",)
                yield (
                    name,
                    Job(f"/scratch/ada/runs/{name}", id, preset, resources, Limits(7200), env, secrets),
                )


def text(job: Job) -> str:
    (script,) = PLACE.render(job).files.values()
    return script


def main() -> None:
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for old in GOLDEN.iterdir():
        old.unlink()
    for name, job in all_jobs():
        (GOLDEN / f"{name}.sbatch").write_text(text(job), encoding="utf-8", newline="\n")
    print(f"{len(list(GOLDEN.iterdir()))} files in {GOLDEN}")


if __name__ == "__main__":
    main()
