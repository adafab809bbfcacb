"""What is shown of tokens: their cuts, their bytes, and nothing that steers a terminal."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cohort_cli.tokens import show
from cohort_cli.tokens.client import Token


def tokens(*pieces: bytes) -> list[Token]:
    return [Token(number, piece) for number, piece in enumerate(pieces)]


@pytest.mark.parametrize(
    ("piece", "seen"),
    [
        (b" the", " the"),
        ("ä€日👍".encode(), "ä€日👍"),
        (b"\n\r\t", r"\n\r\t"),
        (b"\x1b[2J\x00\x7f", r"\x1b[2J\x00\x7f"),
        ("\u0085\u202e\u00a0\u2028\U000e0001".encode(), r"\u0085\u202e\u00a0\u2028\U000e0001"),
        (b"\xe2\x82", r"\xe2\x82"),
        (b"a\xffb", r"a\xffb"),
        (b"", ""),
    ],
)
def test_a_token_is_visible(piece: bytes, seen: str) -> None:
    assert show.visible(piece) == seen


@given(st.binary() | st.text(st.characters(exclude_categories=["Cs"])).map(str.encode))
def test_nothing_steers_the_terminal(piece: bytes) -> None:
    shown = show.visible(piece) + show.escaped_bytes(piece)
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")]
    assert show.escaped_bytes(piece).isascii()


@given(st.lists(st.binary(max_size=4)), st.lists(st.binary(max_size=4)))
def test_escaped_bytes_are_unambiguous(one: list[bytes], other: list[bytes]) -> None:
    assert (show.escaped_bytes(b"".join(one)) == show.escaped_bytes(b"".join(other))) == (
        b"".join(one) == b"".join(other)
    )


def test_cuts_without_colour() -> None:
    assert (
        show.cut(tokens(b"a", b" b", b"\n", b"c", b"d\n\n", b"|"), colour=False) == "a| b|\\n\nc|d\\n\\n\n|"
    )
    assert show.cut(tokens(b"a\n"), colour=False) == "a\\n"
    assert show.cut([], colour=False) == ""


def test_cuts_in_colour_alternate_and_end() -> None:
    text = show.cut(tokens(b"a", b"b", b"c"), colour=True)
    first, second = show.BACKGROUNDS
    assert text == f"{first}a{show.PLAIN}{second}b{show.PLAIN}{first}c{show.PLAIN}"
    assert re.sub(r"\x1b\[[0-9;]*m", "", text) == "abc"


def test_the_table_is_aligned() -> None:
    assert show.table([Token(7, b" a"), Token(50256, b"\xc3\xa9")]) == [
        "   id  bytes     text",
        '    7   a        " a"',
        '50256  \\xc3\\xa9  "é"',
    ]
    assert show.table([]) == ["id  bytes  text"]


def test_the_rate_of_nothing_is_no_number() -> None:
    assert show.rate(10, 4) == "2.50"
    assert show.rate(0, 0) == "-"


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ([b"ab", b"c"], [b"ab", b"c"], None),
        ([b"ab", b"cd"], [b"ab", b"c", b"d"], (2, b"cd", b"c")),
        ([b"a", b"bc"], [b"ab", b"c"], (0, b"a", b"ab")),
        ([], [], None),
    ],
)
def test_the_first_differing_cut(
    one: list[bytes], other: list[bytes], found: tuple[int, bytes, bytes] | None
) -> None:
    assert show.first_difference(tokens(*one), tokens(*other)) == found
