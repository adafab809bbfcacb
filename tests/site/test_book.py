"""All guides as one page to print: chapters in the menu's order, links that lead to chapters, and a PDF of it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support import REPO, Cohort

from cohort_cli.errors import EnvironmentTrouble
from cohort_cli.site import book, browser

PAGES = {
    "index.md": """\
# Start

See [the meeting](meetings/2_sums.md#plus), [a part of this page](#here), [the slides](meetings/2_sums/slides.html),
[elsewhere](https://example.org/a#b) and [the menu's last](commands.md).

## Here

<script src="assets/x.js"></script><script>late()</script>
""",
    "meetings/2_sums.md": """\
# Sums

## Here

<figure class="drawing"><svg width="40" viewBox="0 0 4 4"><defs><marker id="arrow"/></defs>
<path marker-end="url(#arrow)"/><use href="#arrow"/></svg></figure>

<math display="block"><mi>x</mi><mo>&#60;</mo><mn>2</mn></math>

Back to [the start](../index.md), to [its end](../index.md#here).

<details markdown="1"><summary>The answer</summary>

It is **two** &lt;2&gt;. <span class="maths-block" tabindex="0">2</span>

</details>

## Plus

```python
print("1 < 2 & 3")
```
""",
    "commands.md": "# Commands\n\n| word | meaning |\n|---|---|\n| `add` | sums |\n",
    "gallery/index.md": "# What members made\n",
}
MENU = """\
nav:
  - Start: index.md
  - Meetings:
      - 2 Sums & more:
          - The guide: meetings/2_sums.md
  - Commands: commands.md
  - Gallery: gallery/index.md
"""


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The settings of the real site over four pages."""
    folder = tmp_path_factory.mktemp("staged")
    config = (REPO / "mkdocs.yml").read_text(encoding="utf-8")
    (folder / "mkdocs.yml").write_text(config[: config.index("nav:\n")] + MENU, encoding="utf-8")
    for name, text in PAGES.items():
        (folder / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "docs" / name).write_text(text, encoding="utf-8")
    (folder / "docs/assets").mkdir()
    shutil.copy(REPO / "docs/assets/cohort.css", folder / "docs/assets")
    return folder


@pytest.fixture(scope="module")
def text(staged: Path) -> str:
    made, chapters = book.book(staged / "mkdocs.yml", staged / "docs")
    assert chapters == 3
    return made


def test_chapters_follow_the_menu_and_each_has_its_line_in_the_contents(text: str) -> None:
    assert re.findall(r'<section id="([^"]*)">', text) == ["index", "meetings-2_sums", "commands"]
    contents = text.partition("<nav>")[2].partition("</nav>")[0]
    assert re.findall(r"<p class=\"depth\d\">(?:<b>|<a [^>]*>)([^<]*)", contents) == [
        "Start", "Meetings", "2 Sums &amp; more", "The guide", "Commands",
    ]  # fmt: skip
    assert '<p class="part">Meetings · 2 Sums &amp; more</p><h1' in text
    assert "What members made" not in text


def test_links_lead_to_chapters_and_to_nothing_that_is_not_in_the_book(text: str) -> None:
    assert '<a href="#meetings-2_sums--plus">the meeting</a>' in text
    assert '<a href="#index--here">a part of this page</a>' in text
    assert '<a href="#index">the start</a>' in text
    assert '<a href="#index--here">its end</a>' in text
    assert '<a href="#commands">' in text
    assert '<a href="https://example.org/a#b">elsewhere</a>' in text
    assert "<a>the slides</a>" in text
    ids = re.findall(r' id="([^"]*)"', text)
    assert len(ids) == len(set(ids)), "two chapters may both have a part called Here"
    assert [link for link in re.findall(r'href="#([^"]*)"', text) if link not in ids] == []


def test_drawings_equations_and_code_come_through(text: str) -> None:
    assert '<svg width="40" viewbox="0 0 4 4">' in text.lower()
    assert '<marker id="meetings-2_sums--arrow"></marker>' in text
    assert 'marker-end="url(#meetings-2_sums--arrow)"' in text
    assert '<use href="#meetings-2_sums--arrow"></use>' in text
    assert "<mo>&#60;</mo>" in text
    assert '<div class="highlight">' in text
    assert "&lt;2&gt;" in text


def test_what_is_folded_away_is_open_and_nothing_runs(text: str) -> None:
    assert "<details open>" in text
    assert "<strong>two</strong>" in text
    assert "script" not in text.partition("</head>")[2]
    assert "late()" not in text
    assert "tabindex" not in text
    assert "headerlink" not in text.partition("</head>")[2], "on paper, no heading has a sign to click"
    assert "default-src 'none'; style-src 'unsafe-inline'\">" in text


@pytest.mark.browser
def test_the_printed_book_is_tagged_and_each_chapter_begins_a_page(text: str, tmp_path: Path) -> None:
    if browser.find() is None or shutil.which("pdfinfo") is None:
        pytest.skip("needs Chromium and pdfinfo (poppler)")
    page, pdf = tmp_path / "book.html", tmp_path / "book.pdf"
    page.write_text(text, encoding="utf-8")
    browser.print_page(page, pdf, "print it by hand", book.PRINTER)
    said = subprocess.run(["pdfinfo", str(pdf)], capture_output=True, text=True, check=True).stdout
    assert re.search(r"Tagged: +yes", said)
    assert re.search(r"Pages: +5\n", said), "a cover, the contents and three chapters"
    assert "A4" in said
    words = subprocess.run(
        ["pdftotext", "-layout", str(pdf), "-"], capture_output=True, text=True, check=True
    )
    pages = words.stdout.split("\f")
    assert ["Contents" in pages[1], "Start" in pages[2], "Sums" in pages[3], "Commands" in pages[4]] == [
        True
    ] * 4
    assert [page.split()[-1] for page in pages[1:5]] == ["2", "3", "4", "5"], "the number stands at the foot"
    assert "It is two <2>" in pages[3]
    assert 'print("1 < 2 & 3")' in pages[3]
    linked = subprocess.run(["pdfinfo", "-url", str(pdf)], capture_output=True, text=True, check=True).stdout
    assert "https://example.org/a#b" in linked
    assert "file:" not in linked, "no link leads to a file of the machine that printed it"


def test_without_a_browser_the_repair_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "find", lambda: None)
    with pytest.raises(EnvironmentTrouble, match="none was found") as trouble:
        browser.print_page(tmp_path / "x.html", tmp_path / "x.pdf", "print it by hand")
    assert trouble.value.repair == "print it by hand"
    assert not (tmp_path / "x.pdf").exists()


def test_a_pdf_that_cannot_be_written_is_named_and_the_old_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def printed(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        word = next(word for word in command if word.startswith("--print-to-pdf="))
        Path(word.partition("=")[2]).write_bytes(b"%PDF new")
        return subprocess.CompletedProcess(command, 0, b"", b"")

    def full(source: Path, place: Path) -> None:
        place.write_bytes(b"%PD")
        raise OSError(28, "No space left on device", str(source))

    monkeypatch.setattr(browser, "find", lambda: "chromium")
    monkeypatch.setattr(subprocess, "run", printed)
    for pdf in (tmp_path / "nowhere" / "x.pdf", tmp_path):
        with pytest.raises(EnvironmentTrouble, match=f"{pdf.name} cannot be written"):
            browser.print_page(tmp_path / "x.html", pdf, "print it by hand")
    old = tmp_path / "x.pdf"
    old.write_bytes(b"%PDF old")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", full)
        with pytest.raises(EnvironmentTrouble, match=r"x\.pdf cannot be written: No space left"):
            browser.print_page(tmp_path / "x.html", old, "print it by hand")
    assert (old.read_bytes(), [path.name for path in tmp_path.iterdir()]) == (b"%PDF old", ["x.pdf"])
    browser.print_page(tmp_path / "x.html", old, "print it by hand")
    assert old.read_bytes() == b"%PDF new"


@pytest.mark.browser
def test_the_verb_prints_the_guides_of_a_kit(tmp_path: Path, cohort_process: Cohort) -> None:
    if browser.find() is None:
        pytest.skip("needs Chromium")
    kit = tmp_path / "kit"
    (kit / "docs/assets").mkdir(parents=True)
    shutil.copy(REPO / "docs/assets/cohort.css", kit / "docs/assets")
    (kit / "docs/index.md").write_text("# Start\n\n$1 + 1 = 2$\n")
    config = (REPO / "mkdocs.yml").read_text(encoding="utf-8")
    menu = "nav:\n  - Start: index.md\n  - Commands: reference/cli.md\n"
    (kit / "mkdocs.yml").write_text(config[: config.index("nav:\n")] + menu, encoding="utf-8")
    out = tmp_path / "new folder" / "guides.pdf"
    ended = cohort_process("site", "pdf", "--out", str(out), COHORT_KIT=str(kit))
    assert (ended.code, ended.out) == (0, f"2 chapters in {out}\nnext: cohort site serve\n"), ended.err
    assert out.read_bytes().startswith(b"%PDF-")
    broken = cohort_process("site", "pdf", "--out", str(tmp_path), COHORT_KIT=str(kit))
    assert broken.code == 2
    assert "is a folder" in broken.err
    assert "Traceback" not in broken.err
