"""What a member wrote down once about their places, in `places.toml` ("cohort.places/1") beside the workspace's files.

    [slurm]
    host = "login.example.edu"     # over ssh; "" or left out: sbatch is on this machine
    partition = "gpu"
    account = ""
    runs = "/scratch/ada/runs"     # a folder that all nodes see
    python = "/scratch/ada/venv/bin/python"
    setup = ["module load cuda"]

    [sky]
    infra = "k8s"                  # a cloud, or "" for whatever is cheapest
    bucket = "s3://ada-runs"       # or "/mnt/shared/runs", a folder that all its machines see
    kit = "cohort-kit[train] @ git+https://git.example.org/our-group/kit@v0.1.0"
    [hf]
    namespace = "ada"
    bucket = "ada/runs"
    kit = "…"
    [notebook]
    kit = "…"

The file is looked for at $COHORT_PLACES, then in the workspace, then in the user's configuration folder.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple, get_type_hints

from cohort_cli.errors import BrokenManifest, NoWorkspace
from cohort_cli.manifest import build, did_you_mean, line_of, load_toml, require_schema
from cohort_cli.workspace import find_workspace

SCHEMA = "cohort.places/1"
FILE = "places.toml"


class Slurm(NamedTuple):
    host: str = ""
    partition: str = ""
    account: str = ""
    qos: str = ""
    runs: str = ""
    python: str = ""
    setup: tuple[str, ...] = ()


class Sky(NamedTuple):
    infra: str = ""
    bucket: str = ""  # where checkpoints survive the machine, such as s3://ada-runs
    kit: str = ""  # how the kit is installed there: what pip understands
    setup: tuple[str, ...] = ()


class HuggingFace(NamedTuple):
    namespace: str = ""
    flavor: str = ""
    bucket: str = ""
    kit: str = ""


class Notebook(NamedTuple):
    kit: str = ""


class Settings(NamedTuple):
    slurm: Slurm = Slurm()
    sky: Sky = Sky()
    hf: HuggingFace = HuggingFace()
    notebook: Notebook = Notebook()


def read_settings() -> Settings:
    """Raises BrokenManifest with file, line and key for a file that is there and not right."""
    path = find_settings()
    if path is None:
        return Settings()
    table = load_toml(path)
    require_schema(table, SCHEMA, path)
    kinds = get_type_hints(Settings)
    for key in table.keys() - {"schema", *kinds}:
        raise BrokenManifest(
            f"{path}{line_of(path, key)}: unknown place {key!r}.", did_you_mean(key, list(kinds))
        )
    return Settings(**{key: build(kinds[key], table[key], path, f"[{key}]") for key in kinds if key in table})


def find_settings() -> Path | None:
    if named := os.environ.get("COHORT_PLACES"):
        return Path(named).expanduser().absolute()
    try:
        candidates = [find_workspace().root / FILE]
    except NoWorkspace:
        candidates = []
    candidates.append(_configuration() / "cohort" / FILE)
    return next((path for path in candidates if path.is_file()), None)


def _configuration() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
