"""A notebook for a GPU that a person reaches in a browser: Colab, Kaggle, or a Jupyter server of somebody's own.

There is no program that takes such a job: the member opens the file there and runs its cells from top to bottom. It
installs the kit, trains, and packs the run's folder for download. With a run's folder (`submit`) the notebook carries
it along, the member's code in it; without (--dry-run) it trains the kit's own parts. A session that was cut off goes
on from the zip file that was packed last.

The same job is the same file, byte by byte: ids are counted, and nothing knows the time.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from cohort_cli.errors import UsageError
from cohort_cli.launching import carried
from cohort_cli.launching.job import Job
from cohort_cli.launching.place import Found, Handle, Problem, Rendered, write_files
from cohort_cli.launching.settings import Notebook as Settings
from cohort_cli.launching.settings import read_settings

GIVEN = 'GIVEN = ""'
LARGEST = 50_000_000_000  # bytes that a zip file may unpack to

HEAD = """# {project}, preset {preset}

Written by `cohort train {project} --preset {preset} --on notebook`. Choose a GPU for this session first (Colab:
*Runtime, Change runtime type*; Kaggle: *Settings, Accelerator*), then run the cells from top to bottom.

The last cell packs the run's folder as `{name}.zip`. Hosted sessions end by themselves: run that cell from time to
time, or keep the browser open. To go on after a session was cut off, upload that file beside this notebook first."""

NUMBERS = """# What this notebook is about. KIT is what pip installs; COHORT_KIT_IS_HERE leaves that out.
import os
import subprocess
import sys
from pathlib import Path

PROJECT, PRESET, NAME = {project!r}, {preset!r}, {name!r}
KIT = {kit!r}
GIVEN = ""
os.environ.update({env!r})
os.environ["COHORT_RUNS"] = str(Path("runs").absolute())


def cohort(*words):
    print("$ cohort", *words, flush=True)
    process = subprocess.Popen([sys.executable, "-m", "cohort_cli", *words])
    try:
        code = process.wait()
    except KeyboardInterrupt:  # the stop button: it saves first
        Path("runs", NAME, "STOP").touch()
        code = process.wait()
    if code not in (0, 75):  # 75: it was asked to stop, and saved
        raise RuntimeError(f"cohort {{words[0]}} ended with exit code {{code}}; the lines above say why.")"""

INSTALL = """# The kit
if not os.environ.get("COHORT_KIT_IS_HERE"):
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", KIT], check=True)"""

SECRETS = """# Secrets: asked for here, kept in this session's memory only
from getpass import getpass

for secret in {secrets!r}:
    if not os.environ.get(secret):
        os.environ[secret] = getpass(f"{{secret}}: ")"""

GPU = """# Is there a GPU?
import torch

if torch.cuda.is_available():
    for number in range(torch.cuda.device_count()):
        print(torch.cuda.get_device_name(number), round(torch.cuda.mem_get_info(number)[1] / 1e9), "GB")
else:
    print("There is no GPU in this session. Choose one in its settings, or train a preset that a CPU can.")"""

TRAIN = """# Train: what was packed before goes on; else what came with this notebook; else the kit's own parts
import base64
import io
import tarfile
import zipfile

run = Path("runs", NAME)
if not run.is_dir() and Path(NAME + ".zip").is_file():
    with zipfile.ZipFile(NAME + ".zip") as packed:
        packed.extractall("runs")
elif not run.is_dir() and GIVEN:
    run.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(GIVEN))) as packed:
        packed.extractall(run, filter="data")
if run.is_dir():
    cohort("train", PROJECT, "--resume", "--name", NAME{processes})
else:
    cohort("train", PROJECT, "--preset", PRESET, "--model", "reference", "--name", NAME{processes})"""

PACK = """# Pack the run's folder for download
import shutil

packed = shutil.make_archive(NAME, "zip", root_dir="runs", base_dir=NAME)
print(packed, round(Path(packed).stat().st_size / 1e6, 1), "MB")
if "google.colab" in sys.modules:
    from google.colab import files

    files.download(packed)"""

TAIL = """## Back at your machine

Put `{name}.zip` into the folder that you are in, or leave it in your downloads, and then:

```
cohort runs fetch {name}
cohort runs show {name}
```"""


class Notebook:
    name = "notebook"
    says = "a file for a hosted notebook with a GPU (Colab, Kaggle, Jupyter), which you run there"

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = read_settings().notebook if settings is None else settings

    def check(self, job: Job | None) -> list[Problem]:
        if job is not None:
            _require_one_machine(job)
        return carried.install_problem(self.settings.kit, "notebook")

    def render(self, job: Job) -> Rendered:
        _require_one_machine(job)
        processes = f', "--processes", "{job.resources.processes}"' if job.resources.processes else ""
        facts = {"project": job.project, "preset": job.preset, "name": job.name}
        numbers = NUMBERS.format(**facts, kit=self.settings.kit, env=dict(job.env))
        cells = [("markdown", HEAD.format(**facts)), ("code", numbers), ("code", INSTALL)]
        if job.secrets:
            cells.append(("code", SECRETS.format(secrets=job.secrets)))
        cells += [("code", GPU), ("code", TRAIN.replace("{processes}", processes)), ("code", PACK)]
        return Rendered({file_of(job): as_notebook([*cells, ("markdown", TAIL.format(**facts))])}, ())

    def submit(self, job: Job, rendered: Rendered, run: Path) -> Handle:
        """The notebook, with the run's folder in it."""
        carried.require_portable(run)
        before, after = GIVEN, f'GIVEN = "{carried.packed(run, "")}"'
        before, after = json.dumps(before)[1:-1], json.dumps(after)[1:-1]  # as they stand in the file
        files = {name: text.replace(before, after, 1) for name, text in rendered.files.items()}
        write_files(Rendered(files, ()), run)
        return Handle(self.name, file_of(job), "", datetime.now(UTC).isoformat(timespec="seconds"))

    def status(self, handle: Handle) -> Found:
        return Found("waiting", f"open {handle.id} there; then: cohort runs fetch")

    def logs(self, handle: Handle, run: Path, follow: bool) -> Iterator[str]:
        raise UsageError(
            "What a notebook says stands in the notebook.", f"Open {handle.id} where you run it."
        )

    def cancel(self, handle: Handle, run: Path) -> None:
        raise UsageError(
            "Only you can stop a notebook: its stop button saves first.",
            f"Press it where you run {handle.id}.",
        )

    def fetch(self, handle: Handle, job: Job, into: Path) -> list[str]:
        """The newest NAME*.zip of the current folder or the downloads, into the run's folder."""
        found = [
            path for home in (Path.cwd(), Path.home() / "Downloads") for path in home.glob(f"{job.name}*.zip")
        ]
        if not found:
            raise UsageError(
                f"There is no {job.name}.zip here or in your downloads.", "Run the notebook's last cells."
            )
        unpack(max(found, key=lambda path: path.stat().st_mtime), job.name, into)
        return carried.fetched(into)


def _require_one_machine(job: Job) -> None:
    if job.resources.nodes > 1:
        raise UsageError("A notebook runs on one machine.", "--nodes 1, or --on slurm, or --on sky")


def file_of(job: Job) -> str:
    return f"{job.name}.ipynb"


def as_notebook(cells: list[tuple[str, str]]) -> str:
    """(kind, text) of each cell as a notebook of format 4.5."""
    found = []
    for number, (kind, text) in enumerate(cells):
        cell = {
            "cell_type": kind,
            "id": f"cell-{number}",
            "metadata": {},
            "source": text.splitlines(keepends=True),
        }
        found.append(cell if kind == "markdown" else {**cell, "execution_count": None, "outputs": []})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    # "accelerator" is what Colab reads
    metadata = {"accelerator": "GPU", "kernelspec": kernel, "language_info": {"name": "python"}}
    table = {"cells": found, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(table, indent=1, ensure_ascii=False) + "\n"


def unpack(packed: Path, name: str, into: Path) -> None:
    """The folder `name` of a zip file, as `into`. Refuses what reaches out of it: the file came from elsewhere."""
    try:
        with zipfile.ZipFile(packed) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if sum(entry.file_size for entry in entries) > LARGEST:
                raise UsageError(
                    f"{packed} unpacks to more than {LARGEST / 1e9:.0f} GB.", "Is it the right file?"
                )
            for entry in entries:
                parts = PurePosixPath(entry.filename).parts
                if parts[:1] != (name,) or len(parts) < 2 or not all(map(_is_plain, parts)):
                    raise UsageError(
                        f"{packed} holds {entry.filename!r}, which is no part of {name}.", "Pack it again."
                    )
            for entry in entries:
                target = into.joinpath(*PurePosixPath(entry.filename).parts[1:])
                if target.parent == into and target.name in carried.OURS:
                    continue  # where it was sent is known here; who trains there is of no concern
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, target.open("wb") as out:
                    while block := source.read(1 << 20):
                        out.write(block)
    except zipfile.BadZipFile:
        raise UsageError(f"{packed} is no whole zip file.", "Pack and download it again.") from None


def _is_plain(part: str) -> bool:
    return part not in ("", ".", "..", "/") and not set(part) & set('\\:*?"<>|\0')
