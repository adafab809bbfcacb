"""Talking to a model in a page, in Chromium under the site's policy: what is written is the model's, and hostile
files and texts end as a sentence or stay text."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import in_int8, logits, random_network, reciting
from pages import Tab, bpe_of, lay_assets, lay_entry

from cohort_cli.showcase.quantised import load
from cohort_cli.training.data import tokenizer as tokenizers

pytestmark = pytest.mark.browser
LETTERS = tokenizers.Characters("the cat and hat sat on mat.,\n")
EVIL = "<img src=x onerror=violations.push(1)>"
PIECES = bpe_of([EVIL.encode()])
KNOWN = tokenizers.from_json(PIECES, Path("tokenizer.json"))
SAID = [*KNOWN.encode("日é"), *KNOWN.encode(EVIL), 0xE2, 0x82, ord("a"), 0x20, 0x0A, KNOWN.end_of_text]
COUNTING = """async () => { // how often a model computes, from now on
  const bytes = new Uint8Array(await (await fetch("./model.safetensors")).arrayBuffer());
  const kind = Object.getPrototypeOf(cohort.load(bytes)), { feed } = kind;
  globalThis.feeds = 0;
  globalThis.slow = 0; // milliseconds
  kind.feed = function (ids) {
    feeds++;
    for (const until = performance.now() + slow; performance.now() < until;);
    return feed.call(this, ids);
  };
}"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site")
    lay_assets(root / "gallery")
    weights = in_int8(*random_network(vocab_size=LETTERS.vocab_size, layers=2))
    lay_entry(root / "gallery" / "bob-letters", weights, LETTERS.to_json())
    lay_entry(root / "gallery" / "eve-recites", reciting(SAID, KNOWN.vocab_size), PIECES)
    return root


@pytest.fixture(scope="module")
def tab(browser: Any, root: Path) -> Iterator[Tab]:
    tab = Tab(browser, root)
    yield tab
    tab.close()


@pytest.fixture
def copied(root: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """An entry that a test may damage."""
    folder = root / "gallery" / "mal-copy"
    shutil.copytree(root / "gallery" / "bob-letters", folder)
    yield folder
    shutil.rmtree(folder)


def talk(tab: Tab, folder: str, **changed: str) -> Any:
    """The part on an entry's page, ready, with these fields filled."""
    box = tab.open(f"gallery/{folder}/").locator("[data-cohort=talk]")
    for name, value in changed.items():
        box.get_by_label(name.replace("_", " ")).fill(value)
    return box


def written(box: Any) -> str:
    """What stands there, when the model has ended."""
    box.get_by_role("button", name="Write").click()
    box.get_by_text(" a second").wait_for()
    return str(box.get_by_role("listbox").text_content())


def likeliest(box: Any) -> list[tuple[str, float]]:
    rows = box.locator(".likely tr").all_inner_texts()
    return [(name, float(share.split(" ")[0])) for name, _, share in (row.split("\t") for row in rows)]


def greedy(folder: Path, ids: list[int], tokens: int) -> list[int]:
    """torch's own, with a context that is long enough."""
    model, ids = load(folder / "model.safetensors"), list(ids)
    for _ in range(tokens):
        ids.append(int(logits(model, ids)[-1].argmax()))
    return ids[-tokens:]


def test_the_text_is_the_models_own(tab: Tab, root: Path) -> None:
    prompt, tokens = "th", 30  # as many as fit into the context
    box = talk(tab, "bob-letters", Prompt=prompt, Temperature="0", Tokens=str(tokens))
    found = written(box)
    assert found == LETTERS.decode(greedy(root / "gallery" / "bob-letters", LETTERS.encode(prompt), tokens))
    assert box.get_by_role("option").count() == tokens
    assert tab.troubles() == []
    assert not tab.missing


def test_the_same_seed_writes_the_same_and_another_one_does_not(tab: Tab) -> None:
    texts = [written(talk(tab, "bob-letters", Seed=seed, Tokens="60")) for seed in ("7", "7", "8")]
    assert texts[0] == texts[1] != texts[2]
    assert len(texts[0]) == 60  # beyond the context of 32, too


def test_the_likeliest_are_torchs_and_no_setting_computes_again(tab: Tab, root: Path) -> None:
    box = talk(tab, "bob-letters", Prompt="the", Tokens="12")
    tab.page.evaluate(COUNTING)
    text = written(box)
    ids = LETTERS.encode("the" + text)
    place = 8
    box.get_by_role("option").nth(place).click()
    raw = logits(load(root / "gallery" / "bob-letters" / "model.safetensors"), ids[: 3 + place])[-1]
    for temperature, top_k in ((0.8, 40), (2.0, 0), (0.5, 3), (0, 0)):
        box.get_by_label("Temperature").fill(str(temperature))
        box.get_by_label("Top k").fill(str(top_k))
        kept = raw.topk(min(top_k or 99, len(raw)))
        shares = torch.zeros_like(raw).scatter(
            0, kept.indices, torch.softmax(kept.values / (temperature or 1), 0)
        )
        expected = shares.topk(5)
        found = likeliest(box)
        names = [
            LETTERS.decode([one]).replace(" ", "·").replace("\n", "↵") for one in expected.indices.tolist()
        ]
        positive = sum(share > 0 for share in expected.values.tolist())
        assert [name for name, _ in found][:positive] == names[:positive]
        for (_, percent), share in zip(found, expected.values.tolist(), strict=False):
            assert abs(percent - 100 * share) < 0.51
    assert tab.page.evaluate("feeds") == 12
    assert box.locator(".likely").get_by_text("written").count() == 1
    assert tab.troubles() == []


def test_it_stops_while_it_writes(tab: Tab) -> None:
    box = talk(tab, "bob-letters", Tokens="500")
    tab.page.evaluate(COUNTING)
    tab.page.evaluate("slow = 5")
    box.get_by_role("button", name="Write").click()
    box.get_by_role("option").nth(3).wait_for()
    box.get_by_role("button", name="Stop").click()
    box.get_by_text("Stopped.").wait_for()
    assert 3 < box.get_by_role("option").count() < 500
    box.get_by_role("button", name="Clear").click()
    assert box.get_by_role("option").count() == 0
    assert box.locator(".text").text_content() == ""


def test_a_second_text_takes_the_place_of_the_first(tab: Tab) -> None:
    box = talk(tab, "bob-letters", Prompt="at", Tokens="500", Temperature="0")
    tab.page.evaluate(COUNTING)
    tab.page.evaluate("slow = 5")
    box.get_by_role("button", name="Write").click()
    box.get_by_role("option").nth(2).wait_for()
    box.get_by_label("Tokens").fill("40")
    found = written(box)
    assert "Stopped" not in str(
        box.get_by_role("status").text_content()
    )  # the first one says nothing any more
    assert len(found) == 40
    assert found == written(talk(tab, "bob-letters", Prompt="at", Tokens="40", Temperature="0"))


def test_bytes_become_characters_and_hostile_tokens_stay_text(tab: Tab) -> None:
    box = talk(tab, "eve-recites", Prompt="x", Temperature="0", Tokens="40")
    assert written(box) == f"日é{EVIL}\ufffda \n<|endoftext|>"  # what is no character at all is one mark
    assert box.get_by_text("The model ended its text.").count() == 1
    box.get_by_role("option").nth(0).click()
    assert likeliest(box)[0][0] == "⟨E6⟩"
    box.get_by_role("option").nth(5).click()
    assert likeliest(box)[0][0] == EVIL.replace(" ", "·")
    box.get_by_role("option").nth(9).click()
    assert likeliest(box)[0][0] == "·"
    assert tab.page.locator("img").count() == 0
    assert tab.troubles() == []


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ("", "The prompt is empty, so nothing predicts the first token."),
        ("the ñ\tcat ñ", "does not know “ñ” (U+00F1), “⇥” (U+0009)"),
        ("\u202eabc", "“⟨U+202E⟩” (U+202E)"),
    ],
)
def test_a_prompt_that_the_model_cannot_read(tab: Tab, prompt: str, says: str) -> None:
    box = talk(tab, "bob-letters", Prompt=prompt)
    box.get_by_role("button", name="Write").click()
    alert = box.get_by_role("alert")
    alert.wait_for()
    assert says in str(alert.text_content())
    assert box.get_by_role("option").count() == 0
    assert tab.troubles() == []


def test_a_prompt_that_is_longer_than_the_context(tab: Tab) -> None:
    box = talk(tab, "bob-letters", Prompt="the cat sat on " * 10, Tokens="5")
    assert len(written(box)) == 5
    assert box.get_by_text("The prompt has 150 tokens; the model saw the last 32.").count() == 1


def test_numbers_out_of_their_range_start_nothing(tab: Tab) -> None:
    box = talk(tab, "bob-letters", Temperature="9")
    box.get_by_role("button", name="Write").click()
    assert box.locator(":invalid").count() == 2  # the field, and so its form
    assert box.get_by_role("option").count() == 0
    box.get_by_label("Temperature").fill("1")
    assert len(written(box)) == 100


def test_with_the_keyboard_alone(tab: Tab) -> None:
    box = talk(tab, "bob-letters", Tokens="9")
    keys = tab.page.keyboard
    box.get_by_label("Seed").focus()
    keys.press("Enter")
    box.get_by_text(" a second").wait_for()
    for _ in range(4):  # Write, Stop, Clear, the text
        keys.press("Tab")
    keys.press("ArrowRight")
    keys.press("ArrowRight")
    assert box.get_by_text("Likeliest at place 3 ").count() == 1
    assert box.locator("[aria-selected=true]").count() == 1
    keys.press("End")
    assert box.get_by_text("Likeliest at place 9 ").count() == 1
    assert box.locator("[role=option]:focus").get_attribute("aria-selected") == "true"


# --- files ------------------------------------------------------------------------------------------------------


def change_card(folder: Path, **facts: Any) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}), encoding="utf-8")


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    change_card(folder, files={})


def other_vocabulary(folder: Path) -> None:
    (folder / "tokenizer.json").write_text(PIECES, encoding="utf-8")
    change_card(folder, files={})


BROKEN = {
    "another file": (
        lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 99),
        "its SHA-256 differs",
    ),
    "another tokenizer": (lambda folder: (folder / "tokenizer.json").write_text("{}"), "its SHA-256 differs"),
    "cut off": (cut, "is not what the architecture says"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "is not there (404)"),
    "no card": (lambda folder: (folder / "model.json").unlink(), "model.json is not there (404)"),
    "a card that is a list": (lambda folder: (folder / "model.json").write_text("[]"), ""),
    "a card that is null": (lambda folder: (folder / "model.json").write_text("null"), ""),
    "a card that is no JSON": (lambda folder: (folder / "model.json").write_text("<b>"), "JSON"),
    "two vocabularies": (other_vocabulary, "more tokens than the model"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_end_as_a_sentence(tab: Tab, copied: Path, kind: str) -> None:
    damage, says = BROKEN[kind]
    damage(copied)
    box = tab.open("gallery/mal-copy/").locator("[data-cohort=talk]")
    if says:
        alert = box.get_by_role("alert")
        if kind in ("cut off", "two vocabularies"):  # without a size it is not loaded unasked
            box.get_by_role("button").click()
        alert.wait_for()
        assert says in str(alert.text_content())
    else:
        box.get_by_role("button", name="Load the model, of unknown size").click()
        box.get_by_label("Prompt").wait_for()
    found = [
        line for line in tab.troubles() if "404" not in line
    ]  # the browser itself reports what is not there
    tab.missing.clear()
    assert found == []


def test_a_large_model_waits_for_a_click(tab: Tab, copied: Path) -> None:
    card = json.loads((copied / "model.json").read_text())
    card["files"]["model.safetensors"]["bytes"] = 11_300_000
    change_card(copied, files=card["files"])
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    page = tab.open("gallery/mal-copy/")
    button = page.locator("[data-cohort=talk]").get_by_role("button", name="Load the model, 11.3 MB")
    button.wait_for()
    page.locator("[data-cohort=merges]").get_by_role("slider").or_(
        page.get_by_text("There are no merges")
    ).wait_for()
    assert not any(url.endswith(".safetensors") for url in asked)
    button.click()
    page.locator("[data-cohort=talk]").get_by_label("Prompt").wait_for()
    page.locator("[data-cohort=attention]").get_by_role("table").wait_for()  # one click is for the whole page
    assert sum(url.endswith(".safetensors") for url in asked) == 1


def test_who_saves_data_is_asked(browser: Any, root: Path) -> None:
    tab = Tab(browser, root)
    tab.page.add_init_script("Object.defineProperty(navigator, 'connection', { value: { saveData: true } })")
    box = tab.open("gallery/bob-letters/").locator("[data-cohort=talk]")
    box.get_by_role("button", name=re.compile("^Load the model, 0.0")).wait_for()
    tab.close()


def test_from_a_disk_it_says_what_to_do(browser: Any, root: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    text = (root / "gallery" / "bob-letters" / "index.html").read_text()
    here = root / "gallery" / "disk.html"
    here.write_text(
        re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text).replace("../assets", "assets")
    )
    page.goto(here.as_uri())
    page.get_by_text("Open it with: cohort site serve").first.wait_for()
    context.close()


def test_without_javascript_the_text_stays(browser: Any, root: Path) -> None:
    tab = Tab(browser, root, java_script_enabled=False)
    assert tab.open("gallery/bob-letters/").get_by_text("Without JavaScript.").count() == 3
    tab.close()
