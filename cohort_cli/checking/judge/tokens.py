"""How two lists of token ids differ, in the words of a tokenizer.

first difference at index 3, byte 3 of the text
they part at merge 1, 'e' + 's': it was made here and is not wanted   (or: it is wanted here and was not made)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

AROUND = 3  # ids shown on either side of the first difference
DOT = "·"  # a space would be lost where a line is wrapped

Pair = tuple[bytes, bytes]


@dataclass(frozen=True)
class Tokens:
    """What ids stand for: the bytes of each, and the merges in the order in which they were learned."""

    pieces: Mapping[int, bytes]
    merges: Sequence[Pair] = ()


def first_difference(got: Sequence[object], want: Sequence[int]) -> int:
    """Index of the first id that differs; the shorter length when one list continues the other."""
    pairs = zip(got, want, strict=False)
    return next(
        (i for i, (a, b) in enumerate(pairs) if a != b or type(a) is not int), min(len(got), len(want))
    )


def shown(ids: Sequence[object], index: int, pieces: Mapping[int, bytes]) -> str:
    """Three ids on either side of `index`, then the same as text: … 108 [259] 101 … = 'l' ['ow'] 'e'"""
    start, end = max(0, index - AROUND), index + AROUND + 1
    numbers, texts = [], []
    for i, id in enumerate(ids[start:end], start):
        text = escaped(pieces[id]) if isinstance(id, int) and id in pieces else "?"
        numbers.append(f"[{id}]" if i == index else f"{id}")
        texts.append(f"[{text}]" if i == index else text)
    if len(ids) <= index:
        numbers.append("[end]")
    before, after = "… " * (start > 0), " …" * (len(ids) > end)
    return f"{before}{' '.join(numbers)}{after}  = {' '.join(texts)}"


def escaped(piece: bytes) -> str:
    """Readable where it is text, with a dot for a space; escaped where it is not: '·the', '\\xc3'."""
    try:
        text = piece.decode()
    except UnicodeDecodeError:
        return repr(piece)[1:]
    return repr(text.replace(" ", DOT)) if text.isprintable() and DOT not in text else repr(piece)[1:]


def parting(got: Sequence[int], want: Sequence[int], tokens: Tokens) -> str:
    """The first merge that one list has made where the other has not; "" when that cannot be said."""
    try:
        ours, theirs = (_bytes(ids, tokens.pieces) for ids in (want, got))
    except (KeyError, TypeError):
        return ""
    if ours != theirs:
        at = next(
            (i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b),
            min(len(ours), len(theirs)),
        )
        return f"They do not stand for the same bytes: the first difference is at byte {at}."
    wanted, made = _joints(want, tokens), _joints(got, tokens)
    differing = [
        (rank, 0, offset, pair) for offset, (rank, pair) in wanted.items() if made.get(offset) != (rank, pair)
    ]
    differing += [
        (rank, 1, offset, pair) for offset, (rank, pair) in made.items() if wanted.get(offset) != (rank, pair)
    ]
    if not differing:
        return ""
    rank, extra, offset, (left, right) = min(differing)
    says = "it was made here and is not wanted" if extra else "it is wanted here and was not made"
    return f"They part at merge {rank}, {escaped(left)} + {escaped(right)} (byte {offset}): {says}."


def _bytes(ids: Sequence[int], pieces: Mapping[int, bytes]) -> bytes:
    return b"".join(pieces[id] for id in ids)


def _joints(ids: Sequence[int], tokens: Tokens) -> dict[int, tuple[int, Pair]]:
    """Where two parts of a token were joined: byte offset -> (rank of the merge, its parts)."""
    makers = {left + right: (rank, (left, right)) for rank, (left, right) in enumerate(tokens.merges)}
    joints: dict[int, tuple[int, Pair]] = {}
    start = 0
    for id in ids:
        open_parts = [(start, tokens.pieces[id])]
        while open_parts:
            begin, piece = open_parts.pop()
            if len(piece) > 1 and piece in makers:
                left, right = makers[piece][1]
                joints[begin + len(left)] = makers[piece]
                open_parts += [(begin, left), (begin + len(left), right)]
        start += len(tokens.pieces[id])
    return joints


def merge_difference(got: Sequence[object], want: Sequence[Pair]) -> tuple[int, str, str]:
    """The first merge that differs: its index, and both as words."""
    index = next(
        (i for i, (a, b) in enumerate(zip(got, want, strict=False)) if a != b), min(len(got), len(want))
    )
    return index, _merges_around(want, index), _merges_around(got, index)


def _merges_around(merges: Sequence[object], index: int) -> str:
    words = []
    start = max(0, index - AROUND)
    for i, merge in enumerate(merges[start : index + AROUND + 1], start):
        if isinstance(merge, tuple) and len(merge) == 2 and all(isinstance(part, bytes) for part in merge):
            word = f"{escaped(merge[0])}+{escaped(merge[1])}"
        else:
            word = repr(merge)[:80]
        words.append(f"[{word}]" if i == index else word)
    if len(merges) <= index:
        words.append("[end]")
    return f"{'… ' * (start > 0)}{'  '.join(words)}{' …' * (len(merges) > index + AROUND + 1)}"
