"""`cohort present showcase`: entries as slides. Each fits, says what was measured, and nothing in it is active."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from entries import CARD, Files, lay, project, run, with_claim, with_file, with_head
from support import REPO, Cohort

from cohort_cli.showcase import card, entry, reproduce, slides, verify
from cohort_cli.site import deck
from cohort_cli.training.config import load_preset

ENTRIES = Path("showcase/entries")
# As in the meetings' slides: elements that reach beyond the edges.
OVERFLOW = """() => {
  const slide = document.querySelector("section.now .slide"), box = slide.getBoundingClientRect();
  return [...slide.querySelectorAll("*")].filter(e => {
    const r = e.getBoundingClientRect();
    return r.right > box.right - 20 || r.bottom > box.bottom - 10 || r.left < box.left || r.top < box.top;
  }).map(e => e.tagName + " " + (e.textContent || "").slice(0, 40));
}"""
LONG = "Every word that I have ever written stands here, and more. " * 200
BAIT = "</pre><script>document.title='x'</script><img src=x onerror=alert(1)>&lt;"


@pytest.fixture(scope="module")
def good() -> Files:
    return run(load_preset(next(REPO.glob("projects/project3*/jobs/smoke.toml"))))


def wordy(files: Files, words: str) -> Files:
    """With these words wherever a member writes."""
    sample = {"step": 1, "prompt": words[:1000], "text": words[:15000], "seed": 1}
    escaped = words.replace("<", "&lt;")
    lines = "\n".join(escaped[n : n + 3000] for n in range(0, len(escaped), 3000))
    changed = with_file("samples.jsonl", json.dumps(sample).encode() + b"\n")(files)
    changed = with_file("card.md", CARD.replace("| no warm-up | 5.1 |", f"| x | y |\n\n{lines}\n").encode())(
        changed
    )
    return with_head(handle="eve-" + "x" * 28, title=words[:120], name="n" * 64)(changed)


def measure(one: entry.Entry, value: float, state: str) -> None:
    """What `cohort showcase verify` would have written."""
    claim = {"claimed": 6.5, "measured": value, "tolerance": 0.02, "state": state}
    files = one.head["files"]
    table = {
        "schema": verify.SCHEMA, "entry": one.folder, "parameters": 9, "claims": {"bits_per_byte": claim},
        "model_sha256": files["model.safetensors"]["sha256"], "tokenizer_sha256": files["tokenizer.json"]["sha256"],
        "bits_per_byte": {"value": value, "low": value - 0.1, "high": value + 0.1},
    }  # fmt: skip
    folder = ENTRIES.parent / "measured"
    folder.mkdir(exist_ok=True)
    (folder / f"{one.folder}.json").write_text(json.dumps(table))


def presented(cohort: Cohort, *words: str) -> str:
    ended = cohort("present", "showcase", *words, "--html", "slides.html")
    assert ended.code == 0, ended.err
    return Path("slides.html").read_text(encoding="utf-8")


def test_slides_of_the_chosen_entries(good: Files, home: Path, cohort: Cohort) -> None:
    lay(good, ENTRIES)
    lay(project(), ENTRIES)
    page = presented(cohort)
    assert len(re.findall("<section", page)) == 5  # a title, and two of each
    for words in (slides.TITLE, "ada, bob", "1 of 2", "no warm-up", "3 of", "caf\u00e9"):
        assert (words in page) == (words != "3 of"), words
    assert "ada" not in presented(cohort, "bob-project1")
    ended = cohort("present", "showcase", "--html", "slides.html")
    assert ended.out.splitlines() == ["5 slides in slides.html", "next: cohort showcase verify"]


def test_measured_numbers_stand_for_claimed_ones(good: Files, home: Path, cohort: Cohort) -> None:
    claimed = with_claim(bits_per_byte=6.5)(good)
    place = lay(claimed, ENTRIES)
    assert "6.500<small>claimed, not measured</small>" in presented(cohort)
    measure(entry.load(place), 7.25, "outside")
    page = presented(cohort)
    assert "7.250<small>measured<br>95 %: 7.150 to 7.350</small>" in page
    assert "6.500<small>outside of the tolerance</small>" in page
    other = with_file("tokenizer.json", json.dumps({"schema": "cohort.alphabet/1", "kind": "gpt2"}).encode())(
        claimed
    )
    for name, data in other.items():
        (place / name).write_bytes(data)
    assert "7.250" not in presented(cohort)  # it was measured with another tokenizer


def test_done_again_counts_for_this_configuration_only(good: Files, home: Path) -> None:
    one = entry.load(lay(good, ENTRIES))
    assert "done again" not in str(slides.of([ENTRIES / one.folder], ENTRIES))
    (ENTRIES.parent / "reproduced").mkdir()
    record = {
        "schema": reproduce.SCHEMA,
        "config_sha256": one.head["files"]["config.json"]["sha256"],
        "validation_loss": {"got": 4.25},
    }
    for sha256, there in ((record["config_sha256"], True), ("0" * 64, False)):
        text = json.dumps({**record, "config_sha256": sha256})
        (ENTRIES.parent / "reproduced" / f"{one.folder}.json").write_text(text)
        assert (
            "4.250<small>loss, by the organiser" in str(slides.of([ENTRIES / one.folder], ENTRIES))
        ) == there


def test_done_again_with_fewer_steps_says_so(good: Files, home: Path) -> None:
    one = entry.load(lay(good, ENTRIES))
    (ENTRIES.parent / "reproduced").mkdir()
    record = {
        "config_sha256": one.head["files"]["config.json"]["sha256"],
        "steps": {"claimed": 300, "got": 20},
        "validation_loss": {"got": 4.25},
    }
    path = ENTRIES.parent / "reproduced" / f"{one.folder}.json"
    path.write_text(json.dumps(record))
    assert "by the organiser<br>20 steps, not 300<" in str(slides.of([ENTRIES / one.folder], ENTRIES))
    path.write_text(json.dumps({**record, "steps": {"claimed": 300, "got": "<b>"}}))
    assert "done again" not in str(slides.of([ENTRIES / one.folder], ENTRIES))


def test_a_bad_entry_is_left_out_and_named(good: Files, home: Path, cohort: Cohort) -> None:
    lay(good, ENTRIES)
    lay({**project(), "card.md": b"<script>"}, ENTRIES)
    ended = cohort("present", "showcase", "--html", "slides.html")
    assert (ended.code, "bob-project1 is left out: card.md" in ended.err) == (0, True)
    only = cohort("present", "showcase", "bob-project1", "--html", "slides.html")
    assert (only.code, "No entry can be shown" in only.err) == (5, True)


def test_only_the_showcase_has_entries(home: Path, cohort: Cohort) -> None:
    ended = cohort("present", "2", "ada-small")
    assert (ended.code, "cohort present showcase ada-small" in ended.err) == (2, True)
    assert cohort("present", "showcase").code == 2


def test_a_card_is_shown_as_words() -> None:
    text = "Not **much**, see [this](https://example.org).\n\nTODO: what else?\n\n- one\n- `two`\n"
    text += "\n| a | b |\n|---|---|\n| c | d |\n"
    assert card.words(text) == "Not much, see this.\none\ntwo\na: b\nc: d"


@pytest.mark.parametrize("words", [LONG, "x" * 20_000, BAIT * 20, "\u4e16\u754c" * 5000, "a\n" * 4000])
def test_every_slide_fits_and_runs_nothing(good: Files, home: Path, browser: Any, words: str) -> None:
    made = wordy(good, words)
    if "\n" in words:
        made = with_head(title="A title has one line")(made)
    one = entry.load(lay(made, ENTRIES))
    measure(one, 7.25, "outside")
    shown, notes = slides.of([ENTRIES / one.folder], ENTRIES)
    assert notes == []
    path = home / "slides.html"
    path.write_text(deck.page(slides.TITLE, shown, slides.STYLE), encoding="utf-8")
    asked: list[str] = []
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    for number in range(1, len(shown) + 1):
        assert page.evaluate(OVERFLOW) == [], f"slide {number}"
        page.keyboard.press("ArrowRight")
    assert page.title() == slides.TITLE
    assert page.locator("section script, section img").count() == 0
    page.close()
    assert asked == [path.as_uri()]
