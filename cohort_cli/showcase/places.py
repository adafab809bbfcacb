"""Where the group's entries lie, and what the organiser found out about them:

showcase/entries/HANDLE-NAME/           as `cohort showcase collect` took them
showcase/measured/HANDLE-NAME.json      what `cohort showcase verify` measured
showcase/reproduced/HANDLE-NAME.json    what `cohort showcase reproduce` got
"""

from __future__ import annotations

from pathlib import Path

from cohort_cli.errors import NoCohort, UsageError
from cohort_cli.prose import clean

ENTRIES = Path("showcase") / "entries"
MEASURED, REPRODUCED = "measured", "reproduced"


def entries_home(given: Path | None = None) -> Path:
    """The folder that was named; else showcase/entries here, else in the group's folder. Raises UsageError."""
    if given is not None:
        if not given.is_dir():
            raise UsageError(f"There is no folder {given}.", "cohort showcase collect SOURCE")
        return given
    if ENTRIES.is_dir():
        return ENTRIES
    from cohort_cli.group import find_cohort

    try:
        of_group = find_cohort().path.parent / ENTRIES
    except NoCohort:
        of_group = ENTRIES
    if of_group.is_dir():
        return of_group
    raise UsageError(
        f"There is no {ENTRIES.as_posix()} here.", "cohort showcase collect SOURCE, or --entries FOLDER"
    )


def folders(home: Path, names: list[str] | None = None) -> list[Path]:
    """The entries of these names, else all, in the order of their names. A name may be a path, too."""
    if names:
        return [_named(home, name) for name in names]
    found = [path for path in sorted(home.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    if not found:
        raise UsageError(f"There is no entry in {home}.", "cohort showcase collect SOURCE")
    return found


def _named(home: Path, name: str) -> Path:
    for path in (home / name, Path(name)):
        if (path / "entry.json").is_file():
            return path
    raise UsageError(f"There is no entry {clean(name)} in {home}.", f"See: {home.as_posix()}")


def beside(home: Path, what: str, entry: str) -> Path:
    """The organiser's own file about an entry, beside the folder of entries."""
    return home.absolute().parent / what / f"{entry}.json"
