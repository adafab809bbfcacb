"""A blind sheet: people say which of two answers is better, and cannot know whose is whose.

    sheet-NAME.csv   opens in any table program: item, instruction, A, B, and an empty column "better" for A, B or tie
    key-NAME.json    who was compared, and which of the two answers was the model's; nobody looks into it before

Each sheet has a name of its own, which begins each of its items, so a filled sheet finds its key, and no key is ever
written over. Which answer stands in column A is drawn anew for each row. No torch.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import random
import secrets
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cohort_cli.errors import UsageError
from cohort_cli.evaluating.answers import Pair
from cohort_cli.evaluating.judge import LOSS, TIE, WIN, preference
from cohort_cli.evaluating.statistics import agreement
from cohort_cli.training import disk, guards

SCHEMA = "cohort.sheet/1"
COLUMNS = ("item", "instruction", "A", "B", "better")
STEERS = "=+-@\t\r"  # a cell that begins with one of these would be a formula
LETTERS = "bcdfghjkmnpqrstvwxz"  # a table program takes no row of these for a number or a date
SEPARATORS = ",;\t"


class Filled(NamedTuple):
    """What one rater said."""

    outcomes: dict[str, str]  # pair -> the model's outcome
    against: str  # whose answers the model's were compared with


def write(folder: Path, pairs: Sequence[Pair], against: str) -> Path:
    """Write a new sheet and its key. Returns the sheet."""
    if not pairs:
        raise UsageError("There is nothing to compare: no instruction was answered.")
    name = "".join(secrets.choice(LETTERS) for _ in range(5))
    draw = random.Random(secrets.randbits(64))
    text, mine = io.StringIO(), {}
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for number, pair in enumerate(pairs, 1):
        item, first = f"{name}-{number:03}", draw.random() < 0.5
        mine[item] = {"pair": pair.id, "column": "A" if first else "B"}
        a, b = (pair.answer, pair.other) if first else (pair.other, pair.answer)
        rows.writerow([item, *map(_cell, (pair.instruction, a, b)), ""])
    place = folder / f"sheet-{name}.csv"
    key = {"schema": SCHEMA, "against": against, "mine": mine}
    try:
        disk.make_folders(folder)
        disk.replace_bytes(folder / f"key-{name}.json", json.dumps(key, indent=1).encode())
        # the mark at the beginning tells spreadsheets that it is UTF-8
        disk.replace_bytes(place, text.getvalue().encode("utf-8-sig", "replace"))
    except OSError as error:
        raise guards.disk_trouble(error, str(folder)) from None
    return place


def _cell(text: str) -> str:
    """Text that a table program shows as it is."""
    shown = text.replace("\r", "").replace("\0", "\ufffd")
    return f"'{shown}" if shown[:1] in STEERS and shown else shown


def read(folder: Path, path: Path) -> Filled:
    """A filled sheet. Rows that are left empty are left out.

    Raises UsageError with the line of whatever cannot be read.
    """
    found: dict[str, str] = {}
    against = ""
    for line, item, better in _rows(path):
        place = f"{path}, line {line}"
        key = _key(folder, item, place)
        mine, against = key["mine"][item], key["against"]
        if mine["pair"] in found:
            raise UsageError(f"{place}: item {item} stands there twice.")
        if better.upper() in ("A", "B"):
            found[mine["pair"]] = WIN if better.upper() == mine["column"] else LOSS
        elif better.lower() in (TIE, "="):
            found[mine["pair"]] = TIE
        elif better:
            raise UsageError(f"{place}: {better!r} is neither A, B nor tie.")
    if not found:
        raise UsageError(f"{path} is not filled yet.", 'Write A, B or tie into its column "better".')
    return Filled(found, against)


def _rows(path: Path) -> list[tuple[int, str, str]]:
    """(line, item, better) of each row that has anything in it, however the table program saved it."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "replace")
    except OSError as trouble:
        raise UsageError(f"{path} cannot be read: {trouble.strerror}.", "Name the filled sheet.") from None
    lines = text.splitlines(keepends=True)
    if lines and lines[0].lower().startswith("sep="):
        lines = lines[1:]
    head = lines[0] if lines else ""
    rows = csv.reader(lines, delimiter=max(SEPARATORS, key=head.count))
    try:
        names = [name.strip().lower() for name in next(rows, [])]
        if not {"item", "better"} <= set(names):
            raise UsageError(f"{path} has no columns item and better in its first line.", "Save it as CSV.")
        where = names.index("item"), names.index("better")
        return [
            (rows.line_num, row[where[0]].strip(), row[where[1]].strip() if len(row) > where[1] else "")
            for row in rows
            if any(cell.strip() for cell in row)
        ]
    except csv.Error as trouble:
        raise UsageError(
            f"{path}, line {rows.line_num}: {trouble}.", "Save the sheet as CSV again."
        ) from None


def _key(folder: Path, item: str, place: str) -> dict[str, Any]:
    """The key that an item belongs to. Raises UsageError if there is none in this run's folder."""
    name = item.partition("-")[0]
    try:
        if not set(name) <= set(LETTERS):
            raise ValueError
        key: dict[str, Any] = json.loads((folder / f"key-{name}.json").read_bytes())
        assert isinstance(key["against"], str)
        assert {"pair", "column"} <= set(key["mine"][item])
    except (OSError, ValueError, KeyError, TypeError, AssertionError):
        raise UsageError(
            f"{place}: this run has no key with the item {item!r}.",
            "Is it the sheet of another run or checkpoint?",
        ) from None
    return key


def read_all(folder: Path, paths: Sequence[Path]) -> list[Filled]:
    """The sheets of several raters. Raises UsageError if one is named twice, or if they compare different answers."""
    sheets = [read(folder, path) for path in paths]
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError("The same sheet is named twice.", "--sheet once for each rater.")
    if len(found := {sheet.against for sheet in sheets}) > 1:
        raise UsageError(f"These sheets compare with different answers: {', '.join(sorted(found))}.")
    return sheets


def summary(sheets: Sequence[Filled]) -> dict[str, Any]:
    """All raters together, pair by pair, and how far they agree with one another."""
    couples = []
    for one, two in itertools.combinations([sheet.outcomes for sheet in sheets], 2):
        both = [item for item in one if item in two]
        if both:
            couples.append(
                (len(both), *agreement([one[item] for item in both], [two[item] for item in both]))
            )
    kappas = [kappa for _, _, kappa in couples if kappa is not None]
    return {
        "raters": len(sheets),
        "against": sheets[0].against,
        **preference(list(majority(sheets).values())),
        "agreement": {
            "n": sum(n for n, _, _ in couples),
            "equal": sum(equal for _, equal, _ in couples) / len(couples) if couples else None,
            "kappa": sum(kappas) / len(kappas) if kappas else None,
        },
    }


def majority(sheets: Sequence[Filled]) -> dict[str, str]:
    """pair -> won or lost if more than half of those who judged it say so; else a tie."""
    found = {}
    for pair in dict.fromkeys(pair for sheet in sheets for pair in sheet.outcomes):
        votes = Counter(sheet.outcomes[pair] for sheet in sheets if pair in sheet.outcomes)
        most = max((WIN, LOSS), key=lambda side: votes[side])
        found[pair] = most if votes[most] * 2 > votes.total() else TIE
    return found
