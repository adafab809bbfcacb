"""The pages of a meeting that are made from tables: its prompts, and the run sheet of the evening."""

from __future__ import annotations

from cohort_cli.meetings import Meeting


def guide_page(meeting: Meeting) -> str:
    """The guide under its title, with the question that the meeting is about and the ways to the other pages."""
    guide = meeting.guide
    head = [
        f"# Meeting {guide.number}: {guide.title}",
        f"**{guide.question}**",
        "[What to talk about](prompts.md) · [the lab](lab.py) · [the run sheet](facilitator.md) · "
        "[the slides](slides.md)",
        meeting.page("guide.md").body,
    ]
    return "\n\n".join(head)


def prompts_page(meeting: Meeting) -> str:
    parts = [f"# Meeting {meeting.guide.number}: what to talk about", meeting.page("prompts.md").body.strip()]
    for number, prompt in enumerate(meeting.prompts(), 1):
        parts += [
            f"## {number}. {prompt.ask}",
            f"{prompt.kind}, {prompt.minutes} minutes, {prompt.format}",
            f"Try it:\n\n```console\n$ {prompt.try_it}\n```",
            '<details markdown="1"><summary>For whoever leads</summary>',
            "A good answer touches:\n\n" + "\n".join(f"- {point}" for point in prompt.touches),
            f"If nobody speaks: {prompt.silence}",
            f"Listen for: {prompt.misconception}",
            "</details>",
        ]
    return "\n\n".join(part for part in parts if part) + "\n"


def sheet_page(meeting: Meeting) -> str:
    """The run sheet: minutes from the beginning, so that it fits any hour."""
    rows, start = ["| minutes | what | who | how |", "|---|---|---|---|"], 0
    for block in meeting.blocks():
        cells = (f"{start}-{start + block.minutes}", block.title, block.who, block.do)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        start += block.minutes
    body = meeting.page("facilitator.md").body.strip()
    title = f"# Meeting {meeting.guide.number}: the run sheet"
    call = f"In the terminal, with the clock running: `cohort meeting {meeting.guide.number}`."
    return "\n\n".join([title, call, "\n".join(rows), body]) + "\n"
