"""What every preset looks like at every place, compared with files in golden/. After a change that is meant:

    python tests/launching/golden.py

writes them anew, and the tables of docs/find-a-gpu.md; look at the difference before you commit it.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from cohort_cli.catalog import find_project
from cohort_cli.launching import settings
from cohort_cli.launching.hf import Hf
from cohort_cli.launching.job import Job, Limits, Resources
from cohort_cli.launching.notebook import Notebook
from cohort_cli.launching.place import Place, Rendered
from cohort_cli.launching.sky import Sky
from cohort_cli.training.config import load_preset
from cohort_cli.training.presets import presets

PAGE = Path(__file__).parents[2] / "docs" / "find-a-gpu.md"
BLOCK = re.compile(r"```console\n\$ cohort (plan [^\n]* --places[^\n]*)\n(.*?)```", re.DOTALL)
GOLDEN = Path(__file__).parent / "golden"
KIT = "cohort-kit[train] @ git+https://git.example.org/our-group/kit@v0.1.0"
PLACES: dict[str, Place] = {
    "sky": Sky(settings.Sky(bucket="s3://our-runs", kit=KIT)),
    "hf": Hf(settings.HuggingFace(namespace="ada", bucket="ada/runs", kit=KIT)),
    "notebook": Notebook(settings.Notebook(kit=KIT)),
}


def all_jobs() -> Iterator[tuple[str, Job]]:
    """A job for every preset: a GPU where it asks for one, eight where its name says so."""
    for id in ("project3", "project4"):
        for preset, path in presets(find_project(id)).items():
            gpus = 8 if "gpu8" in preset else 1 if load_preset(path).hardware.device == "cuda" else 0
            resources = Resources(gpus=gpus, gpu_types=("H200", "A100") if gpus else ())
            limits = Limits(walltime=7200, max_usd_per_hour=10.0 if gpus else 0.0)
            env, secrets = (("COHORT_NOTE", "one two"),), ("HF_TOKEN",)
            name = f"{id}-{preset}"
            yield name, Job(f"/home/ada/runs/{name}", id, preset, resources, limits, env, secrets)


def as_text(rendered: Rendered) -> str:
    parts = [f"--- {name}\n{text}" for name, text in rendered.files.items()]
    return "".join(parts) + f"$ {shlex.join(rendered.command)}\n"


def page() -> None:
    """What `cohort plan … --places` says, into the page that shows it."""

    def again(match: re.Match[str]) -> str:
        words = [sys.executable, "-m", "cohort_cli", *shlex.split(match[1])]
        environment = {**os.environ, "COLUMNS": "80", "PYTHONUTF8": "1"}
        done = subprocess.run(words, capture_output=True, text=True, env=environment, check=True)
        return f"```console\n$ cohort {match[1]}\n{done.stdout}```"

    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(BLOCK.sub(again, text), encoding="utf-8", newline="\n")


def main() -> None:
    for place, one in PLACES.items():
        folder = GOLDEN / place
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for name, job in all_jobs():
            (folder / f"{name}.txt").write_text(as_text(one.render(job)), encoding="utf-8", newline="\n")
    page()
    print(f"{len(list(GOLDEN.rglob('*.txt')))} files in {os.path.relpath(GOLDEN)}")


if __name__ == "__main__":
    main()
