from __future__ import annotations

from collections.abc import Sequence

from chain import Chain


def text_to_bytes(text: str) -> list[int]:
    return list(memoryview(text.encode("utf-8")))


def bytes_to_text(ids: Sequence[int], errors: str = "replace") -> str:
    data = bytearray()
    for value in ids:
        data.append(value)
    return str(data, "utf-8", errors)


def get_pair_counts(
    ids: Sequence[int], counts: dict[tuple[int, int], int] | None = None
) -> dict[tuple[int, int], int]:
    if counts is None:
        counts = dict()
    iterator = iter(ids)
    try:
        left = next(iterator)
    except StopIteration:
        return counts
    for right in iterator:
        counts[left, right] = 1 + counts.setdefault((left, right), 0)
        left = right
    return counts


def merge(ids: Sequence[int], pair: tuple[int, int], new_id: int) -> list[int]:
    out: list[int] = []
    skip = False
    for place, value in enumerate(ids):
        if skip:
            skip = False
        elif place + 1 < len(ids) and value == pair[0] and ids[place + 1] == pair[1]:
            out.append(new_id)
            skip = True
        else:
            out.append(value)
    return out


def learn_merges(text: str, n_merges: int) -> list[tuple[bytes, bytes]]:
    return Chain({text.encode("utf-8"): 1}).learn(n_merges)
