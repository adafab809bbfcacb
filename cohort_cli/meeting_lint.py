"""What is wrong with a meeting's folder: `cohort meeting N --check`. Nothing runs, and nothing is fetched."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from cohort_cli.catalog import find_project
from cohort_cli.errors import CohortError
from cohort_cli.labs import read_cells, sections
from cohort_cli.manifest import load_toml
from cohort_cli.meetings import FORMATS, KINDS, MINUTES, Meeting

FILES = ("guide.md", "prompts.md", "facilitator.md", "slides.md", "lab.py")
PROMPTS = (8, 10)
LINKS = (
    "links.toml"  # in meetings/: each address elsewhere, and when somebody last saw that it is what we say
)
SECTIONS = {
    "guide.md": (
        "What you can do afterwards",
        "Ten minutes",
        "The core",
        "The deep dive",
        "Predict",
        "From the paper to the code",
        "Traps",
        "Hours",
    ),
    "facilitator.md": ("When nobody has read", "When nobody has prepared", "When the demo fails"),
}
_LINK = re.compile(r"\]\(([^()\s]+)(?:\s+\"[^\"]*\")?\)")
_ADDRESS = re.compile(r"https?://[^\s<>\")\]]+[^\s<>\")\].,;:]")
_COMMAND = re.compile(r"^\$ (cohort .+)$", re.MULTILINE)


def problems(meeting: Meeting, program: Any) -> list[str]:
    """One line for each. `program`: the command line, to know which commands there are."""
    return [f"{meeting.name}/{text}" for text in _problems(meeting, program)]


def _problems(meeting: Meeting, program: Any) -> Iterator[str]:
    missing = [name for name in FILES if not (meeting.folder / name).is_file()]
    yield from (f"{name} is missing" for name in missing)
    verified = _verified(meeting.folder.parent)
    for name in FILES:
        if name in missing:
            continue
        text = (meeting.folder / name).read_text(encoding="utf-8")
        for heading in SECTIONS.get(name, ()):
            if f"\n## {heading}\n" not in text:
                yield f"{name} has no section '{heading}'"
        for address in _ADDRESS.findall(text):
            if address not in verified:
                yield f"{name}: {address} is not in {LINKS} with the date on which it was verified"
        for target in _LINK.findall(text) if name.endswith(".md") else ():
            if not re.match(r"[a-z]+:", target) and not _leads_somewhere(target, meeting.folder / name):
                yield f"{name}: the link {target} leads nowhere"
    try:
        if "facilitator.md" not in missing:
            total = sum(block.minutes for block in meeting.blocks())
            if total != MINUTES:
                yield f"facilitator.md: the blocks add up to {total} minutes, not {MINUTES}"
        if "prompts.md" not in missing:
            yield from _of_prompts(meeting)
        if "lab.py" not in missing and "slides.md" not in missing and "guide.md" not in missing:
            for command in commands(meeting):
                if trouble := _wrong(command, program) or _no_section(command, meeting):
                    yield trouble
        yield from _of_traps(meeting)
    except CohortError as trouble:
        yield trouble.message


def _of_prompts(meeting: Meeting) -> Iterator[str]:
    prompts = meeting.prompts()
    low, high = PROMPTS
    if not low <= len(prompts) <= high:
        yield f"prompts.md: there are {len(prompts)} prompts; {low} to {high} are wanted"
    for number, prompt in enumerate(prompts, 1):
        if prompt.kind not in KINDS:
            yield f"prompts.md: prompt {number} has the kind {prompt.kind!r}; known: {', '.join(KINDS)}"
        if prompt.format not in FORMATS:
            yield f"prompts.md: prompt {number} has the format {prompt.format!r}; known: {'; '.join(FORMATS)}"
        if not 2 <= prompt.minutes <= 30:
            yield f"prompts.md: prompt {number} takes {prompt.minutes} minutes; 2 to 30 are possible"
        for field, value in prompt._asdict().items():
            if value in ("", ()):
                yield f"prompts.md: prompt {number} has an empty {field}"


def commands(meeting: Meeting) -> list[str]:
    """Every command that the meeting's pages ask someone to type, once each."""
    found = [prompt.try_it for prompt in meeting.prompts()]
    for name in ("guide.md", "facilitator.md", "slides.md"):
        found += _COMMAND.findall((meeting.folder / name).read_text(encoding="utf-8"))
    return list(dict.fromkeys(found))


def _wrong(command: str, program: Any) -> str:
    """Why this is no command line of the kit's, or nothing."""
    try:
        name, *words = shlex.split(command)
    except ValueError as trouble:
        return f"{command}: {trouble}"
    if name != "cohort":
        return f"{command}: it does not begin with cohort"
    verb = program
    while words and words[0] in getattr(verb, "commands", {}):
        verb = verb.commands[words.pop(0)]
    if hasattr(verb, "commands") and words:
        return f"{command}: there is no such verb"
    options = {name for option in verb.params for name in option.opts}
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in options]
    return f"{command}: there is no option {unknown[0]}" if unknown else ""


def _no_section(command: str, meeting: Meeting) -> str:
    """Why this runs no section of this meeting's own lab, if it means to."""
    words = command.split()[1:]
    if words[:2] != ["lab", str(meeting.guide.number)] or len(words) < 3 or words[2].startswith("-"):
        return ""
    known = sections(read_cells(meeting.lab))
    return "" if words[2] in known else f"{command}: this lab has no section {words[2]!r}"


def _of_traps(meeting: Meeting) -> Iterator[str]:
    """Each row of the table of traps names a check that exists."""
    text = (
        (meeting.folder / "guide.md")
        .read_text(encoding="utf-8")
        .partition("\n## Traps\n")[2]
        .partition("\n## ")[0]
    )
    rows = [row for row in text.splitlines() if row.startswith("| ")][1:]
    if not rows:
        yield "guide.md: the table of traps is empty"
    for row in rows:
        found = re.search(r"`(project\d) ([\w-]+)` \|$", row)
        if found is None:
            yield f"guide.md: this trap names no check: {row}"
            continue
        try:
            find_project(found[1]).check(found[2])
        except CohortError as trouble:
            yield f"guide.md: {trouble.message}"


def _leads_somewhere(target: str, page: Path) -> bool:
    """Whether a link leads to a file, and, if it names one, to a heading or an anchor in it."""
    path, _, anchor = target.partition("#")
    file = page.parent / path if path else page
    if not file.exists() or not anchor or file.suffix != ".md":
        return file.exists()
    text = file.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = {
        re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading.casefold()).strip()) for heading in headings
    }
    return anchor in slugs or f'id="{anchor}"' in text


def _verified(folder: Path) -> dict[str, date]:
    """Address -> the day on which somebody last saw it."""
    path = folder / LINKS
    links = load_toml(path).get("links", {}) if path.is_file() else {}
    return {address: day for address, day in links.items() if isinstance(day, date)}
