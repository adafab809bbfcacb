"""Writes the docs tree that MkDocs builds: plain Markdown and assets, with nothing left to do for a hook.

docs/index.md, docs/…            ->  index.md, …
projects/project2_…/guide.md     ->  projects/project2.md
projects/project0_…/units/x.md   ->  projects/project0/x.md   (a guide that is told in units)
projects/project3_…/data/x.md    ->  projects/project3/x.md   (what a data set is)
projects/…/self_check.toml       ->  self-check.md
meetings/2_attention/guide.md    ->  meetings/2_attention.md
                    /prompts.md  ->  meetings/2_attention/prompts.md, and the run sheet beside it
                    /lab.py      ->  meetings/2_attention/lab.md, run while the tree is written
                    /slides.md   ->  meetings/2_attention/slides.html, which needs nothing else
the program's own help           ->  reference/cli.md
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cohort_cli import self_check
from cohort_cli.errors import EnvironmentTrouble
from cohort_cli.meetings import find_meeting
from cohort_cli.site import deck, labs, meeting_pages
from cohort_cli.site.links import Links
from cohort_cli.site.markdown import convert
from cohort_cli.site.questions import questions_page
from cohort_cli.site.reference import reference_page

SELF_CHECK = "self-check.md"
OF_A_MEETING = {
    "prompts.md": "prompts.md",
    "facilitator.md": "facilitator.md",
    "lab.py": "lab.md",
    "slides.md": "slides.html",
}
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
        found |= {
            path.with_name(name): f"meetings/{path.parent.name}/{page}" for name, page in OF_A_MEETING.items()
        }
    if (kit / self_check.FILE).is_file():
        found[kit / self_check.FILE] = SELF_CHECK
    found[kit / "docs" / REFERENCE] = REFERENCE
    return found


@dataclass(frozen=True)
class Addition:
    """Pages that are not the kit's own, such as the gallery's.

    write: puts them into the staged tree, and gives their paths in it. reads: every file and folder that it reads.
    """

    write: Callable[[Path], Sequence[str]]
    reads: tuple[Path, ...] = ()


def require_checkout(kit: Path) -> None:
    if not (kit / "mkdocs.yml").is_file() or not (kit / "docs" / "index.md").is_file():
        raise EnvironmentTrouble(
            f"The site is built from a checkout of the kit; {kit} has no mkdocs.yml and no docs folder.",
            "Clone the kit's repository and run: pip install -e '.[site]' && cohort site build",
        )


def stage(
    kit: Path, folder: Path, program: Any, cache: Path | None = None, also: Sequence[Addition] = ()
) -> Staged:
    """Write the tree into an empty `folder`. `program` is the command line, for its reference page.

    cache: where the outputs of labs are kept, so that a lab runs once for each of its versions. also: what comes in
    when the kit's own pages are there.

    Raises EnvironmentTrouble outside a checkout and BrokenManifest for a guide that cannot be staged.
    """
    require_checkout(kit)
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
        elif path.parent.parent == kit / "meetings":
            place.write_text(_of_meeting(path, kit, links, cache), encoding="utf-8", newline="\n")
        elif path.suffix == ".md":
            page = convert(path.read_text(encoding="utf-8"), path, kit, links.rewrite)
            place.write_text(page, encoding="utf-8", newline="\n")
        else:
            shutil.copyfile(path, place)
    pages = [target for target in files.values() if target.endswith(".md")]
    for addition in also:
        pages += addition.write(folder)
    return Staged(folder, tuple(pages))


def _of_meeting(path: Path, kit: Path, links: Links, cache: Path | None) -> str:
    """One page of a meeting, or its slides."""
    meeting = find_meeting(path.parent.name, kit)
    if path.name == "lab.py":
        return labs.page(path, kit, meeting.guide.number, links.rewrite, cache)
    if path.name == "slides.md":
        return deck.deck(meeting, kit, links.rewrite)
    make = {
        "guide.md": meeting_pages.guide_page,
        "prompts.md": meeting_pages.prompts_page,
        "facilitator.md": meeting_pages.sheet_page,
    }
    return convert(make[path.name](meeting), path, kit, links.rewrite)
