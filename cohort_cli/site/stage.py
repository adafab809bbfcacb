"""Writes the docs tree that MkDocs builds: plain Markdown and assets, with nothing left to do for a hook.

docs/index.md, docs/…            ->  index.md, …
projects/project2_…/guide.md     ->  projects/project2.md
projects/project0_…/units/x.md   ->  projects/project0/x.md   (a guide that is told in units)
projects/project3_…/data/x.md    ->  projects/project3/x.md   (what a data set is)
projects/…/self_check.toml       ->  self-check.md
meetings/2_attention/guide.md    ->  meetings/2_attention.md
the program's own help           ->  reference/cli.md
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cohort_cli import self_check
from cohort_cli.errors import EnvironmentTrouble
from cohort_cli.site.links import Links
from cohort_cli.site.markdown import convert
from cohort_cli.site.questions import questions_page
from cohort_cli.site.reference import reference_page

SELF_CHECK = "self-check.md"
REFERENCE = "reference/cli.md"  # generated, so docs/ holds no such file


@dataclass(frozen=True)
class Staged:
    """What was written: the folder, and every page's path in it."""

    folder: Path
    pages: tuple[str, ...]


def sources(kit: Path) -> dict[Path, str]:
    """Every file that goes on the site: its real path in the kit -> its path in the staged tree."""
    kit = kit.resolve()
    found = {
        path: path.relative_to(kit / "docs").as_posix()
        for path in sorted((kit / "docs").rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }
    for path in sorted((kit / "projects").glob("*/guide.md")):
        found[path] = f"projects/{path.parent.name.partition('_')[0]}.md"
    for path in sorted([*(kit / "projects").glob("*/units/*.md"), *(kit / "projects").glob("*/data/*.md")]):
        found[path] = f"projects/{path.parents[1].name.partition('_')[0]}/{path.name}"
    for path in sorted((kit / "meetings").glob("*/guide.md")):
        found[path] = f"meetings/{path.parent.name}.md"
    if (kit / self_check.FILE).is_file():
        found[kit / self_check.FILE] = SELF_CHECK
    found[kit / "docs" / REFERENCE] = REFERENCE
    return found


def stage(kit: Path, folder: Path, program: Any) -> Staged:
    """Write the tree into an empty `folder`. `program` is the command line, for its reference page.

    Raises EnvironmentTrouble outside a checkout and BrokenManifest for a guide that cannot be staged.
    """
    if not (kit / "mkdocs.yml").is_file() or not (kit / "docs" / "index.md").is_file():
        raise EnvironmentTrouble(
            f"The site is built from a checkout of the kit; {kit} has no mkdocs.yml and no docs folder.",
            "Clone the kit's repository and run: pip install -e '.[site]' && cohort site build",
        )
    files = sources(kit)
    links = Links(kit, files)
    for path, target in files.items():
        place = folder / target
        place.parent.mkdir(parents=True, exist_ok=True)
        if target == REFERENCE:
            place.write_text(reference_page(program), encoding="utf-8", newline="\n")
        elif target == SELF_CHECK:
            page = questions_page(self_check.read_questions(kit))
            place.write_text(page, encoding="utf-8", newline="\n")
        elif path.suffix == ".md":
            page = convert(path.read_text(encoding="utf-8"), path, kit, links.rewrite)
            place.write_text(page, encoding="utf-8", newline="\n")
        else:
            shutil.copyfile(path, place)
    return Staged(folder, tuple(target for target in files.values() if target.endswith(".md")))
