"""The tokenizer's merges and the attention map in a page, and how all parts look and are heard."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import in_int8, random_network
from pages import Tab, bpe_of, lay_assets, lay_entry
from torch import Tensor

from cohort_cli.showcase.kernel import ASSETS
from cohort_cli.showcase.quantised import load
from cohort_cli.tokens import formats
from cohort_cli.training.data import tokenizer as tokenizers

pytestmark = pytest.mark.browser
EVIL = "<script src=x>"
PIECES = bpe_of([b"the", b" cat", b" the", "日".encode(), EVIL.encode()])
KNOWN = tokenizers.from_json(PIECES, Path("tokenizer.json"))
LETTERS = tokenizers.Characters("the cat and hat sat on mat.,\n")
MERGES = formats.from_huggingface(PIECES).merges
LAYERS, HEADS = 3, 2
SIZES = {"phone": {"width": 390, "height": 844}, "projector": {"width": 1280, "height": 720}}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site")
    lay_assets(root / "gallery")
    weights = in_int8(*random_network(vocab_size=KNOWN.vocab_size, context=48, layers=LAYERS))
    lay_entry(root / "gallery" / "ada-my-gpt", weights, PIECES)
    weights = in_int8(*random_network(vocab_size=LETTERS.vocab_size, layers=1))
    lay_entry(root / "gallery" / "bob-letters", weights, LETTERS.to_json())
    return root


@pytest.fixture(scope="module")
def tab(browser: Any, root: Path) -> Iterator[Tab]:
    tab = Tab(browser, root)
    yield tab
    tab.close()


def part(tab: Tab, kind: str, folder: str = "ada-my-gpt") -> Any:
    box = tab.open(f"gallery/{folder}/").locator(f"[data-cohort={kind}]")
    box.locator(".cut span, table.map").first.wait_for()
    return box


# --- merges -----------------------------------------------------------------------------------------------------


def after(text: str, count: int) -> list[str]:
    """The text cut by the first `count` merges, each done over all of it before the next."""
    names = [bytes([byte]) for byte in text.encode()]
    for left, right in MERGES[:count]:
        at = 0
        while at + 1 < len(names):
            if (names[at], names[at + 1]) == (left, right):
                names[at : at + 2] = [left + right]
            at += 1
    return [name.decode("utf-8", "replace") for name in names]


def test_the_slider_goes_from_bytes_to_the_whole_vocabulary(tab: Tab) -> None:
    box, text = part(tab, "merges"), "the cat, the cat"
    box.get_by_label("Text").fill(text)
    slider = box.get_by_role("slider")
    for count in (0, 1, 2, 5, 7, len(MERGES)):
        slider.fill(str(count))
        assert [piece.replace("·", " ") for piece in box.locator(".cut span").all_inner_texts()] == after(
            text, count
        )
    assert box.get_by_text(f"The first {len(MERGES)} of {len(MERGES)} merges").count() == 1
    assert box.get_by_role("status").inner_text() == "6 tokens, 16 bytes, 2.67 bytes per token"
    slider.fill("2")
    assert box.get_by_text("Merge 2: “th” + “e” → “the”").count() == 1
    slider.press("Home")
    assert box.get_by_text("No merge yet: each byte is a token.").count() == 1
    assert tab.troubles() == []


def test_hostile_tokens_and_bytes_that_are_no_character(tab: Tab) -> None:
    box = part(tab, "merges")
    box.get_by_label("Text").fill(f"{EVIL}é\u202e")
    assert box.locator(".cut span").all_inner_texts() == [
        EVIL.replace(" ", "·"), "⟨C3⟩", "⟨A9⟩", "⟨E2⟩", "⟨80⟩", "⟨AE⟩"
    ]  # fmt: skip
    box.get_by_role("slider").fill("9")
    assert tab.page.locator("main script").count() == 0
    assert tab.troubles() == []


def test_an_alphabet_has_no_merges(tab: Tab) -> None:
    box = part(tab, "merges", "bob-letters")
    assert box.get_by_text("There are no merges: each character is a token.").count() == 1
    assert box.get_by_role("slider").count() == 0
    box.get_by_label("Text").fill("cat ñ")
    assert box.locator(".cut span").all_inner_texts() == ["c", "a", "t", "·", f"⟨token {LETTERS.unknown}⟩"]
    box.get_by_label("Text").fill("")
    assert box.get_by_role("status").inner_text() == "0 tokens, 0 bytes, 0.00 bytes per token"


# --- attention --------------------------------------------------------------------------------------------------


@torch.no_grad()
def maps(path: Path, ids: list[int]) -> list[Tensor]:
    """(H, T, T) of each layer, from the queries and keys that torch's network computes."""
    model, found = load(path), []

    def keep(_: Any, __: Any, out: Tensor) -> None:
        q, k, _ = out[0].view(len(ids), 3, HEADS, -1).unbind(1)  # (T, H, D)
        scores = torch.einsum("qhd,khd->hqk", q, k) / q.shape[-1] ** 0.5
        future = torch.ones(len(ids), len(ids)).triu(1).bool()
        found.append(scores.masked_fill(future, -torch.inf).softmax(-1))

    for layer in model.h:
        layer.attn.c_attn.register_forward_hook(keep)
    model(torch.tensor([ids]))
    return found


def test_the_map_is_torchs(tab: Tab, root: Path) -> None:
    text = "the cat the cat 日é"
    ids = KNOWN.encode(text)
    box = part(tab, "attention")
    box.get_by_label("Text").fill(text)
    expected = maps(root / "gallery" / "ada-my-gpt" / "model.safetensors", ids)
    for layer, head in ((0, 0), (2, 1)):
        box.get_by_label("Layer").select_option(str(layer))
        box.get_by_label("Head").select_option(str(head))
        rows = box.locator("tbody tr").all()
        assert len(rows) == len(ids)
        for query, row in enumerate(rows):
            shares = [float(share.split(" ")[0]) for share in row.locator("td").all_text_contents() if share]
            assert len(shares) == query + 1  # and none for what comes later
            wanted = 100 * expected[layer][head, query, : query + 1]
            assert (torch.tensor(shares) - wanted).abs().max() < 0.51
    assert box.locator("thead th").all_inner_texts()[-3:] == ["日", "⟨C3⟩", "⟨A9⟩"]
    assert tab.troubles() == []


def test_a_row_is_read_out(tab: Tab) -> None:
    box = part(tab, "attention")
    box.get_by_label("Text").fill("the cat the")
    headers = box.locator("tbody th")
    headers.nth(0).hover()
    assert box.get_by_text("Token 1, “the”, looks at “the” (1) 100 %").count() == 1
    headers.nth(0).focus()
    tab.page.keyboard.press("ArrowDown")
    assert box.get_by_text("Token 2, “·cat”, looks at “").count() == 1
    assert box.locator("tr.now").count() == 1
    assert headers.nth(1).get_attribute("tabindex") == "0"


def test_long_and_empty_texts(tab: Tab) -> None:
    box = part(tab, "attention")
    box.get_by_label("Text").fill("x" * 30)
    assert box.get_by_text("The last 24 of 30 tokens.").count() == 1
    assert box.locator("tbody tr").count() == 24
    box.get_by_label("Text").fill("")
    assert box.get_by_role("alert").inner_text().startswith("The prompt is empty")
    assert box.locator("table").count() == 0
    box.get_by_label("Text").fill("the")
    assert box.get_by_role("alert").count() == 0
    assert box.locator("tbody tr").count() == 1


# --- looks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["default", "slate"])
def test_everybody_can_read_and_use_it(browser: Any, root: Path, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    tab = Tab(
        browser, root, bypass_csp=True, viewport=SIZES["phone"]
    )  # axe's own script is put into the page
    page = tab.open("gallery/ada-my-gpt/")
    page.locator("body").evaluate(f"(body) => body.dataset.mdColorScheme = '{scheme}'")
    page.get_by_role("button", name="Write").click()
    page.get_by_text(" a second").wait_for()
    page.get_by_role("option").nth(2).click()
    page.get_by_role("table", name="Each token").wait_for()
    found = axe.Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
    tab.close()


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_wider_than_the_window(browser: Any, root: Path, size: str) -> None:
    tab = Tab(browser, root, viewport=SIZES[size])
    page = tab.open("gallery/ada-my-gpt/")
    box = page.locator("[data-cohort=attention]")
    box.get_by_label("Text").fill("the quick brown fox jumps over")
    page.locator("[data-cohort=merges]").get_by_label("Text").fill("x" * 500)
    page.get_by_label("Prompt").fill("x" * 500)
    page.get_by_role("button", name="Write").click()
    page.get_by_text(" a second").wait_for()
    page.get_by_role("option").nth(0).click()
    width = SIZES[size]["width"]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert (
        box.locator("table").bounding_box()["width"] > 390 - 32 or size == "projector"
    )  # it scrolls in its own box
    tab.close()


def test_the_scripts_stay_small() -> None:
    """A page has 60 kB before the weights; the engine takes 32 of them, and the page's own text needs some."""
    entry = ("page.js", "talk.js", "merges.js", "attention.js", "showcase.css")
    assert sum((ASSETS / name).stat().st_size for name in entry) <= 23_500
    assert sum(path.stat().st_size for path in ASSETS.glob("*.js")) <= 60_000


@pytest.mark.parametrize("path", sorted(ASSETS.glob("*.js")), ids=lambda path: path.name)
def test_no_template_stands_in_a_template(path: Path) -> None:
    """What takes the comments out of the published scripts would take blanks out of the inner one, too."""
    for line in path.read_text(encoding="utf-8").splitlines():
        assert not re.search(r"`[^`]*\$\{[^}`]*`", line), line
        assert line.count("`") % 2 == 0, line
