"""Merges within words, and merges across them: what does the pattern change?"""

from __future__ import annotations

from typing import Any

from cohort_cli.tokens.experiments.lab import Lab, split
from cohort_cli.tokens.experiments.result import Cell, Result, Table, bars
from cohort_cli.tokens.show import visible

CORPORA = ("english",)
SIZES = (512, 1024)
MOST = 200_000  # characters to learn from: without words every merge goes through the whole text


def run(lab: Lab, corpora: dict[str, str]) -> Result:
    rows: list[list[Cell]] = []
    series: dict[str, list[float]] = {"within words": [], "across words": []}
    for name, text in corpora.items():
        learned, held_out = split(name, text)
        documents = paragraphs(learned[:MOST])
        for size in SIZES:
            for way, options in {"within words": {}, "across words": {"pattern": None}}.items():
                lab.tell(f"{name}: vocabulary of {size}, {way}")
                parts = lab.train(documents, size, **options)
                rate = lab.bytes_per_token(held_out)
                made = [left + right for left, right in parts.merges]
                inside = [piece for piece in made if b" " in piece.strip(b" ")]
                lettered = [piece for piece in made if any(map(str.isalpha, piece.decode(errors="ignore")))]
                longest = visible(max(lettered, key=len, default=b""))
                rows.append([name, len(parts.vocab), way, rate, len(inside), f'"{longest}"'])
                series[way].append(rate)

    groups = [f"{name}\n{size}" for name in corpora for size in SIZES]
    columns = ["corpus", "vocabulary", "merges", "bytes per token", "space inside", "longest with a letter"]
    notes = [
        "Bytes per token on the last tenth of the text, which was not learned from. Learned from at most",
        f"{MOST:,} characters, each paragraph a document. space inside: tokens with a space between other characters.",
    ]
    table = Table("Merges within words, and across them", columns, rows, notes)
    return Result(table, lambda figure: _draw(figure, groups, series))


def _draw(figure: Any, groups: list[str], series: dict[str, list[float]]) -> None:
    bars(figure, groups, series, "bytes per token, held-out text")


def paragraphs(text: str) -> list[str]:
    """The paragraphs, each with the empty line that ends it; joined again they are the text."""
    parts = text.split("\n\n")
    return [part for part in [*(f"{part}\n\n" for part in parts[:-1]), parts[-1]] if part]
