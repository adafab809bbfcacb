"""The tables of an entry's page: what is claimed and what was measured, scores, verdicts, files."""

from __future__ import annotations

from collections import Counter
from typing import Any

from cohort_cli.showcase.entry import CARD, HEAD, Entry
from cohort_cli.showcase.gallery.measured import Claim, Known
from cohort_cli.showcase.gallery.safe import text

NAMES = {
    "bits_per_byte": "bits per byte",
    "validation_loss": "validation loss, nats per token",
    "parameters": "parameters",
    "steps": "steps",
}
CARD_ON_SITE = "card.txt"  # a builder would make a page of a file that ends in .md


def number(value: float | int | None) -> str:
    """Digits, dots, commas and signs, which mean nothing in HTML."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def numbers(one: Entry, known: Known) -> str:
    """What the entry claims, what the organiser measured, and in words how the two stand to each other."""
    measured, again = known.measured, known.reproduced
    rows = []
    for key, name in NAMES.items():
        claimed = one.head["claims"][key]
        found = measured.claims.get(key) if measured else None
        shown = number(_whole(found.measured, key) if found else None)
        if measured and key == "bits_per_byte":
            shown = f"{number(measured.bits_per_byte)} ({number(measured.low)} to {number(measured.high)})"
        elif measured and key == "parameters":
            shown = number(measured.parameters)
        if claimed is None and shown == "–":
            continue
        cells = [number(claimed), shown, _state(claimed, found)]
        if again:
            cells.append(number(again.got.get(key)))
        rows.append([name, *cells])
    if not rows:
        return ""
    head = ["what", "claimed", "measured", "what that means", *(["run again"] if again else [])]
    return table("The numbers", head, rows) + _below(known)


def _whole(value: float | None, key: str) -> float | int | None:
    return int(value) if value is not None and key in ("parameters", "steps") else value


def _state(claimed: float | None, found: Claim | None) -> str:
    if found is None:
        return "claimed, not measured" if claimed is not None else "measured, not claimed"
    within = "" if found.tolerance is None else f" (by more than {number(found.tolerance)})"
    return {
        "confirmed": "✓ confirmed",
        "outside": f"✗ outside its tolerance{within}",
        "not comparable": "not comparable: another text",
        "not claimed": "measured, not claimed",
    }[found.state]


def _below(known: Known) -> str:
    said = []
    if (found := known.measured) is not None:
        said.append(
            f"Measured on {text(found.day)} by whoever keeps the showcase, with the weights of this page, on "
            f"{found.tokens:,} tokens of {text(found.text_name)}. In brackets: the 95 % interval."
        )
    elif known.stale:
        said.append(
            "There is a measurement, but of other weights than those of this page, so it does not count."
        )
    if again := known.reproduced:
        whose = "the organiser’s own code" if again.code == "mine" else "the kit’s own code"
        how = "with the same configuration."
        if again.steps:
            how = f"but {again.steps[0]:,} steps in place of {again.steps[1]:,}: the difference says little."
        said.append(f"Run again on {text(again.day)} with {whose}, {how}")
    return f"<p>{' '.join(said)}</p>" if said else ""


def evaluation(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    cells = [
        [
            text(row["benchmark"]),
            text(row["measure"]),
            number(float(row["value"])) + (f" ± {number(float(row['error']))}" if "error" in row else ""),
            number(float(row["chance"])) if "chance" in row else "–",
            f"{row['n']:,} of {row['of']:,}",
            f"{row['step']:,}",
        ]
        for row in rows
    ]
    head = ["benchmark", "measure", "value", "by chance", "items", "step"]
    return table("Scores, as the entry gives them", head, cells)


def verdicts(one: Entry) -> str:
    """For each project a count, with the checks folded behind it."""
    found = []
    for project, facts in one.parsed["verdicts.json"]["projects"].items():
        states = facts["checks"]
        good = sum(state == "ok" for state in states.values())
        counts = Counter(state for state in states.values() if state != "ok")
        others = "".join(f", {count} {text(state)}" for state, count in sorted(counts.items()))
        listed = "".join(f"<li>{text(check)}: {text(state)}</li>" for check, state in states.items())
        found.append(
            f"<details><summary>{text(project)}: {good} ok of {len(states)}{others}</summary>"
            f"<ul>{listed}</ul></details>"
        )
    below = "<p>As the entry gives them: nobody has run these checks again.</p>"
    return "".join(found) + below if found else ""


def files(one: Entry) -> str:
    """Every file, to download; with what makes sure that it arrived whole."""
    rows = []
    for name in sorted(one.files):
        shown = CARD_ON_SITE if name == CARD else name
        digest = one.head["files"].get(name, {}).get("sha256", "")
        seal = f"<code>{digest}</code>" if digest else "–"
        rows.append(
            [f'<a href="./{shown}" download>{shown}</a>', f"{len(one.files[name]):,}", seal],
        )
    below = f"<p><code>{HEAD}</code> names the checksums of the others; the card may still be written.</p>"
    return table("Files", ["file", "bytes", "SHA-256"], rows) + below


def table(caption: str, head: list[str], rows: list[list[str]]) -> str:
    """Of cells that are HTML already. The first of each row is its name. On a phone it scrolls in a box of its own."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    return (
        f'<div class="cohort-scroll" tabindex="0" role="region" aria-label="{caption}"><table>'
        f"<caption>{caption}</caption><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )
