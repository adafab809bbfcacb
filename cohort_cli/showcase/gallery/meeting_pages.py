"""A page for each meeting at which something was shown.

showcase.toml says what was shown at which meeting. An entry that no list there names is shown at the last meeting whose
guide names its project: by then it is due. A project that no guide names is shown at the last meeting of all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cohort_cli.meetings import Meeting
from cohort_cli.showcase.gallery import scripts
from cohort_cli.showcase.gallery.entry_page import block, front
from cohort_cli.showcase.gallery.index_page import Shown, cards, in_order
from cohort_cli.showcase.gallery.safe import plain


def due(project: str, meetings: Sequence[Meeting]) -> int | None:
    """The number of the meeting; None if there are none."""
    naming = [meeting.guide.number for meeting in meetings if project in meeting.guide.projects]
    return max(naming or [meeting.guide.number for meeting in meetings], default=None)


def assign(
    entries: Sequence[Shown], meetings: Sequence[Meeting], lists: Mapping[int, Sequence[str]]
) -> dict[int, list[Shown]]:
    """Meeting -> what was shown there; only meetings with something."""
    by_folder = {one.folder: one for one in entries}
    listed = {folder for folders in lists.values() for folder in folders}
    found: dict[int, list[Shown]] = {}
    for number, folders in lists.items():
        found[number] = [by_folder[folder] for folder in dict.fromkeys(folders) if folder in by_folder]
    for one in in_order(entries):
        number_due = due(one.project, meetings)
        if one.folder not in listed and number_due is not None:
            found.setdefault(number_due, []).append(one)
    return {number: shown for number, shown in sorted(found.items()) if shown}


def page(meeting: Meeting, shown: Sequence[Shown], has_guide: bool) -> str:
    """The order is that of the list in showcase.toml, as on the evening."""
    number = meeting.guide.number
    heading = f"Meeting {number}: {plain(meeting.guide.title)}"
    links = ["[All entries](../index.md)"]
    if has_guide:
        links.append(f"[The meeting’s guide](../../meetings/{meeting.name}.md)")
    return (
        front(f"Shown at meeting {number}")
        + f"# {heading}\n\nWhat was shown at this meeting. {' · '.join(links)}\n\n"
        + block(scripts.styles("../../") + cards(shown, "../../"))
        + "\n"
    )
