"""A meeting's lab: a Python file of cells, which is also a notebook.

    # %% [markdown] section="scores"      words, and the beginning of a section
    # ## Why divide by the root?
    # %%                                  code
    print(...)

The cells before the first section are the set-up that every section begins with. A section needs no other one, so it
can be run alone: `cohort lab 2 scores`. A lab shows a drawing with `show`: in a notebook it appears, elsewhere it
becomes a file.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

from cohort_cli.errors import BrokenManifest, UsageError
from cohort_cli.manifest import did_you_mean, read_text

_CELL = re.compile(r"^# %%(?: \[(?P<kind>markdown)\])?(?: section=\"(?P<section>[a-z0-9-]+)\")?\s*$")
FIGURES = "COHORT_LAB_FIGURES"  # the folder for drawings, where there is no notebook


class Cell(NamedTuple):
    kind: str  # "markdown" or "code"
    text: str
    line: int  # of its first line in the file, so that an error is found
    section: str  # that it belongs to; "" for the set-up


def read_cells(path: Path) -> list[Cell]:
    """The cells of a lab, in order. Raises BrokenManifest for a line that begins a cell in another way."""
    cells: list[Cell] = []
    kind, section, start, lines = "", "", 0, list[str]()

    def close() -> None:
        if kind:
            words = [re.sub(r"^# ?", "", line) for line in lines] if kind == "markdown" else lines
            cells.append(Cell(kind, "\n".join(words).strip("\n"), start, section))

    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.startswith("# %%"):
            lines.append(line)
            continue
        begins = _CELL.match(line)
        if begins is None:
            raise BrokenManifest(f'{path}:{number}: write "# %%" or "# %% [markdown] section=\\"name\\"".')
        close()
        kind, start, lines = begins["kind"] or "code", number + 1, []
        section = begins["section"] or section
    close()
    return [cell for cell in cells if cell.text]


def sections(cells: list[Cell]) -> dict[str, str]:
    """Section -> its heading, in order."""
    found: dict[str, str] = {}
    for cell in cells:
        if cell.section and cell.section not in found:
            found[cell.section] = cell.text.splitlines()[0].lstrip("# ")
    return found


def code_of(path: Path, section: str) -> str:
    """The set-up and one section as a program whose lines are the file's. Raises UsageError for an unknown section."""
    cells = read_cells(path)
    known = sections(cells)
    if section not in known:
        raise UsageError(f"This lab has no section {section!r}.", did_you_mean(section, list(known)))
    out: list[str] = []
    for cell in cells:
        if cell.kind == "code" and cell.section in ("", section):
            out += [""] * (cell.line - 1 - len(out)) + cell.text.splitlines()
    return "\n".join(out) + "\n"


# --- inside a lab ----------------------------------------------------------------------------------------------

_shown = 0


def use(project: str) -> None:
    """The kit's own answer of a project can be imported from here on, such as `from attention import softmax`."""
    from cohort_cli.catalog import find_project

    sys.path.insert(0, str(find_project(project).reference))


def show(drawing: str, alt: str, caption: str = "") -> None:
    """Show an <svg> element. `alt` says in a sentence what it shows, for those who do not see it."""
    global _shown
    if not alt.strip():
        raise ValueError("a drawing needs its words: show(drawing, alt)")
    if (notebook := _notebook()) is not None:
        metadata = {"image/svg+xml": {"alt": alt, "caption": caption}}
        data = {"image/svg+xml": drawing, "text/plain": alt}
        notebook(data, metadata=metadata, raw=True)
        return
    _shown += 1
    folder = Path(os.environ.get(FIGURES) or ".")
    path = folder / f"{os.environ.get('COHORT_LAB', 'lab')}-{_shown}.svg"
    from cohort_cli.training import svg

    path.write_text(svg.alone(drawing), encoding="utf-8")
    print(f"[{alt}]\ndrawn in {path}")


def _notebook() -> Any:
    """IPython's display function, if this runs in a notebook."""
    kernel = sys.modules.get("IPython")
    shell = kernel.get_ipython() if kernel is not None else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    from IPython.display import display

    return display
