"""How a difference between two lists of ids, or of merges, is said."""

from __future__ import annotations

import pytest

from cohort_cli.checking.judge.expect import CheckFailed, Expect
from cohort_cli.checking.judge.tokens import Tokens, escaped, parting, shown

MERGES = [(b"e", b"s"), (b"es", b"t"), (b"l", b"o"), (b"lo", b"w"), (b"s", b"x")]
PIECES = {i: bytes([i]) for i in range(256)} | {256 + k: a + b for k, (a, b) in enumerate(MERGES)}
TOKENS = Tokens(PIECES, MERGES)


def test_three_ids_on_either_side_and_their_text() -> None:
    ids = [*b"abcdefghi"]
    assert shown(ids, 4, PIECES) == "… 98 99 100 [101] 102 103 104 …  = 'b' 'c' 'd' ['e'] 'f' 'g' 'h'"


def test_a_list_that_ends_too_early_says_so() -> None:
    assert shown([108], 1, PIECES) == "108 [end]  = 'l'"


@pytest.mark.parametrize(
    ("piece", "text"),
    [
        (b"the", "'the'"),
        (b"\xc3", "'\\xc3'"),
        ("é".encode(), "'é'"),
        (b"\n", "'\\n'"),
        (b" a b", "'·a·b'"),
        ("·".encode(), "'\\xc2\\xb7'"),
    ],
)
def test_bytes_are_escaped_where_they_are_no_text(piece: bytes, text: str) -> None:
    assert escaped(piece) == text


@pytest.mark.parametrize(
    ("got", "want", "says"),
    [
        (
            [259, *b"es", 116],
            [259, 257],
            "They part at merge 0, 'e' + 's' (byte 4): it is wanted here and was not made.",
        ),
        (
            [259, 256, 116],
            [259, 257],
            "They part at merge 1, 'es' + 't' (byte 5): it is wanted here and was not made.",
        ),
        (
            [259, 257],
            [258, 119, 257],
            "They part at merge 3, 'lo' + 'w' (byte 2): it was made here and is not wanted.",
        ),
        (  # the leftmost pair first: es, x; the merge of s and x was learned before
            [256, 120],
            [101, 260],
            "They part at merge 0, 'e' + 's' (byte 1): it was made here and is not wanted.",
        ),
        ([*b"lo"], [*b"la"], "They do not stand for the same bytes: the first difference is at byte 1."),
        ([1000], [*b"la"], ""),
    ],
)
def test_the_merge_at_which_two_lists_part(got: list[int], want: list[int], says: str) -> None:
    assert parting(got, want, TOKENS) == says


def test_expect_ids_carries_index_and_both_sides() -> None:
    with pytest.raises(CheckFailed) as caught:
        Expect().ids([259, 256, 116], [259, 257], TOKENS, say="Encoding 'lowest'.")
    failed = caught.value
    assert (failed.first_diff, failed.axes, failed.value) == ([1], ["id"], [259, 256, 116])
    assert (failed.expected, failed.got) == (
        "259 [257]  = 'low' ['est']",
        "259 [256] 116  = 'low' ['es'] 't'",
    )
    assert failed.message.startswith("Encoding 'lowest'. They part at merge 1")


@pytest.mark.parametrize("got", [[True, *b"es"], (1,), "text", None])
def test_expect_ids_wants_a_list_of_whole_numbers(got: object) -> None:
    with pytest.raises(CheckFailed):
        Expect().ids(got, [1, *b"es"], TOKENS)


def test_expect_merges_names_the_first_that_differs() -> None:
    with pytest.raises(CheckFailed) as caught:
        Expect().merges([(b"e", b"s"), ("es", "t")], MERGES)
    assert caught.value.first_diff == [1]
    assert caught.value.expected == "'e'+'s'  ['es'+'t']  'l'+'o'  'lo'+'w'  's'+'x'"
    assert caught.value.got == "'e'+'s'  [('es', 't')]"
