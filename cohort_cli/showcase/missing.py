"""What an entry still lacks before it is shown to others: what is refused, what is not answered, what is empty."""

from __future__ import annotations

from pathlib import Path

from cohort_cli.showcase import card, entry
from cohort_cli.showcase.entry import CARD, Entry
from cohort_cli.showcase.strict import Refused


def in_folder(folder: Path) -> list[str]:
    """A line for each thing; none if the entry is complete."""
    try:
        return in_entry(entry.load(folder))
    except Refused as why:
        return [str(why)]


def in_entry(one: Entry) -> list[str]:
    found = [f"{CARD}: {line}" for line in card.unfinished(one.card)]
    projects = one.parsed["verdicts.json"]["projects"]
    states = [state for facts in projects.values() for state in facts["checks"].values()]
    if one.head["kind"] == "project":
        if "ok" not in states:
            found.append("verdicts.json: no check is ok yet: cohort check, then cohort showcase add")
        return found
    if one.parsed["config.json"]["source"] == "mine" and not states:
        found.append(
            "verdicts.json: no verdict on the code that was trained: add it from inside the workspace"
        )
    if one.head["claims"]["validation_loss"] is None:
        found.append("metrics.jsonl: no validation loss was measured: cohort train … --resume")
    if not one.parsed["samples.jsonl"]:
        found.append("samples.jsonl: there is no sample")
    return found
