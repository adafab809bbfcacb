"""Often several pairs are equally frequent. Ours merges the greatest; how much depends on that?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from cohort_cli.tokens.experiments.lab import Lab, split
from cohort_cli.tokens.experiments.result import Cell, Result, Table, bars
from cohort_cli.tokens.formats import GPT2_SPLIT_PATTERN, Parts

CORPORA = ("english",)
SIZES = (512, 1024, 2048)

Pair = tuple[bytes, bytes]


def run(lab: Lab, corpora: dict[str, str]) -> Result:
    rows: list[list[Cell]] = []
    series: dict[str, list[float]] = {"ties to the greater": [], "ties to the smaller": []}
    for name, text in corpora.items():
        learned, held_out = split(name, text)
        lab.tell(f"{name}: ties to the smaller")
        smaller = learn_merges(count_words(learned), max(SIZES) - 256, greater=False)
        for size in SIZES:
            lab.tell(f"{name}: vocabulary of {size}")
            greater = lab.train([learned], size)
            one = lab.bytes_per_token(held_out)
            others = smaller[: len(greater.merges)]
            lab.use(_parts(others))
            other = lab.bytes_per_token(held_out)
            first = next(
                (n for n, (a, b) in enumerate(zip(greater.merges, others, strict=False), 1) if a != b), 0
            )
            differing = len(set(greater.merges) - set(others))
            rows.append([name, size, len(greater.merges), differing, str(first or "none"), one, other])
            series["ties to the greater"].append(one)
            series["ties to the smaller"].append(other)

    groups = [f"{name}\n{size}" for name in corpora for size in SIZES]
    columns = ["corpus", "vocabulary", "merges", "only in one", "first differs", "greater", "smaller"]
    notes = [
        "only in one: merges that the other rule does not make at all. first differs: the number of the first merge",
        "that is another one. greater, smaller: bytes per token on the last tenth of the text, not learned from.",
    ]
    table = Table("Ties to the greater pair, and to the smaller", columns, rows, notes)

    def draw(figure: Any) -> None:
        bars(figure, groups, series, "bytes per token, held-out text", digits=3)

    return Result(table, draw)


def _parts(merges: list[Pair]) -> Parts:
    pieces = [bytes([byte]) for byte in range(256)] + [left + right for left, right in merges]
    return Parts(dict(enumerate(pieces)), merges, [], GPT2_SPLIT_PATTERN)


def count_words(text: str) -> Counter[bytes]:
    """How often each word of GPT-2's pattern occurs."""
    import regex  # type: ignore[import-untyped]

    return Counter(word.encode("utf-8") for word in regex.findall(GPT2_SPLIT_PATTERN, text))


def learn_merges(words: Mapping[bytes, int], n_merges: int, greater: bool) -> list[Pair]:
    """Merges within words. Of pairs that are equally frequent the greater is taken, or the smaller.

    Only the words that hold a pair are counted anew after its merge.
    """
    split = [[bytes([byte]) for byte in word] for word in words]
    frequency = list(words.values())
    counts: Counter[Pair] = Counter()
    places: defaultdict[Pair, set[int]] = defaultdict(set)
    for index, pieces in enumerate(split):
        for pair in pairwise(pieces):
            counts[pair] += frequency[index]
            places[pair].add(index)
    merges: list[Pair] = []
    while counts and len(merges) < n_merges:
        most = max(counts.values())
        tied = [pair for pair, count in counts.items() if count == most]
        best = max(tied) if greater else min(tied)
        merges.append(best)
        for index in places.pop(best):
            for pair in pairwise(split[index]):
                counts[pair] -= frequency[index]
                if not counts[pair]:
                    del counts[pair]
            split[index] = _merged(split[index], best)
            for pair in pairwise(split[index]):
                counts[pair] += frequency[index]
                places[pair].add(index)
    return merges


def _merged(pieces: list[bytes], pair: Pair) -> list[bytes]:
    """The pieces with the pair joined wherever it stands, from left to right."""
    joined: list[bytes] = []
    for piece in pieces:
        if joined and (joined[-1], piece) == pair:
            joined[-1] += piece
        else:
            joined.append(piece)
    return joined
