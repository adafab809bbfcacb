"""Two entries beside each other in a page: what their models write, their curves, and an address that can be sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from networks import in_int8, random_network
from pages import SITE, Tab, lay_assets, lay_entry, part, write_page

from cohort_cli.training.data import tokenizer as tokenizers

pytestmark = pytest.mark.browser
TOKENIZER = tokenizers.Characters("the cat and hat sat on mat.,\n")
EVIL = "<img src=x onerror=violations.push(1)>"
ADA, BOB, EVE, MAX = "ada-my-gpt", "bob-letters", "eve-plain", "max-project1"


def rows(start: float, steps: int, bits: bool = True) -> list[dict[str, float]]:
    found: list[dict[str, float]] = []
    for step in range(0, 10 * steps, 10):
        found.append({"step": step + 5, "loss": 9.0})
        found.append({"step": step + 10, "validation_loss": start - step / 1000})
        if bits:
            found[-1]["bits_per_byte"] = start / 2 - step / 2000
    return found


def listed(folder: Any, title: Any, live: bool = True) -> dict[str, Any]:
    return {
        "folder": folder, "title": title, "handle": str(folder)[:3], "project": "project3", "kind": "run",
        "live": live, "parameters": 1, "bits_per_byte": None,
    }  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site")
    gallery = root / "gallery"
    lay_assets(gallery)
    metrics = {ADA: rows(4.0, 30), BOB: rows(3.5, 150), EVE: rows(3.0, 5, bits=False)}
    for number, folder in enumerate(metrics):
        weights = in_int8(*random_network(vocab_size=TOKENIZER.vocab_size, layers=1 + number))
        lay_entry(gallery / folder, weights, TOKENIZER.to_json(), metrics[folder])
    (gallery / MAX).mkdir()
    entries = [
        listed(ADA, EVIL),
        listed(BOB, "Bob's"),
        listed(EVE, "Eve's"),
        listed(MAX, "A project", live=False),
    ]
    entries += [
        listed(folder, "hostile") for folder in ("../../x-y", "javascript:a-b", "//evil.test/a-b", EVIL, 7)
    ]
    (gallery / "entries.json").write_text(json.dumps(entries), encoding="utf-8")
    write_page(gallery / "compare" / "index.html", part("compare", list="../entries.json", base="../"))
    return root


@pytest.fixture(scope="module")
def tab(browser: Any, root: Path) -> Iterator[Tab]:
    tab = Tab(browser, root, viewport={"width": 1280, "height": 720})
    yield tab
    tab.close()


def compare(tab: Tab, fragment: str = "") -> Any:
    box = tab.open(f"gallery/compare/{fragment}").locator("[data-cohort=compare]")
    box.get_by_label("Prompt").wait_for()
    return box


def chosen(box: Any) -> list[str]:
    return [box.get_by_role("combobox", name=name, exact=True).input_value() for name in "AB"]


def test_both_write_on_one_prompt(tab: Tab) -> None:
    box = compare(tab)
    box.get_by_label("Prompt").fill("the ")
    box.get_by_label("Tokens").fill("30")
    box.get_by_role("button", name="Write").click()
    box.get_by_text(" a second").nth(1).wait_for()
    texts = [box.get_by_role("listbox", name=f"What {name} wrote").text_content() for name in (ADA, BOB)]
    assert [len(text or "") for text in texts] == [30, 30]
    assert texts[0] != texts[1]
    box.locator("[role=option]").nth(2).click()
    box.locator("[role=option]").nth(33).click()
    assert box.get_by_role("table", name="Likeliest at place").count() == 2
    box.get_by_label("Temperature").fill("2")
    assert box.get_by_text("temperature 2;").count() == 2
    box.get_by_role("button", name="Clear").click()
    assert box.locator("[role=option]").count() == 0
    assert tab.troubles() == []


def test_the_same_entry_twice_writes_the_same(tab: Tab) -> None:
    box = compare(tab, f"#a={ADA}&b={ADA}")
    box.get_by_label("Prompt").fill("cat")
    box.get_by_role("button", name="Write").click()
    box.get_by_text(" a second").nth(1).wait_for()
    first, second = box.get_by_role("listbox").all_text_contents()
    assert first == second
    assert len(first) == 100


def test_the_address_names_what_is_compared(tab: Tab) -> None:
    box = compare(tab, f"#a={EVE}&b={ADA}")
    assert chosen(box) == [EVE, ADA]
    box.get_by_role("combobox", name="B", exact=True).select_option(BOB)
    assert tab.page.url == f"{SITE}gallery/compare/#a={EVE}&b={BOB}"
    assert chosen(compare(tab, tab.page.url.removeprefix(f"{SITE}gallery/compare/"))) == [EVE, BOB]
    assert tab.troubles() == []


@pytest.mark.parametrize(
    "name", ["../../x-y", EVIL, "//evil.test/a-b", "__proto__", "x" * 500, "%00", "%E0%A4%A"]
)
def test_a_hostile_address_is_only_text(tab: Tab, name: str) -> None:
    box = compare(tab, f"#a={name}&b={BOB}")
    assert chosen(box) == [ADA, BOB]
    assert box.get_by_text("There is no entry “").count() == 1
    assert tab.page.locator("img").count() == 0
    assert tab.troubles() == []
    assert not tab.missing


def test_only_entries_are_offered_and_titles_stay_text(tab: Tab) -> None:
    options = compare(tab).get_by_role("combobox", name="A", exact=True).locator("option").all_inner_texts()
    assert options == [f"{EVIL} ({ADA})", f"Bob's ({BOB})", f"Eve's ({EVE})", f"A project ({MAX})"]


def test_curves_and_the_numbers_behind_them(tab: Tab) -> None:
    box = compare(tab)
    box.get_by_role("img", name=f"Bits per byte, of {ADA} and {BOB}").wait_for()
    assert box.locator("h3").all_inner_texts()[2:] == ["Bits per byte", "Validation loss, nats per token"]
    assert box.get_by_text("cannot be compared").count() == 1
    lines = [path.get_attribute("d") or "" for path in box.locator("svg").nth(0).locator("path[class]").all()]
    assert [line.count("L") + 1 for line in lines] == [30, 76]  # every second one of 150, and the last
    (x0, y0), (x1, y1) = ([float(n) for n in lines[0][1:].split("L")[at].split(",")] for at in (0, -1))
    assert x0 < x1
    assert y0 < y1  # the loss goes down
    box.get_by_text("As a table").nth(0).click()
    cells = box.locator("details").nth(0).locator("tbody tr").nth(0).locator("th, td").all_inner_texts()
    assert cells == ["10", "2.0000", "1.7500"]
    box.get_by_role("combobox", name="B", exact=True).select_option(EVE)
    box.get_by_role("img", name=f"Validation loss, nats per token, of {ADA} and {EVE}").wait_for()
    assert box.locator("svg").count() == 1  # one of the two has no bits per byte


def test_one_that_has_no_model_and_no_curves(tab: Tab) -> None:
    box = compare(tab, f"#a={ADA}&b={MAX}")
    assert box.get_by_text("There is no live model of this one.").count() == 1
    box.get_by_text("metrics.jsonl is not there (404).").wait_for()
    box.get_by_label("Prompt").fill("the")
    box.get_by_role("button", name="Write").click()
    box.get_by_text(" a second").wait_for()
    assert box.get_by_role("listbox").count() == 1
    assert [line for line in tab.troubles() if "404" not in line] == []
    tab.missing.clear()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "There are no two entries to compare yet."),
        ("{}", "There are no two entries to compare yet."),
        ("null", "There are no two entries to compare yet."),
        ("<b>", "JSON"),
        (
            '{"schema": "cohort.gallery/1", "entries": [null, 1, {}]}',
            "There are no two entries to compare yet.",
        ),
    ],
)
def test_a_list_that_is_none(tab: Tab, root: Path, text: str, says: str) -> None:
    path = root / "gallery" / "entries.json"
    before = path.read_text()
    path.write_text(text, encoding="utf-8")
    try:
        alert = tab.open("gallery/compare/").get_by_role("alert")
        alert.wait_for()
        assert says in str(alert.text_content())
        assert tab.troubles() == []
    finally:
        path.write_text(before, encoding="utf-8")


@pytest.mark.parametrize(
    "line", ["null", "[]", '{"step": "1", "validation_loss": 1}', '{"step": 1e999}', "<b>"]
)
def test_metrics_that_are_none(tab: Tab, root: Path, line: str) -> None:
    path = root / "gallery" / BOB / "metrics.jsonl"
    before = path.read_text()
    path.write_text(line + "\n", encoding="utf-8")
    try:
        box = compare(tab)
        box.get_by_text("The two have no measure in common.").or_(box.get_by_role("alert")).wait_for()
        assert tab.troubles() == []
    finally:
        path.write_text(before, encoding="utf-8")
