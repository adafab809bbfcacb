"""A member's text does nothing on a page: for every text, and for those that somebody thought of to do harm."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from entries import CARD
from gallery_kit import Page
from hypothesis import given
from hypothesis import strategies as st
from markdown import markdown

from cohort_cli.showcase.gallery import safe

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200) | st.text(
    "<>&\"'`{}[]()!#*_-+=|~\\:;/. \n\tx1", max_size=60
)
EXTENSIONS = ["attr_list", "md_in_html", "tables", "toc", "pymdownx.superfences", "pymdownx.snippets"]
ALLOWED = safe.TAGS | {"h3", "h4", "h5", "h6"}
SHOWN = {"a": {"href", "rel"}, **{f"h{level}": {"id"} for level in range(3, 7)}}


def shown(words: str) -> str:
    """What a reader sees: HTML shows neither carriage returns nor characters that it forbids."""
    return re.sub("[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\ufffd", words.replace("\r\n", "\n"))


@given(TEXTS)
def test_text_has_no_character_that_means_anything(words: str) -> None:
    made = safe.text(words)
    assert re.fullmatch(r"(?:[^\W_]|(?<! ) |&#\d+;)*", made), made
    assert Page(f"<p>{made}</p>").text == shown(words)


@given(TEXTS)
def test_markdown_leaves_the_text_alone(words: str) -> None:
    """In a page's raw HTML, between tags and in an attribute, whatever extensions read it."""
    made = safe.text(words)
    page = Page(markdown(f'<div title="{made}"><p>{made}</p></div>', extensions=EXTENSIONS))
    assert [tag for tag, _ in page.tags] == ["div", "p"]
    assert page.tags[0][1] == {"title": shown(words)}
    assert page.text.rstrip("\n") == shown(words).rstrip("\n")


@given(TEXTS)
def test_a_plain_title_holds_letters_digits_and_dots(words: str) -> None:
    assert re.fullmatch(r"(?:[^\W_]|[.,-]| (?! ))+", safe.plain(words))


@given(TEXTS)
def test_a_card_has_only_known_tags_and_links(words: str) -> None:
    made = safe.card(words)
    assert "\n" not in made
    require_harmless(made)


@given(TEXTS)
def test_a_card_is_well_formed(words: str) -> None:
    made = Nesting(safe.card(words))
    assert made.mistakes == []


def require_harmless(made: str) -> None:
    for tag, attributes in Page(made).tags:
        assert tag in ALLOWED, made
        assert attributes.keys() <= SHOWN.get(tag, set()), made
        assert re.match(r"https?://\w|#card-|$", attributes.get("href", ""), re.ASCII), made


class Nesting(HTMLParser):
    def __init__(self, made: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.mistakes: list[str] = []
        self.feed(made)
        self.close()
        self.mistakes += self.open

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in safe.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.mistakes.append(tag)


@pytest.mark.parametrize(
    "words",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](java&#115;cript:alert(1))",
        "[x](data:text/html,x)",
        "[x](//evil.example)",
        "[x](../../index.html)",
        "![x](https://evil.example/pixel.png)",
        "<https://example.org> and <javascript:alert(1)>",
        "[x](https://a' onmouseover='alert(1))",
        "# x { onclick=alert(1) }",
        "```html\n<script>alert(1)</script>\n```",
        "    <script>alert(1)</script>",
        "| <b> | `<i>` |\n|---|---|\n| <u> | x |",
        "[a]: javascript:alert(1)\n\n[a]",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "[`<b>`](https://example.org/?a=<b>)",
        "# [a](#a)\n\n[b](#a) [c](#nowhere)",
    ],
)
def test_hostile_cards_do_nothing(words: str) -> None:
    require_harmless(safe.card(words))


def test_html_in_a_card_is_shown_as_it_is_written() -> None:
    assert Page(safe.card("a <b>c</b>\n\n<script>d</script>")).text.split() == [
        "a",
        "<b>c</b>",
        "<script>d</script>",
    ]


def test_a_card_keeps_what_it_says() -> None:
    made = safe.card(CARD, "A small model")
    page = Page(made)
    assert "A small model" not in page.text, "the page has this heading already"
    assert [tag for tag, _ in page.tags if tag.startswith("h")] == ["h3"] * 5
    assert "<em>badly</em>" in made
    assert page.all("a")[0]["href"] == "https://github.com/karpathy/nanoGPT"
    assert page.all("a")[1]["href"] == "#card-use-of-ai"
    assert {"id": "card-use-of-ai"} in page.all("h3")
    assert "3 < 4" in page.text
    assert "<|endoftext|>" in page.text
    assert len(page.all("td")) == 2


def test_code_keeps_its_lines_and_a_link_to_nowhere_is_text() -> None:
    page = Page(safe.card("```\na  b\n\n c\n```\n\n[x](#nowhere)"))
    assert page.text.startswith("a  b\n\n c\n")
    assert page.all("a") == []
