"""Entries that say hostile things wherever the format lets them, built with MkDocs, and looked at as a browser would."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from entries import CARD, Files, lay, run, with_config_head, with_file, with_head
from gallery_kit import CONFIG, SECRET, Page, build, lines, make_kit, measure

from cohort_cli.showcase import entry
from cohort_cli.training.config import to_dict

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "handler": "<img src=x onerror=alert(1)>",
    "end-of-title": "</title></head><body onload=alert(1)>",
    "end-of-block": "</div></article><iframe src=https://evil.example>",
    "comment": "<!-- --><svg/onload=alert(1)>",
    "entities": "&lt;script&gt;alert(1)&lt;/script&gt;",
    "double": "&amp;lt;script&amp;gt;&#60;b&#62;",
    "attribute": "\" onmouseover=alert(1) x='",
    "link": "[x](javascript:alert(1)) <https://evil.example> https://evil.example",
    "image": "![x](https://evil.example/pixel.png)",
    "snippet": '--8<-- "secret.txt"',
    "template": "{{ config.site_name }} {% raw %} ${x} #{x}",
    "attributes": "x { onclick=alert(1) } {: .evil }",
    "code": "``` html ~~~ `x` ``",
    "heading": "# heading | a | b |",
    "quotes": "'; alert(1); // \\",
    "css": "<style>body{display:none}</style><link rel=stylesheet href=//evil.example>",
    "base": "<base href=//evil.example><meta http-equiv=refresh content=0>",
    "rightwards": "\u05d0\u05d1\u05d2 <b>",
    "wide": "\U0001f600\u200d\u0301\u0301" * 5,
}
BLOCKS = ["{0}", "\n\n{0}\n\n", "    {0}", "```\n{0}\n```", "- {0}", "1. x\n2. {0}", "> {0}", "\t{0}\r\n"]


def hostile(name: str, words: str) -> Files:
    """An entry with these words in its title, its preset's name, its prompts and its texts."""
    files = run(CONFIG, handle="eve", name=name)
    texts = [form.replace("{0}", words).replace("\r", "") for form in BLOCKS]
    rows = [{"step": step, "prompt": words, "text": text} for step, text in enumerate(texts)]
    files = with_file("samples.jsonl", lines(rows[::-1]))(files)
    config = {**to_dict(CONFIG), "preset": words, "title": words, "task": CONFIG.task}
    files = with_config_head(config=config)(files)
    files = with_file("card.md", (CARD + carded(words)).encode())(files)
    return with_head(title=words)(files)


def carded(words: str) -> str:
    """In the card too, as far as a card may say it."""
    words = words.replace("&", "&amp;").replace("<", "&lt;").replace("https://evil", "evil")
    return (
        "" if any(mark in words for mark in ("--8", "{", "![", "](")) else f"\n{words}\n\n```\n{words}\n```\n"
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every hostile entry, two harmless ones, and a broken one; with the organiser's texts no better."""
    folder = tmp_path_factory.mktemp("hostile")
    home = folder / "showcase" / "entries"
    said: list[str] = []
    for name, words in HOSTILE.items():
        place = lay(hostile(name, words), home)
        entry.load(place)  # the format allows it
        measure(place, 2.0, name=words)
    lay(run(CONFIG), home)
    lay(run(CONFIG, "bob", "other"), home)
    (lay(run(CONFIG, "mal", "ruined"), home) / "metrics.jsonl").write_bytes(b"{")
    (home.parent / "showcase.toml").write_text('schema = "cohort.showcase/1"\nranking = true\n')
    build(make_kit(folder / "kit"), home, folder / "site", said.append)
    assert len(said) == 1, said
    assert said[0].startswith("left out mal-ruined: metrics.jsonl: ")
    return folder / "site"


def pages(site: Path) -> list[Path]:
    found = sorted((site / "gallery").rglob("*.html"))
    assert len(found) == len(HOSTILE) + 2 + 2
    return found


def test_a_broken_entry_does_not_stop_the_others(site: Path) -> None:
    there = {path.parent.name for path in pages(site)}
    assert {"ada-small", "bob-other", *(f"eve-{name}" for name in HOSTILE)} <= there
    assert "mal-ruined" not in there
    assert not (site / "gallery" / "mal-ruined").exists()


def kinds(page: Page) -> set[tuple[str, str]]:
    """Each element with its attributes' names."""
    return {(tag, name) for tag, attributes in page.tags for name in (*attributes, "")}


def test_no_entry_brings_an_element_or_a_handler(site: Path) -> None:
    """A hostile entry's page has nothing that a harmless one has not; and no page has a handler."""
    harmless = kinds(Page.of(site / "gallery" / "ada-small" / "index.html"))
    assert len(harmless) > 50
    for path in pages(site):
        page = Page.of(path)
        assert not any(name.startswith("on") for _, name in kinds(page)), path
        if path.parent.name.startswith("eve-"):
            assert kinds(page) - harmless <= {("tr", ""), ("pre", ""), ("code", ""), ("li", "")}, path


def test_every_link_and_file_is_the_site_s_own(site: Path) -> None:
    own = {"https://github.com/karpathy/nanoGPT", "https://squidfunk.github.io/mkdocs-material/"}
    for path in pages(site):
        for tag, attributes in Page.of(path).tags:
            for name in ("href", "src", "action", "data", "srcset", "poster", "xlink:href"):
                target = attributes.get(name, "")
                assert target in own or (":" not in target and not target.startswith("//")), (
                    path,
                    tag,
                    target,
                )


def test_scripts_are_as_many_as_on_a_harmless_page(site: Path) -> None:
    expected = Page.of(site / "gallery" / "bob-other" / "index.html").all("script")
    assert len(expected) > 5
    for path in pages(site):
        if path.parent.name.startswith("eve-"):
            assert Page.of(path).all("script") == expected, path


@pytest.mark.parametrize("name", HOSTILE)
def test_the_words_are_shown_as_they_are(site: Path, name: str) -> None:
    words = HOSTILE[name]
    page = Page.of(site / "gallery" / f"eve-{name}" / "index.html")
    assert page.text.count(words) >= 10, "title, preset, text's name, and the samples"
    assert words in Page.of(site / "gallery" / "index.html").text
    assert page.all("div") != []
    prompts = [found["data-prompt"] for found in page.all("div") if "data-prompt" in found]
    assert prompts == [words[:200]] * 2


def test_no_file_of_the_kit_is_in_a_page(site: Path) -> None:
    for path in site.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


def test_the_search_index_has_no_members_text(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    texts = [
        record["text"] + record["title"] for record in index["docs"] if "gallery/eve" in record["location"]
    ]
    assert len(texts) >= len(HOSTILE)
    for text in texts:
        assert not set("<>&\"'`{}()[]/\\") & set(text), text
        assert "badly" not in text, "of the card"


def test_no_card_became_a_page(site: Path) -> None:
    folder = site / "gallery" / "eve-script"
    assert (folder / "card.txt").is_file()
    assert not (folder / "card").exists()
    assert not list(site.rglob("card.md"))
