"""Slides in a real browser: each fits, nothing is fetched, and on paper each is a page."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support import REPO, Cohort

from cohort_cli.meetings import Meeting, meetings
from cohort_cli.site import deck, stage
from cohort_cli.site.links import Links

ALL = meetings()
# Elements of a slide that reach beyond its edges, and slides whose content is higher than they are.
OVERFLOW = """() => {
  const slide = document.querySelector("section.now .slide"), box = slide.getBoundingClientRect();
  const over = [...slide.querySelectorAll("*")].filter(e => {
    const r = e.getBoundingClientRect();
    return r.right > box.right - 20 || r.bottom > box.bottom - 10 || r.left < box.left || r.top < box.top;
  });
  const clipped = [...slide.querySelectorAll("pre")].filter(e => e.scrollWidth > e.clientWidth);
  return [...over, ...clipped].map(e => e.tagName + " " + (e.textContent || "").slice(0, 40));
}"""


def html(meeting: Meeting) -> str:
    return deck.deck(meeting, REPO, Links(REPO, stage.sources(REPO)).rewrite)


@pytest.mark.parametrize("meeting", ALL, ids=lambda meeting: meeting.name)
def test_every_slide_fits_and_nothing_leaves_the_machine(
    meeting: Meeting, browser: Any, tmp_path: Path
) -> None:
    path = tmp_path / "slides.html"
    path.write_text(html(meeting), encoding="utf-8")
    asked: list[str] = []
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    count = len(deck.slides(meeting))
    assert 6 <= count <= 12
    for number in range(1, count + 1):
        assert page.evaluate("location.hash") == f"#{number}"
        assert page.locator("section.now").count() == 1
        assert page.evaluate(OVERFLOW) == [], f"slide {number}"
        page.keyboard.press("ArrowRight")
    page.close()
    assert asked == [path.as_uri()]


@pytest.mark.parametrize("meeting", ALL, ids=lambda meeting: meeting.name)
def test_each_slide_has_a_note(meeting: Meeting) -> None:
    for slide in deck.slides(meeting):
        assert slide.note, f"{meeting.name}/slides.md:{slide.line}: no note for the presenter"


@pytest.mark.parametrize(("width", "height"), [(1024, 768), (1366, 650), (1920, 1080)])
def test_a_slide_fills_the_window_and_no_more(browser: Any, tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "slides.html"
    path.write_text(html(next(one for one in ALL if one.guide.number == 2)), encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": height})
    page.goto(path.as_uri() + "#4")
    box = page.locator("section.now .slide").bounding_box()
    assert box["width"] == pytest.approx(min(width, height * 1280 / 720), abs=1)
    assert box["height"] == pytest.approx(min(height, width * 720 / 1280), abs=1)
    assert box["x"] >= -0.5
    assert box["y"] >= -0.5
    page.keyboard.press("n")
    note = page.locator("section.now aside").bounding_box()
    assert note["y"] + note["height"] == pytest.approx(height, abs=1)
    page.close()


def test_the_keys(browser: Any, tmp_path: Path) -> None:
    meeting = next(one for one in ALL if one.guide.number == 2)
    path = tmp_path / "slides.html"
    path.write_text(html(meeting), encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri() + "#3")
    assert page.locator("section.now").get_attribute("id") == "3"
    for key, place in (
        ("ArrowLeft", 2),
        ("End", len(deck.slides(meeting))),
        ("ArrowRight", len(deck.slides(meeting))),
        ("Home", 1),
        ("PageDown", 2),
    ):
        page.keyboard.press(key)
        assert page.evaluate("location.hash") == f"#{place}", key
    assert not page.locator("section.now aside").is_visible()
    page.keyboard.press("n")
    assert page.locator("section.now aside").is_visible()
    page.close()


@pytest.mark.parametrize("meeting", ALL, ids=lambda meeting: meeting.name)
def test_on_paper_each_slide_is_a_page(meeting: Meeting, home: Path, cohort: Cohort) -> None:
    if shutil.which("chromium") is None or shutil.which("pdfinfo") is None:
        pytest.skip("needs chromium and pdfinfo (poppler)")
    ended = cohort("present", str(meeting.guide.number), "--pdf", "slides.pdf", "--html", "slides.html")
    assert ended.code == 0, ended.err
    said = subprocess.run(["pdfinfo", "slides.pdf"], capture_output=True, text=True, check=True).stdout
    assert int(re.search(r"Pages:\s+(\d+)", said)[1]) == len(deck.slides(meeting))  # type: ignore[index]
    size = re.search(r"Page size:\s+([\d.]+) x ([\d.]+)", said)
    assert size is not None
    assert float(size[1]) / float(size[2]) == pytest.approx(1280 / 720, rel=0.01)


def test_a_rule_in_a_code_block_ends_no_slide(tmp_path: Path) -> None:
    folder = tmp_path / "meetings" / "2_attention"
    shutil.copytree(REPO / "meetings/2_attention", folder)
    text = "# One\n\n```text\n---\n```\n\nNote: first\n\n---\n\n## Two\n\nNote: second\n"
    (folder / "slides.md").write_text(f'+++\nschema = "cohort.slides/1"\n+++\n{text}', encoding="utf-8")
    found = deck.slides(Meeting(folder, ALL[0].guide))
    assert [(slide.note, slide.line) for slide in found] == [("first", 4), ("second", 13)]
