"""Bytes, pairs and merges: byte-pair encoding in its plainest form.    Steps: bytes, pairs, train

A token id from 0 to 255 is a byte. Each merge makes one more id: 256, 257, and so on.
You may add helper functions, files and attributes as you like.
"""

from __future__ import annotations

from collections.abc import Sequence

# --- step: bytes --------------------------------------------------------------------------------------------


def text_to_bytes(text: str) -> list[int]:
    """The UTF-8 bytes of a text, each a number from 0 to 255.

    Raises ValueError for half a surrogate pair ("\\ud800" alone): it is no text, and UTF-8 has no bytes for it.
    """
    raise NotImplementedError("bytes: text_to_bytes")


def bytes_to_text(ids: Sequence[int], errors: str = "replace") -> str:
    """The text whose UTF-8 bytes these are.

    errors: what happens to bytes that are not UTF-8. "replace" puts U+FFFD in their place, "strict" raises ValueError.
    """
    raise NotImplementedError("bytes: bytes_to_text")


# --- step: pairs --------------------------------------------------------------------------------------------


def get_pair_counts(
    ids: Sequence[int], counts: dict[tuple[int, int], int] | None = None
) -> dict[tuple[int, int], int]:
    """How often each pair of neighbours occurs: [1, 2, 3, 1, 2] gives {(1, 2): 2, (2, 3): 1, (3, 1): 1}.

    Every neighbour counts, also where pairs overlap: [1, 1, 1] has (1, 1) twice.
    counts: counts of other sequences, to which these are added, in place.
    """
    raise NotImplementedError("pairs: get_pair_counts")


def merge(ids: Sequence[int], pair: tuple[int, int], new_id: int) -> list[int]:
    """A new list in which `new_id` stands for each occurrence of `pair`, taken from left to right.

    Occurrences do not overlap: merge([1, 1, 1], (1, 1), 9) is [9, 1]. `ids` stays as it is.
    """
    raise NotImplementedError("pairs: merge")


# --- step: train --------------------------------------------------------------------------------------------


def learn_merges(text: str, n_merges: int) -> list[tuple[bytes, bytes]]:
    """The first `n_merges` merges of a text, in the order in which they are learned.

    Each time the pair that occurs most often is merged everywhere. Of several such pairs it is the one that is
    greatest as a pair of bytes: (b"b", b"a") > (b"a", b"z"). Fewer merges come back when no pair is left.
    """
    raise NotImplementedError("train: learn_merges")
