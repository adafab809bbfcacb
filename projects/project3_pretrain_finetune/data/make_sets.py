"""Writes messages.jsonl, instructions.jsonl and preferences.jsonl from the texts in sources/.

    python projects/project3_pretrain_finetune/data/make_sets.py            write the three files
    python projects/project3_pretrain_finetune/data/make_sets.py --check    only say whether they are what it would write

Nothing here depends on the time or on the machine: the same sources give the same bytes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from families import instructions
from near import draw_splits

HERE = Path(__file__).parent
SEED = 3
Row = dict[str, str]


def sections(name: str) -> Iterator[tuple[str, str]]:
    """(heading, line) for each line of a file in sources/ that is neither empty nor a heading nor a comment."""
    heading = ""
    for line in (HERE / "sources" / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            heading = line[3:]
        elif line and not line.startswith("# "):
            yield heading, line


def messages() -> list[Row]:
    rows = []
    for heading, text in sections("messages.txt"):
        label, kind = heading.split()
        rows.append({"text": text, "label": label, "kind": kind})
    return rows


def preferences() -> list[Row]:
    lines = list(sections("preferences.txt"))
    rows = []
    for (kind, prompt), (_, chosen), (_, rejected) in zip(lines[::3], lines[1::3], lines[2::3], strict=True):
        row = {"kind": kind}
        for key, mark, line in (
            ("prompt", "P: ", prompt),
            ("chosen", "C: ", chosen),
            ("rejected", "R: ", rejected),
        ):
            if not line.startswith(mark):
                raise ValueError(f"preferences.txt: expected {mark!r} here: {line!r}")
            row[key] = line.removeprefix(mark).replace("\\n", "\n")
        rows.append(row)
    return rows


# What makes two rows of a set alike, for the splits: the text that carries the example.
TEXT = {
    "messages": lambda row: row["text"],
    "instructions": lambda row: f"{row['input'] or row['instruction']} {row['output']}",
    "preferences": lambda row: f"{row['prompt']} {row['chosen']}",
}
STRATUM = {
    "messages": lambda row: f"{row['label']} {row['kind']}",
    "instructions": lambda row: row["family"],
    "preferences": lambda row: row["kind"],
}
SHARES = {  # of validation and test
    "messages": (0.1, 0.2),
    "instructions": (0.1, 0.1),
    "preferences": (0.1, 0.2),
}


def finished(name: str) -> str:
    """The whole file as text: JSON Lines."""
    rows = {
        "messages": messages,
        "instructions": lambda: instructions(sections, SEED),
        "preferences": preferences,
    }[name]()
    validation, test = SHARES[name]
    texts, strata = [TEXT[name](row) for row in rows], [STRATUM[name](row) for row in rows]
    splits = draw_splits(texts, strata, validation=validation, test=test, seed=SEED)
    for row, split in zip(rows, splits, strict=True):
        row["split"] = split
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the three data sets, or check them.")
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    stale = []
    for name in SHARES:
        path, text = HERE / f"{name}.jsonl", finished(name)
        if check:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                stale.append(path.name)
        else:
            path.write_text(text, encoding="utf-8", newline="\n")
            print(f"{path.name}: {text.count(chr(10))} lines")
    if stale:
        print(f"not what the sources give: {', '.join(stale)}; run make_sets.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
