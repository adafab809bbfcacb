"""Writes the figures into the three data cards, messages.md, instructions.md and preferences.md.

    python projects/project3_pretrain_finetune/data/make_cards.py            write them
    python projects/project3_pretrain_finetune/data/make_cards.py --check    only say whether they are still true

The prose of a card is written by hand. What stands between the two marks is computed from the .jsonl file.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import mean

from baseline import messages_figures, preferences_figures, read
from make_sets import STRATUM, TEXT
from near import LIMIT, closest_across

HERE = Path(__file__).parent
BEGIN, END = "<!-- figures: make_cards.py writes what follows -->", "<!-- end of figures -->"
SPLITS = ("train", "validation", "test")
Row = dict[str, str]


def table(head: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """A Markdown table; the first column is text and the others are numbers."""
    rows = [head, ["---", *["---:"] * (len(head) - 1)], *lines]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)


def by_split(rows: list[Row], group: Callable[[Row], str], what: str) -> str:
    """How many lines each group has in each split, in the order of the file."""
    found = Counter((group(row), row["split"]) for row in rows) + Counter(
        ("all", row["split"]) for row in rows
    )
    names = [*dict.fromkeys(group(row) for row in rows), "all"]
    lines = [
        [name, *(found[name, split] for split in SPLITS), sum(found[name, s] for s in SPLITS)]
        for name in names
    ]
    return table([what, *SPLITS, "lines"], lines)


def accuracies(figures: dict[str, float]) -> str:
    return table(["rule", "accuracy"], [[what, f"{value:.3f}"] for what, value in figures.items()])


def messages_block(rows: list[Row]) -> str:
    lengths = {
        label: [len(row["text"]) for row in rows if row["label"] == label] for label in ("spam", "ham")
    }
    means = ", ".join(f"{label} {mean(values):.0f}" for label, values in lengths.items())
    return f"""{by_split(rows, lambda row: row["label"], "label")}

{by_split(rows, STRATUM["messages"], "label and kind")}

Mean length in characters: {means}.

How far one gets without a language model (baseline.py):

{accuracies(messages_figures())}"""


def instructions_block(rows: list[Row]) -> str:
    empty = sum(not row["input"] for row in rows)
    wordings = len({row["instruction"] for row in rows if row["input"]})
    return f"""{by_split(rows, STRATUM["instructions"], "family")}

Lines with an empty input: {empty}. Different wordings of the instruction among the other lines: {wordings}.
Mean length in characters: instruction {mean(len(row["instruction"]) for row in rows):.0f}, input \
{mean(len(row["input"]) for row in rows if row["input"]):.0f} (where there is one), output \
{mean(len(row["output"]) for row in rows):.0f}."""


def preferences_block(rows: list[Row]) -> str:
    def bias(part: list[Row]) -> list[object]:
        difference = [len(row["chosen"]) - len(row["rejected"]) for row in part]
        signs = [
            sum(d > 0 for d in difference),
            sum(d < 0 for d in difference),
            sum(d == 0 for d in difference),
        ]
        return [*signs, f"{mean(difference):+.1f}"]

    parts = {
        kind: [row for row in rows if row["kind"] == kind]
        for kind in dict.fromkeys(row["kind"] for row in rows)
    }
    parts |= {f"split {split}": [row for row in rows if row["split"] == split] for split in SPLITS} | {
        "all": rows
    }
    lengths = table(
        ["part", "chosen longer", "rejected longer", "equal", "mean difference in characters"],
        [[name, *bias(part)] for name, part in parts.items()],
    )
    return f"""{by_split(rows, STRATUM["preferences"], "kind")}

Length, chosen against rejected:

{lengths}

How far one gets without a language model (baseline.py):

{accuracies(preferences_figures())}"""


BLOCKS = {"messages": messages_block, "instructions": instructions_block, "preferences": preferences_block}


def block(name: str) -> str:
    """The part of a card that is computed."""
    rows, data = read(name), (HERE / f"{name}.jsonl").read_bytes()
    similarity, *_ = closest_across([TEXT[name](row) for row in rows], [row["split"] for row in rows])
    return f"""{BEGIN}

File: `{name}.jsonl`, {len(rows):,} lines, {len(data):,} bytes, SHA-256
`{hashlib.sha256(data).hexdigest()}`

{BLOCKS[name](rows)}

Largest similarity between two lines of different splits: {similarity:.2f} (near duplicates begin at {LIMIT}; near.py
says how it is measured).

{END}"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the figures into the data cards, or check them.")
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    stale = []
    for name in BLOCKS:
        path = HERE / f"{name}.md"
        card = path.read_text(encoding="utf-8")
        before, begin, rest = card.partition(BEGIN)
        _, end, after = rest.partition(END)
        if not begin or not end:
            print(f"{path.name}: the two marks around the figures are missing", file=sys.stderr)
            return 1
        new = before + block(name) + after
        if new == card:
            continue
        stale.append(path.name)
        if not check:
            path.write_text(new, encoding="utf-8", newline="\n")
            print(f"{path.name}: figures written")
    if check and stale:
        print(f"figures no longer true: {', '.join(stale)}; run make_cards.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
