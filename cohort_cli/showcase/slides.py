"""Slides of entries for the last meetup: of each its numbers and its curve, then what it wrote and what went wrong.

All that a member wrote is text here, never markup, and is cut so that it fits.
"""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

from cohort_cli.errors import NothingRan
from cohort_cli.prose import clean
from cohort_cli.showcase import card, entry, places, verify
from cohort_cli.showcase.entry import Entry
from cohort_cli.showcase.gallery import measured as of_organiser
from cohort_cli.showcase.strict import Refused
from cohort_cli.training.config import from_dict
from cohort_cli.training.live import said
from cohort_cli.training.report import loss_chart

TITLE = "What we made"
LONGEST_TITLE, LONGEST_TEXT = 80, 600
LINES = 6
STYLE = """
.slide h2, .slide p, .slide td, .slide pre { overflow-wrap: anywhere }
.slide h2 { -webkit-box-orient: vertical; -webkit-line-clamp: 2; display: -webkit-box; overflow: hidden }
.slide h2 { margin-bottom: 8px }
.slide .who { font-size: 26px; opacity: .8 }
.slide .two { align-items: start; display: grid; gap: 40px; grid-template-columns: 360px 1fr }
.slide .two svg { width: 100% }
.slide .two td:first-child { white-space: nowrap }
.slide .two table { font-size: 24px }
.slide .two td { padding-right: 14px; vertical-align: top }
.slide .two table { width: 100% }
.slide .two td:last-child { font-variant-numeric: tabular-nums; text-align: right }
.slide .two small { display: block; font-size: 18px; opacity: .8; white-space: nowrap }
.slide h3 { color: var(--blue); font-size: 28px; margin: 0 0 8px }
.slide pre.sample, .slide p.wrong { -webkit-box-orient: vertical; display: -webkit-box; overflow: hidden }
.slide pre.sample { -webkit-line-clamp: 6; max-height: 196px; padding-bottom: 0; white-space: pre-wrap }
.slide p.wrong { -webkit-line-clamp: 5; font-size: 26px; line-height: 1.35; white-space: pre-line }
"""
Slide = tuple[str, str]  # (HTML, the presenter's note)


def of(folders: list[Path], home: Path) -> tuple[list[Slide], list[str]]:
    """The slides, and why which entry has none. Raises NothingRan if none can be shown."""
    found: list[Entry] = []
    notes = []
    for folder in folders:
        try:
            found.append(entry.load(folder))
        except Refused as why:
            notes.append(clean(f"{folder.name} is left out: {why}").replace("\n", " "))
    if not found:
        raise NothingRan(
            "No entry can be shown." + "".join(f"\n{note}" for note in notes),
            "cohort showcase collect SOURCE",
        )
    makers = sorted({one.head["handle"] for one in found}, key=str.casefold)
    shown = [(f"<h1>{TITLE}</h1><p>{_text(', '.join(makers), 300)}</p>", "")]
    for one in found:
        shown += _slides(one, home)
    return shown, notes


def _slides(one: Entry, home: Path) -> list[Slide]:
    head = one.head
    title = f"<h2>{_text(head['title'], LONGEST_TITLE)}</h2>"
    who = f'<p class="who"><bdi>{_text(head["handle"])}</bdi>, {_text(head["project"])}, {_text(head["created"])}</p>'
    table = "".join(f"<tr><td>{name}</td><td>{value}</td></tr>" for name, value in _numbers(one, home))
    first = f'{title}{who}<div class="two"><table>{table}</table>{_curve(one)}</div>'
    second = _sample(one) + _wrong(one)
    return [(first, "")] + ([(f"{title}{second}", "")] if second else [])


# --- numbers ---------------------------------------------------------------------------------------------------


def _numbers(one: Entry, home: Path) -> list[tuple[str, str]]:
    """(what, value as HTML). Measured values stand before claimed ones, and each says what it is."""
    claims = one.head["claims"]
    record = verify.read(places.beside(home, places.MEASURED, one.folder))
    measured = record if verify.current(record, one) else {}
    if one.head["kind"] == "project":
        states = [
            state
            for facts in one.parsed["verdicts.json"]["projects"].values()
            for state in facts["checks"].values()
        ]
        return [("checks that pass", _marked(f"{states.count('ok')} of {len(states)}", "claimed"))]
    found = []
    if measured:
        share = measured["bits_per_byte"]
        between = f"measured<br>95 %: {share['low']:.3f} to {share['high']:.3f}"
        found.append(("bits per byte", _marked(f"{share['value']:.3f}", between)))
        found += [("its claim", _marked(_number(claim["claimed"]), "outside of the tolerance"))
                  for key, claim in measured["claims"].items()
                  if key == "bits_per_byte" and claim["state"] == verify.OUTSIDE]  # fmt: skip
    elif claims["bits_per_byte"] is not None:
        found.append(("bits per byte", _marked(f"{claims['bits_per_byte']:.3f}", "claimed, not measured")))
    elif claims["validation_loss"] is not None:
        found.append(("loss per token", _marked(f"{claims['validation_loss']:.3f}", "claimed, not measured")))
    parameters = measured.get("parameters", claims["parameters"])
    found += (
        [("parameters", _marked(f"{parameters:,}", "" if measured else "claimed"))]
        if parameters is not None
        else []
    )
    found += [("steps", f"{claims['steps']:,}")] if claims["steps"] is not None else []
    got = _done_again(one, home)
    return found + (
        [("done again", _marked(f"{got[0]:.3f}", f"loss, by the organiser{got[1]}"))] if got else []
    )


def _done_again(one: Entry, home: Path) -> tuple[float, str] | None:
    """(the loss that the organiser got from the configuration that is in the entry now, what else is to be said)"""
    try:
        record = json.loads(places.beside(home, places.REPRODUCED, one.folder).read_bytes())
        same = record["config_sha256"] == one.head["files"]["config.json"]["sha256"]
        steps = of_organiser.shorter(record)
        note = f"<br>{steps[0]:,} steps, not {steps[1]:,}" if steps else ""
        return (float(record["validation_loss"]["got"]), note) if same else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError, Refused):
        return None


def _marked(value: str, mark: str) -> str:
    return value + (f"<small>{mark}</small>" if mark else "")


def _number(value: float) -> str:
    return f"{value:.3f}"


def _curve(one: Entry) -> str:
    if "config.json" not in one.parsed:
        return ""
    config = from_dict(one.parsed["config.json"]["config"], Path("config.json"))
    return f"<figure>{loss_chart(config, one.parsed['metrics.jsonl'], [])}</figure>"


# --- texts -----------------------------------------------------------------------------------------------------


def _sample(one: Entry) -> str:
    rows: list[dict[str, Any]] = one.parsed.get("samples.jsonl") or []
    if not rows:
        return ""
    prompt, text = said(rows[-1])
    shown = f"<b>{_text(prompt, 100)}</b>{_text(text, LONGEST_TEXT)}"
    return f'<h3>It writes</h3><pre class="sample" dir="auto">{shown}</pre>'


def _wrong(one: Entry) -> str:
    words = card.words(card.sections(one.card).get("what went wrong", ""))
    return (
        f'<h3>What went wrong</h3><p class="wrong" dir="auto">{_text(words, LONGEST_TEXT)}</p>'
        if words
        else ""
    )


def _text(words: str, most: int = 60) -> str:
    """As text, cut, and without empty lines."""
    words = "\n".join([line for line in clean(words).split("\n") if line.strip()][:LINES])
    return html.escape(words if len(words) <= most else words[: most - 1].rstrip() + "…")
