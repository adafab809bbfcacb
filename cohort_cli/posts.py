"""Ready texts for whatever channel the group uses, filled from the calendar and from the results log."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from cohort_cli import ics, when
from cohort_cli.group import Group, Meeting
from cohort_cli.roles import Roles

# An absolute path: it tells strangers somebody's name, and helps nobody. "\n\n" is none, nor is b"\xf0\x9f".
_NAME = r"""[^\s\\/"'`,;:()\[\]{}<>|]+"""
PATH = re.compile(
    rf"(?<![\w.:/\\])(?:~?(?:/+{_NAME}){{2,}}/?|(?:~|[A-Za-z]:)(?:[\\/]+{_NAME})+[\\/]?|\\\\\w{{3,}}(?:\\+{_NAME})+)"
)
LONGEST = 600  # characters of "expected" and of "got"
ASK = {
    "presenter": "presents",
    "backup": "stands by, and presents the next one",
    "breaker": "prepares the game of finding faults",
    "scribe": "writes down what we find",
    "clock": "watches the time",
}


def announcement(group: Group, meeting: Meeting, roles: Roles, today: date) -> str:
    """When, where, and who does what."""
    ends = ics.ends(meeting)
    rows = [
        f"{group.name}, meeting {meeting.number}: {meeting.title}",
        f"{when.write_date(meeting.day)}, {meeting.clock:%H:%M} to {ends:%H:%M} ({group.zone}), "
        f"{when.in_days(meeting.day, today)}",
    ]
    rows += _where(group, meeting)
    jobs = [f"{who} {ASK[job]}" for job, who in roles.items()]
    if jobs:
        rows += ["", "; ".join(jobs) + "."]
    if "presenter" not in roles:
        rows += ["", "Nobody presents yet. Who would like to?"]
    return "\n".join([*rows, "", "If you cannot come, please say so here."])


def nudge(group: Group, meeting: Meeting, roles: Roles, today: date) -> str:
    """The weekly one: how long until the next meeting, and what helps until then."""
    presenter = f", and {roles['presenter']} presents" if "presenter" in roles else ""
    return "\n".join(
        [
            f"Meeting {meeting.number} ({meeting.title}) is {when.in_days(meeting.day, today)}: "
            f"{when.write_date(meeting.day)} at {meeting.clock:%H:%M} ({group.zone}){presenter}.",
            "",
            "Where were you? `cohort status` knows, and `cohort` alone says what to do next.",
            "Stuck for more than half an hour? One rung of `cohort hint`, then ask here:",
            "`cohort post stuck PROJECT CHECK` writes the question for you, without your code.",
        ]
    )


def stuck(project: str, title: str, check: dict[str, Any]) -> str:
    """What was run, what was expected and what came; no line of code and no path."""
    rows = [
        f"I am stuck at {project}, {check['id']}: {title}",
        "",
        f"command   cohort check {project} {check['id']}",
        f"verdict   {check['state']}",
    ]
    for name in ("expected", "got"):
        if check.get(name):
            rows += _indented(name, check[name])
    if not check.get("got") and check.get("message"):
        rows += _indented("message", str(check["message"]).strip().split("\n")[0])
    if check.get("mistake"):
        rows += _indented("mistake", f"{check['mistake']} (the kit knows it by this name)")
    return "\n".join([*rows, "", "What I have tried: "])


def _where(group: Group, meeting: Meeting) -> list[str]:
    place, link = meeting.place or group.place, meeting.link or group.link
    return [text for text in (place, link) if text]


def _indented(name: str, text: str) -> list[str]:
    """The text behind its name, with paths left out, and cut where it is very long."""
    text = PATH.sub("(a path)", str(text))
    if len(text) > LONGEST:
        text = text[:LONGEST].rstrip() + " …"
    first, *rest = text.split("\n")
    return [f"{name:<9} {first}".rstrip(), *(f"          {row}".rstrip() for row in rest)]
