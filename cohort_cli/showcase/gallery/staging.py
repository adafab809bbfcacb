"""Writes gallery/ into a staged docs tree: plain Markdown and assets, nothing left to do for a hook.

gallery/index.md               all entries                gallery/HANDLE-NAME.md    one
gallery/meetings/N.md          what was shown when        gallery/HANDLE-NAME/…     its files
gallery/compare.md             two runs                   gallery/entries.json      for the script of that page
gallery/assets/                the pages' scripts and style sheets

Every entry is read again as if it came from a stranger: a folder may have changed since it was collected. What is
refused is left out and named, and the others are published. An entry is in memory only while its page is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from cohort_cli import catalog
from cohort_cli.errors import CohortError, UsageError
from cohort_cli.group import find_cohort
from cohort_cli.meetings import Meeting
from cohort_cli.meetings import meetings as all_meetings
from cohort_cli.showcase import entry
from cohort_cli.showcase.entry import CARD, Entry
from cohort_cli.showcase.gallery import entry_page, index_page, measured, meeting_pages, scripts, settings
from cohort_cli.showcase.gallery.index_page import Shown
from cohort_cli.showcase.gallery.results import CARD_ON_SITE
from cohort_cli.showcase.strict import Refused

GALLERY = "gallery"
ENTRIES = Path("showcase") / "entries"
LARGEST = 1_000_000_000  # bytes of a site on GitHub Pages
Say = Callable[[str], None]


def find_entries(given: Path | None) -> Path | None:
    """The folder of the entries: the one that was named, the one here, the group's, or none."""
    if given is not None:
        if not given.is_dir():
            raise UsageError(
                f"There is no folder {given}.", "Collect entries first: cohort showcase collect SOURCE"
            )
        return given
    if ENTRIES.is_dir():
        return ENTRIES
    try:
        theirs = find_cohort().path.parent / ENTRIES
    except CohortError:
        return None  # no group here, or one whose file is broken: `cohort schedule` says so
    return theirs if theirs.is_dir() else None


def reads(entries: Path) -> tuple[Path, ...]:
    """Every file and folder that `write` reads beside the kit."""
    home = entries.parent
    return (entries, home / settings.FILE, *(home / name for name in measured.FOLDERS.values()))


def write(docs: Path, entries: Path, kit: Path, say: Say) -> list[str]:
    """Write the gallery into `docs`, and give its pages' paths there. `say` hears what is left out, and why.

    `docs` is a staged tree: a link to a guide is only written if the guide is there. Without a single good entry it
    stays as it is. Raises BrokenManifest for a showcase.toml that is wrong.
    """
    home, place = entries.parent, docs / GALLERY
    meetings = all_meetings(kit)
    decided = settings.read(home, [meeting.guide.number for meeting in meetings])
    guides = _guides(kit, docs)
    shown, pages, size = [], [], 0
    for one in _good(entries, say):
        known = measured.about(one, home, say)
        try:
            page = entry_page.page(one, known, guides)
        except (
            ArithmeticError,
            LookupError,
            TypeError,
            ValueError,
        ) as trouble:  # numbers that nobody thought of
            say(f"left out {one.folder}: no page can be made of it ({type(trouble).__name__})")
            continue
        pages.append(f"{one.folder}.md")
        _write(place / pages[-1], page)
        _copy(one, place / one.folder)
        shown.append(index_page.shown(one, known))
        size += sum(map(len, one.files.values()))
    if not shown:
        return []
    if size > LARGEST:
        say(f"the entries have {size / 1e9:.1f} GB; GitHub Pages shows sites of up to {LARGEST / 1e9:.0f} GB")
    pages += _meeting_pages(place, shown, meetings, decided, say)
    if len(index_page.comparable(shown)) > 1:
        pages.append("compare.md")
        _write(place / pages[-1], index_page.compare_page())
    with_page = [(meeting.guide.number, meeting.guide.title) for meeting in meetings]
    with_page = [(number, title) for number, title in with_page if f"meetings/{number}.md" in pages]
    _write(place / "index.md", index_page.index_page(shown, guides, with_page, decided.ranking))
    listed = json.dumps(index_page.for_scripts(shown), indent=1, allow_nan=False) + "\n"
    _write(place / "entries.json", listed)
    _assets(place / "assets")
    return [f"{GALLERY}/{page}" for page in pages]


def _good(entries: Path, say: Say) -> Iterator[Entry]:
    """The entries that may be shown, one after the other, in the order of their names."""
    taken: set[str] = set()
    for folder in sorted(path for path in entries.iterdir() if not path.name.startswith(".")):
        if folder.name in entry.IGNORED:
            continue
        try:
            if entry.is_link(folder.lstat()):
                raise Refused("it is a link")
            one = entry.load(folder)
            if one.folder.casefold() in taken:
                raise Refused("another entry’s name differs from its own only in capital letters")
        except (Refused, OSError) as why:
            reason = why.strerror if isinstance(why, OSError) else why
            say(f"left out {entry.shown(folder.name)}: {reason}")
            continue
        taken.add(one.folder.casefold())
        yield one


def _copy(one: Entry, folder: Path) -> None:
    """What was read is written, not what may lie there by now. The card is no page, so it does not end in .md."""
    folder.mkdir(parents=True)
    for name, data in one.files.items():
        (folder / (CARD_ON_SITE if name == CARD else name)).write_bytes(data)


def _meeting_pages(
    place: Path, shown: list[Shown], meetings: list[Meeting], decided: settings.Settings, say: Say
) -> list[str]:
    there = {one.folder for one in shown}
    for number, folders in sorted(decided.meetings.items()):
        for folder in folders:
            if folder not in there:
                say(
                    f"{settings.FILE}: meeting {number} names {entry.shown(folder)}, which is not in the gallery"
                )
    by_number = {meeting.guide.number: meeting for meeting in meetings}
    pages = []
    for number, its in meeting_pages.assign(shown, meetings, decided.meetings).items():
        meeting = by_number[number]
        has_guide = (place.parent / "meetings" / f"{meeting.name}.md").is_file()
        pages.append(f"meetings/{number}.md")
        _write(place / pages[-1], meeting_pages.page(meeting, its, has_guide))
    return pages


def _guides(kit: Path, docs: Path) -> Mapping[str, tuple[str, str]]:
    """project -> title, and the address of its guide where there is one."""
    found = {}
    for folder in sorted((kit / "projects").glob("*/project.toml")):
        try:
            project = catalog.read_project(folder.parent)
        except CohortError:
            continue  # `cohort kit verify` says what is wrong with it
        there = (docs / "projects" / f"{project.id}.md").is_file()
        number = project.id.removeprefix("project")
        found[project.id] = (f"Project {number}: {project.title}", f"projects/{project.id}/" if there else "")
    return found


def _assets(folder: Path) -> None:
    for path in scripts.files():
        _write(folder / path.name, scripts.smaller(path))


def _write(path: Path, words: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(words, encoding="utf-8", newline="\n")
