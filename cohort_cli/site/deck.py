"""Slides: one Markdown file becomes one HTML file that needs nothing else, on the projector and on paper.

`---` on a line of its own ends a slide. What follows `Note:` at the beginning of a line is for the presenter. Maths,
figures and code are those of the other pages. Keys: arrows, Home and End, n for notes, f for the full screen. A slide is
1280 by 720; printed, each is a page.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from cohort_cli.errors import EnvironmentTrouble
from cohort_cli.meetings import Meeting, require
from cohort_cli.site import policy
from cohort_cli.site.markdown import Place, convert

SCHEMA = "cohort.slides/1"
_FENCE = re.compile(r"^(`{3,}|~{3,})", re.MULTILINE)


class Slide(NamedTuple):
    text: str
    note: str
    line: int  # in the file


def slides(meeting: Meeting) -> list[Slide]:
    """Every slide, in order. Code blocks may hold a line `---`."""
    page = meeting.page("slides.md")
    require(page, SCHEMA, ("by",))
    found: list[Slide] = []
    lines: list[str] = []
    fenced = False
    first = page.first_line
    for number, line in enumerate([*page.body.splitlines(), "---"], page.first_line):
        fenced ^= _FENCE.match(line) is not None
        if line.strip() != "---" or fenced:
            lines.append(line)
            continue
        text, _, note = "\n".join(lines).partition("\nNote:")
        found.append(Slide(text.strip(), note.strip(), first))
        lines, first = [], number + 1
    return [slide for slide in found if slide.text]


def deck(meeting: Meeting, kit: Path, link: Callable[[str, Place], str], live: Sequence[str] = ()) -> str:
    """The HTML file. `live`: slides made today, as HTML that is safe already, before the last one.

    Raises EnvironmentTrouble where the library for Markdown is missing.
    """
    try:
        import markdown
    except ImportError:
        raise EnvironmentTrouble(
            "Slides are made with Python-Markdown.", 'pip install "cohort-kit[site]"'
        ) from None
    path = meeting.folder / "slides.md"
    title = f"Meeting {meeting.guide.number}: {meeting.guide.title}"
    parts: list[tuple[str, str]] = []
    for slide in slides(meeting):
        shown, note = (
            markdown.markdown(
                convert(text, path, kit, link),
                extensions=["fenced_code", "tables", "md_in_html", "attr_list"],
            )
            for text in (slide.text, slide.note)
        )
        parts.append((shown, f"<aside>{note}</aside>" if note else ""))
    parts[-1:-1] = [(shown, "") for shown in live]
    return page(title, parts)


def page(title: str, parts: Sequence[tuple[str, str]], style: str = "") -> str:
    """The HTML file of slides that are HTML already: (what is shown, the presenter's note). `style`: more CSS."""
    sections = [
        f'<section id="{number}"><div class="slide">{shown}</div>{aside}</section>'
        for number, (shown, aside) in enumerate(parts, 1)
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy.alone(SCRIPT)}">'
        f'<meta name="viewport" content="width=device-width"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}{style}</style></head>\n"
        f"<body>\n{chr(10).join(sections)}\n<script>{SCRIPT}</script></body></html>\n"
    )


STYLE = """
@page { size: 1280px 720px; margin: 0 }
:root { color-scheme: light dark; --paper: #fff; --ink: #1f2328; --blue: #0072B2; --vermillion: #C25500 }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16191d; --ink: #e6edf3; --blue: #6CB9E6; --vermillion: #FF9A52 }
}
* { box-sizing: border-box }
html, body { background: #777; color: var(--ink); font: 30px/1.4 system-ui, sans-serif; margin: 0 }
body { align-items: center; display: flex; flex-direction: column; justify-content: center; min-height: 100vh }
section { display: none }
section.now { display: block }
.slide { background: var(--paper); height: 720px; overflow: hidden; padding: 56px 80px; width: 1280px }
.slide { zoom: var(--zoom, 1) }
.slide h1 { color: var(--blue); font-size: 60px; line-height: 1.15; margin: 120px 0 24px }
.slide h2 { color: var(--blue); font-size: 44px; line-height: 1.2; margin: 0 0 28px }
.slide p, .slide ul, .slide ol, .slide pre, .slide table { margin: 0 0 20px }
.slide pre { background: #8882; border-radius: 8px; font-size: 22px; line-height: 1.35; overflow: hidden }
.slide pre { padding: 16px 20px }
.slide code { font-family: ui-monospace, Consolas, monospace; font-size: .86em }
.slide pre code { font-size: 1em }
.slide table { border-collapse: collapse; font-size: 26px }
.slide th, .slide td { border-bottom: 1px solid #8886; padding: 8px 24px 8px 0; text-align: left }
.slide figure { margin: 0; text-align: center }
.slide figure svg { height: auto; max-height: 470px; max-width: 100%; width: auto }
.slide figcaption { font-size: 22px }
.slide svg text { fill: currentColor }
.axis, .base { fill: none; stroke: currentColor }
.base { stroke-dasharray: 6 4 }
.grid { opacity: .15; stroke: currentColor }
.curve { fill: none; stroke-width: 2 }
.thin { opacity: .75; stroke-width: 1 }
.paper { display: none }
.blue { color: var(--blue) }
.vermillion { color: var(--vermillion) }
aside { background: #ffd; bottom: 0; color: #222; display: none; font-size: 22px; left: 0; max-height: 40vh }
aside { overflow: auto; padding: 20px 80px; position: fixed; right: 0 }
body.notes aside { display: block }
@media print {
  html, body { background: none }
  body { display: block }
  .slide { zoom: 1 }
  section { display: block; break-after: page; height: 720px; overflow: hidden }
  section:last-of-type { break-after: auto }
  aside { display: none !important }
}
"""
SCRIPT = """
const all = [...document.querySelectorAll("section")];
let now = 0;
const place = () => Number(location.hash.slice(1)) - 1;
function show(n) {
  now = Math.max(0, Math.min(all.length - 1, n || 0));
  all.forEach((s, i) => s.classList.toggle("now", i === now));
  history.replaceState(null, "", "#" + (now + 1));
}
function fit() {
  const zoom = Math.min(innerWidth / 1280, innerHeight / 720);
  document.documentElement.style.setProperty("--zoom", zoom);
}
addEventListener("resize", fit);
addEventListener("hashchange", () => show(place()));
addEventListener("keydown", e => {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  const step = {ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1}[e.key];
  if (step) show(now + step);
  else if (e.key === "Home") show(0);
  else if (e.key === "End") show(all.length - 1);
  else if (e.key === "n") document.body.classList.toggle("notes");
  else if (e.key === "f" && document.fullscreenElement) document.exitFullscreen();
  else if (e.key === "f") document.documentElement.requestFullscreen();
  else return;
  e.preventDefault();
});
fit();
show(place());
"""
