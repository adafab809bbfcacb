"""A member's workspace: a folder of their own, never inside the kit.

my-llm/
  cohort.toml                      says that this is a workspace, which kit made it, and where the group's folder is
  README.md  AGENTS.md  .gitignore
  project2_transformer_block/      the member's files, copied from the scaffold by `cohort start`
  .cohort/results.jsonl            verdicts; .cohort/hints.jsonl which hints were shown
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import NamedTuple

from cohort_cli.catalog import Project
from cohort_cli.errors import NoWorkspace
from cohort_cli.manifest import build, load_toml, require_schema

SCHEMA = "cohort.workspace/1"
GROUP_SCHEMA = "cohort.cohort/1"  # of the file of the same name in the group's folder; see group.py
MANIFEST = "cohort.toml"


class _Manifest(NamedTuple):
    """cohort.toml."""

    schema: str
    kit: str
    group: str = ""  # the group's folder, relative to this one


class Workspace(NamedTuple):
    root: Path
    group: str = ""

    @property
    def state_folder(self) -> Path:
        return self.root / ".cohort"

    @property
    def log_path(self) -> Path:
        return self.state_folder / "results.jsonl"

    @property
    def hints_path(self) -> Path:
        return self.state_folder / "hints.jsonl"

    def project_folder(self, project: Project) -> Path:
        return self.root / project.folder.name

    def has(self, project: Project) -> bool:
        return self.project_folder(project).is_dir()


def find_workspace(start: Path | None = None) -> Workspace:
    """The workspace that holds `start` (default: the current folder), or that COHORT_WORKSPACE names."""
    named = os.environ.get("COHORT_WORKSPACE")
    if named and start is None:
        root = Path(named).expanduser().absolute()
        if not (root / MANIFEST).is_file():
            raise NoWorkspace(
                f"COHORT_WORKSPACE names {root}, which is no workspace: it has no {MANIFEST}.",
                f'Make it one with: cohort init "{root}"    or unset COHORT_WORKSPACE.',
            )
        return open_workspace(root)
    start = (start or Path.cwd()).absolute()
    for folder in (start, *start.parents):
        if (folder / MANIFEST).is_file() and not is_of(folder / MANIFEST, GROUP_SCHEMA):
            return open_workspace(folder)
    raise NoWorkspace(f"There is no workspace here or above: {start}", "Make one with: cohort init my-llm")


def open_workspace(root: Path) -> Workspace:
    path = root / MANIFEST
    table = load_toml(path)
    require_schema(table, SCHEMA, path)
    return Workspace(root, build(_Manifest, table, path).group)


def is_of(path: Path, schema: str) -> bool:
    """Whether this is a file of that schema, in whichever version. False if none, foreign or broken."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")).get("schema")
    except (OSError, ValueError):
        return False
    return isinstance(found, str) and found.rpartition("/")[0] == schema.rpartition("/")[0]
