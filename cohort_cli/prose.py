"""Text for terminals: its width, wrapping, and what must not reach a terminal from untrusted code."""

from __future__ import annotations

import re
import shutil
import textwrap
import unicodedata

WIDEST = 100  # longer lines are hard to read


def width() -> int:
    """Columns to use: COLUMNS, or the terminal's, at most 100 so that lines stay readable."""
    return max(40, min(shutil.get_terminal_size((80, 24)).columns, WIDEST))


def clean(text: str) -> str:
    """Text from untrusted code, with control characters made visible: "\\x1b[2J" must not clear the screen."""
    text = text.replace("\r\n", "\n").expandtabs(4)
    return "".join(c if c == "\n" or not _steers(c) else c.encode("unicode_escape").decode() for c in text)


def _steers(character: str) -> bool:
    """Control, format (such as right-to-left marks), surrogate, private, and line and paragraph separators."""
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def wrap(text: str, first: str = "", rest: str = "") -> list[str]:
    """Wrap to the width, with `first` before the first line and `rest` before the others. Line breaks stay."""
    lines: list[str] = []
    for part in text.split("\n"):
        indent = rest if lines else first
        found = textwrap.wrap(
            part, width(), initial_indent=indent, subsequent_indent=rest, break_on_hyphens=False
        )
        lines += found or [indent.rstrip()]
    return lines


_VERBATIM = re.compile(r"    |#|\||>")
_ITEM = re.compile(r"\s*([-*]|\d+\.) +")


def wrap_markdown(text: str) -> str:
    """Prose wrapped anew; code, tables, headings and quotes as they are."""
    lines: list[str] = []
    paragraph: list[str] = []
    fenced = False

    def flush() -> None:
        if paragraph:
            item = _ITEM.match(paragraph[0])
            body = " ".join(line.strip() for line in paragraph)
            lines.extend(wrap(body, rest=" " * item.end() if item else ""))
            paragraph.clear()

    for line in text.strip("\n").split("\n"):
        fence = line.lstrip().startswith("```")
        if fenced or fence or not line.strip() or (not paragraph and _VERBATIM.match(line)):
            flush()
            lines.append(line.rstrip())
            fenced ^= fence
            continue
        if _ITEM.match(line):
            flush()
        paragraph.append(line)
    flush()
    return "\n".join(lines)
