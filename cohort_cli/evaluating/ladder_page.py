"""The ladder as a picture and as a page that needs nothing else. The same rungs give the same bytes. No torch."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

import cohort_cli
from cohort_cli.evaluating.ladder import Rung, Text, bits_per_byte
from cohort_cli.prose import clean
from cohort_cli.training import svg

WIDTH, ROW, LEFT, RIGHT, TOP, BOTTOM = 720, 40, 84, 96, 64, 52
OPEN = "not climbed yet"
MOST_NATS = 9  # on the axis; a uniform guess has about 4.6
STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:54rem;margin:2rem auto;padding:0 1rem;overflow-wrap:anywhere}
table{border-collapse:collapse}th,td{border-bottom:1px solid #8886;padding:.3rem .9rem .3rem 0;text-align:left}
td.n{text-align:right;font-variant-numeric:tabular-nums}
figure{margin:1rem 0}svg{max-width:100%;height:auto}
"""
WHAT = {
    "uniform": "It knows the alphabet and nothing else.",
    "unigram": "It knows how often each character occurs.",
    "bigram": "It knows which character follows which: a table of V by V counts.",
    "trigram": "It knows which character follows which two: V times as many counts, most of them 0.",
    "MLP": "It looks back three characters. A table would need V to the fourth counts; this is a small network.",
    "GPT": "It looks back as far as its context reaches, and decides by attention what matters there.",
}


def picture(rungs: Sequence[Rung], about: Text) -> str:
    """An <svg> element: one bar for each rung, nats per character below, bits per byte above. Shorter is better."""
    height = TOP + ROW * len(rungs) + BOTTOM
    highest = max(rung.nats for rung in rungs if rung.nats is not None)
    most = min(math.ceil(highest + 1e-9), MOST_NATS)  # a longer bar ends at the edge
    unit = (WIDTH - LEFT - RIGHT) / most
    factor = bits_per_byte(1.0, about.validation)
    parts = []
    floor = height - BOTTOM
    for nats in range(most + 1):
        x = LEFT + nats * unit
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP}V{floor}"/>')
        parts.append(f'<text x="{x:.1f}" y="{floor + 18}" text-anchor="middle">{nats}</text>')
    for bits in range(math.floor(most * factor) + 1):
        x = LEFT + bits / factor * unit
        parts.append(f'<path class="axis" d="M{x:.1f} {TOP - 5}v5"/>')
        parts.append(f'<text x="{x:.1f}" y="{TOP - 10}" text-anchor="middle">{bits}</text>')
    parts.append(f'<path class="axis" d="M{LEFT} {TOP}H{LEFT + most * unit:.1f}M{LEFT} {TOP}V{floor}"/>')
    middle = LEFT + most * unit / 2
    parts.append(f'<text x="{middle:.1f}" y="{TOP - 30}" text-anchor="middle">bits per byte</text>')
    parts.append(f'<text x="{middle:.1f}" y="{floor + 38}" text-anchor="middle">nats per character</text>')
    for number, rung in enumerate(rungs):
        y = TOP + ROW * number + ROW / 2
        parts.append(
            f'<text x="{LEFT - 10}" y="{y + 4:.1f}" text-anchor="end">{html.escape(rung.name)}</text>'
        )
        if rung.nats is None:
            parts.append(f'<text x="{LEFT + 8}" y="{y + 4:.1f}" opacity="0.7">{OPEN}</text>')
            continue
        wide = min(rung.nats, most) * unit
        colour = svg.COLOURS[0] if rung.mine else svg.COLOURS[1]
        look = f'fill="{colour}" stroke="{colour}"' + ("" if rung.mine else ' fill-opacity="0.35"')
        parts.append(f'<rect x="{LEFT}" y="{y - 11:.1f}" width="{wide:.1f}" height="22" {look}/>')
        parts.append(f'<text x="{LEFT + wide + 8:.1f}" y="{y + 4:.1f}">{rung.nats:.3f}</text>')
    says = "; ".join(
        f"{rung.name} {OPEN if rung.nats is None else format(rung.nats, '.3f')}" for rung in rungs
    )
    title = "The ladder: loss on the same held-out text"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="system-ui,sans-serif" font-size="12" '
        f'role="img" aria-label="{title}, nats per character: {html.escape(says)}"><title>{title}</title>'
        f"<desc>{html.escape(says)}</desc>{''.join(parts)}</svg>"
    )


def page(rungs: Sequence[Rung], about: Text) -> str:
    rows = []
    for rung in rungs:
        numbers = ("", "")
        if rung.nats is not None:
            numbers = (f"{rung.nats:.4f}", f"{bits_per_byte(rung.nats, about.validation):.4f}")
        lead = (
            html.escape(clean(rung.says))
            if rung.nats is not None
            else f"<code>{html.escape(rung.says)}</code>"
        )
        rows.append(
            f'<tr><th scope="row">{rung.name}</th><td class="n">{numbers[0]}</td><td class="n">{numbers[1]}</td>'
            f"<td>{lead}</td><td>{WHAT[rung.name]}</td></tr>"
        )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>The ladder</title><style>{STYLE}{svg.STYLE}</style></head>\n<body><main>\n<h1>The ladder</h1>\n"
        f"<p>Every model has learned from the same {len(about.train):,} characters and is scored on the same "
        f"{len(about.validation):,} that it has not seen. Shorter is better. A full bar is your own code, a pale one is "
        "the kit's.</p>\n"
        f"<figure>{picture(rungs, about)}</figure>\n"
        '<table><thead><tr><th scope="col">rung</th><th scope="col">nats per character</th>'
        '<th scope="col">bits per byte</th><th scope="col">from</th><th scope="col">what it knows</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>\n</main>\n"
        f"<footer><p>Made by cohort {cohort_cli.__version__} with <code>cohort ladder</code>.</p></footer>"
        "</body></html>\n"
    )
