"""Where presets are: a project's jobs/NAME.toml, or any file of the user's own."""

from __future__ import annotations

from pathlib import Path

from cohort_cli.catalog import Project
from cohort_cli.errors import UsageError
from cohort_cli.manifest import did_you_mean


def presets(project: Project) -> dict[str, Path]:
    """name -> file, of every preset that the project has, by name."""
    return {path.stem: path for path in sorted((project.folder / "jobs").glob("*.toml"))}


def preset_path(project: Project, name: str) -> Path:
    """The file of the preset with that name; a name that ends in .toml is a file. UsageError if there is none."""
    if name.endswith(".toml"):
        if Path(name).is_file():
            return Path(name)
        raise UsageError(f"There is no file {name}.", "Name a preset of the project, or a file in TOML.")
    known = presets(project)
    if name not in known:
        raise UsageError(f"{project.id} has no preset {name!r}.", did_you_mean(name, list(known)))
    return known[name]
