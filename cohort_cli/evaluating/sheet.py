"""A blind sheet: people say which of two answers is better, and cannot know whose is whose.

    sheet.csv   opens in any table program: item, instruction, A, B, and an empty column "better" for A, B or tie
    key.json    which of the two was the model's; nobody looks into it before the sheets are filled

Which answer stands in column A is drawn by the seed. Each rater fills a copy of the sheet. No torch.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cohort_cli.errors import UsageError
from cohort_cli.evaluating.answers import Pair
from cohort_cli.evaluating.judge import LOSS, TIE, WIN, preference
from cohort_cli.evaluating.statistics import agreement
from cohort_cli.training import disk, guards

SCHEMA = "cohort.sheet/1"
SHEET, KEY = "sheet.csv", "key.json"
COLUMNS = ("item", "instruction", "A", "B", "better")
STEERS = "=+-@\t\r"  # a cell that begins with one of these would be a formula


def write(folder: Path, pairs: Sequence[Pair], seed: int = 0) -> Path:
    """Write both files. Returns the sheet. Raises UsageError if a sheet is there already: it may be filled."""
    if (folder / SHEET).exists():
        raise UsageError(
            f"{folder / SHEET} exists; it may hold somebody's answers.", "Move it away, or use it."
        )
    if not pairs:
        raise UsageError("There is nothing to compare: no instruction was answered.")
    draw = random.Random(seed)
    text, key = io.StringIO(), {}
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for pair in pairs:
        mine_first = draw.random() < 0.5
        key[pair.id] = "A" if mine_first else "B"
        a, b = (pair.answer, pair.other) if mine_first else (pair.other, pair.answer)
        rows.writerow([pair.id, *map(_cell, (pair.instruction, a, b)), ""])
    try:
        disk.make_folders(folder)
        disk.replace_bytes(folder / KEY, json.dumps({"schema": SCHEMA, "mine": key}, indent=1).encode())
        # the mark at the beginning tells spreadsheets that it is UTF-8
        disk.replace_bytes(folder / SHEET, text.getvalue().encode("utf-8-sig", "replace"))
    except OSError as error:
        raise guards.disk_trouble(error, str(folder)) from None
    return folder / SHEET


def _cell(text: str) -> str:
    """Text that a table program shows as it is."""
    shown = text.replace("\r", "").replace("\0", "\ufffd")
    return f"'{shown}" if shown[:1] in STEERS and shown else shown


def read(folder: Path, path: Path) -> dict[str, str]:
    """A filled sheet: pair -> the model's outcome. Lines that are left empty are left out.

    Raises UsageError with the line of whatever cannot be read.
    """
    try:
        key = json.loads((folder / KEY).read_bytes())["mine"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(
            f"There is no key in {folder}.", "Make the sheet first: leave --sheet away."
        ) from None
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as trouble:
        raise UsageError(f"{path} cannot be read: {trouble}.", "Save the sheet as CSV, UTF-8.") from None
    first = text.partition("\n")[0]
    rows = csv.DictReader(io.StringIO(text), delimiter=";" if first.count(";") > first.count(",") else ",")
    if not {"item", "better"} <= set(rows.fieldnames or ()):
        raise UsageError(f"{path} has no columns item and better in its first line.", "Save it as CSV.")
    found: dict[str, str] = {}
    for row in rows:
        item, better = (row["item"] or "").strip(), (row["better"] or "").strip()
        place = f"{path}, line {rows.line_num}"
        if item not in key:
            raise UsageError(
                f"{place}: there is no item {item!r} in this run's key.", "Is it another run's sheet?"
            )
        if item in found:
            raise UsageError(f"{place}: item {item} stands there twice.")
        if better.upper() in ("A", "B"):
            found[item] = WIN if better.upper() == key[item] else LOSS
        elif better.lower() in (TIE, "="):
            found[item] = TIE
        elif better:
            raise UsageError(f"{place}: {better!r} is neither A, B nor tie.")
    if not found:
        raise UsageError(f"{path} is not filled yet.", 'Write A, B or tie into its column "better".')
    return found


def summary(sheets: Sequence[dict[str, str]]) -> dict[str, Any]:
    """All raters together, pair by pair, and how far they agree with one another."""
    together = majority(sheets)
    couples = []
    for one, two in itertools.combinations(sheets, 2):
        both = [item for item in one if item in two]
        if both:
            couples.append(agreement([one[item] for item in both], [two[item] for item in both]))
    kappas = [kappa for _, kappa in couples if kappa is not None]
    return {
        "raters": len(sheets),
        **preference(list(together.values())),
        "agreement": sum(equal for equal, _ in couples) / len(couples) if couples else None,
        "kappa": sum(kappas) / len(kappas) if kappas else None,
    }


def majority(sheets: Sequence[dict[str, str]]) -> dict[str, str]:
    """pair -> what most raters say; a tie if no side has more than the other."""
    found = {}
    for item in dict.fromkeys(item for sheet in sheets for item in sheet):
        votes = Counter(sheet[item] for sheet in sheets if item in sheet)
        sides = votes[WIN] - votes[LOSS]
        decided = WIN if sides > 0 else LOSS if sides < 0 else TIE
        found[item] = TIE if votes[TIE] * 2 > votes.total() else decided
    return found
