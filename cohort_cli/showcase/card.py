"""The card of an entry, `card.md`: what only its maker can say. A template to answer, and what a card may hold.

A card is Markdown of the plain kind (CommonMark and tables). It has no HTML, no images, and its links lead to http(s) or
to a heading of its own, so that a page may show it whatever else it does.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from cohort_cli.showcase.strict import Refused

TODO = "TODO:"
LONGEST_LINE = 4000


class Section(NamedTuple):
    title: str
    asks: tuple[str, ...]


COMMON = (
    Section("What it is", ("in two or three sentences, for somebody who has never trained a model.",)),
    Section("Data and licence", ("where is the data from, who made it, and what does its licence allow?",)),
    Section("What went wrong", ("what did you try that did not work, and how did you find out?",)),
    Section("Use of AI", ("which assistants helped, and with what? “None” is an answer too.",)),
    Section(
        "Who reproduced it", ("who ran this again, and what did they get? “Nobody yet” is an answer too.",)
    ),
)
# project -> section -> what is asked beside the common question
MORE = {
    "project0": {
        "What it is": "which unit did you like most, and where do your counted models stand on the ladder?",
    },
    "project1": {
        "What it is": "how large is the vocabulary, and which of its tokens would nobody have guessed?",
        "Data and licence": "on which text did it learn its merges?",
        "What went wrong": "which text does it cut badly: another language, numbers, code?",
    },
    "project2": {
        "What it is": "what does your attention look at? Name a head and a sentence.",
        "What went wrong": "which known mistake did `cohort check` name, and what was it?",
    },
    "project3": {
        "What it is": "how much better is it than counting pairs of characters on the same text?",
        "Data and licence": "what is in the data that you would not say yourself?",
        "What went wrong": "which run did not learn, and what did its curve look like?",
    },
    "project4": {
        "What it is": "what is yours in it, and what is GPT-2's?",
        "Data and licence": "whose weights did it start from, if from any?",
        "What went wrong": "which of your changes made it worse, and by how much?",
    },
    "project5": {
        "What it is": "which lab is it, and what did you measure?",
        "What went wrong": "what did the lab promise that did not come true for you?",
    },
}


def template(project: str, title: str) -> str:
    """The card to be answered. Each line that begins with TODO is a question."""
    lines = [f"# {_escaped(title)}", ""]
    for section in COMMON:
        more = MORE.get(project, {}).get(section.title)
        asks = (*section.asks, *([more] if more else []))
        lines += [f"## {section.title}", "", *(f"{TODO} {question}" for question in asks), ""]
    return "\n".join(lines)


def _escaped(title: str) -> str:
    """A title in which nothing is markup."""
    return re.sub(r"[\\<>&`*_\[\]{}]", lambda found: f"&#{ord(found[0])};", title)


def sections(text: str) -> dict[str, str]:
    """Title in small letters -> what stands below it."""
    parts = re.split(r"^##[ \t]+(.+?)[ \t#]*$", text.replace("\r\n", "\n"), flags=re.MULTILINE)
    return {title.strip().casefold(): body for title, body in zip(parts[1::2], parts[2::2], strict=True)}


def words(markdown: str) -> str:
    """What a part of a card says, without its markup: a line for each paragraph, item or row. No questions."""
    from markdown_it import MarkdownIt

    found: list[str] = []
    cell = 0  # its number in a row of a table
    for block in MarkdownIt("commonmark", {"html": True, "maxNesting": 20}).enable("table").parse(markdown):
        if block.type in ("fence", "code_block"):
            found.append(block.content)
        elif block.type == "inline":
            inner = [" " if "break" in token.type else token.content for token in block.children or ()]
            found.append("".join(inner))
            if cell > 1:
                found[-2:] = [": ".join(found[-2:])]
        cell = 0 if block.type == "tr_open" else cell + 1 if block.type in ("td_open", "th_open") else cell
        cell = 0 if block.type == "table_close" else cell
    return "\n".join(line.strip() for line in found if line.strip() and not line.lstrip().startswith(TODO))


def unfinished(text: str) -> list[str]:
    """What is not answered yet, a line each."""
    found, said = [], sections(text)
    for section in COMMON:
        body = said.get(section.title.casefold())
        if body is None:
            found.append(f"the section “{section.title}” is missing")
        elif not body.strip():
            found.append(f"the section “{section.title}” is empty")
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"[\s>*-]*todo\b", line, re.IGNORECASE):
            found.append(f"line {number} is still a question: {line.strip()[:80]}")
    return found


# --- what a card may not hold ----------------------------------------------------------------------------------

_TAG = re.compile(r"<[A-Za-z/!?]")  # the beginning of HTML, or of an address in <…>
_MAIL = re.compile(r"<[^<> ]+@[^<> ]+>")  # <[a@b.c> is an address to some readers, over two lines too
_SNIPPET = re.compile(r"-{1,}8<-{1,}")  # some builders of sites put a file in its place
_ATTRIBUTES = re.compile(r"\{[^{}\n]*=")  # { href=… } gives the text before it another link, in some dialects
_TEMPLATE = re.compile(r"\{[{%]")
_TARGET = re.compile(r"\]\(\s*<?([^\s)>]*)")
_DEFINED = re.compile(r"^[ \t>*+-]*\[[^\]\n]+\]:\s*<?(\S*)", re.MULTILINE)
_ALLOWED = re.compile(r"https?://[A-Za-z0-9]|#")


def inspect(text: str) -> str:
    """The same card, if nothing in it is active. Raises Refused with the line.

    The rules are on the text, code included, and once more on what a parser makes of it: so no reader of Markdown,
    whatever its dialect, finds HTML, an image or another kind of link.
    """
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > LONGEST_LINE:
            raise Refused(f"line {number} is longer than {LONGEST_LINE:,} characters")
        if found := _TAG.search(line):
            raise Refused(f"line {number} has HTML ({line[found.start() :][:20]!r}); write &lt; for <")
        for pattern, what in (
            (_SNIPPET, "a snippet"),
            (_TEMPLATE, "a template"),
            (_ATTRIBUTES, "attributes"),
        ):
            if pattern.search(line):
                raise Refused(f"line {number} has {what}, which a site might run")
        if "![" in line:
            raise Refused(f"line {number} has an image; a card has none")
    if found := _MAIL.search(text):
        raise Refused(
            f"it has an address ({found[0][:20]!r}), which some readers turn into a link; write &lt; for <"
        )
    for pattern in (_TARGET, _DEFINED):
        for match in pattern.finditer(text):
            _require_link(match[1])
    _parse(text)
    return text


def _require_link(target: str) -> None:
    if not _ALLOWED.match(target):
        raise Refused(f"the link {target[:40]!r} leads neither to http(s) nor to a heading of the card (#…)")


def _parse(text: str) -> None:
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": True, "maxNesting": 20}).enable("table")
    for block in reader.parse(text):
        for token in (block, *(block.children or ())):
            if token.type in ("html_block", "html_inline"):
                raise Refused("it has HTML")
            if token.type == "image":
                raise Refused("it has an image; a card has none")
            if token.type == "link_open":
                _require_link(str(token.attrs.get("href", "")))
