"""The examples of a fine-tuning set: JSON objects, one per line, each with the fields of its task.

"kit:NAME" is a set that comes with the kit (projects/project3_pretrain_finetune/data), a path a file of your own,
"hf:OWNER/NAME" one of the hub's, through Hugging Face `datasets`. A field "split" says where a line belongs: train,
validation or test. Without it, the last lines become the validation split.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cohort_cli.catalog import find_project
from cohort_cli.errors import EnvironmentTrouble, UsageError
from cohort_cli.training.config import Data

Record = dict[str, str]
SPLITS = ("train", "validation", "test")
KIT = "kit:"


def load_records(data: Data, fields: tuple[str, ...]) -> dict[str, list[Record]]:
    """Split -> records, each with these fields as texts.

    Raises UsageError for a source that is not there and for a line that does not fit, EnvironmentTrouble if a
    library is missing.
    """
    splits: dict[str, list[Record]] = {split: [] for split in SPLITS}
    for number, row in enumerate(read_rows(data.source, fields), start=1):
        split = row.get("split", "train")
        if split not in splits:
            raise UsageError(
                f"{data.source}, line {number}: the split is {split!r}.", f"Known: {', '.join(SPLITS)}."
            )
        splits[split].append({field: row[field] for field in fields})
    if not splits["validation"]:
        held_out = math.ceil(len(splits["train"]) * data.validation_share)
        splits["validation"] = splits["train"][-held_out:]
        splits["train"] = splits["train"][:-held_out]
    if not splits["train"]:
        raise UsageError(f"{data.source} has no examples to train on.", "It needs at least two lines.")
    return splits


def read_rows(source: str, fields: tuple[str, ...]) -> list[dict[str, Any]]:
    """Every line of a source, each with these fields as texts, and what else stands in it."""
    rows = list(_from_hub(source) if source.startswith("hf:") else _from_file(_path(source)))
    for number, row in enumerate(rows, start=1):
        _require(row, fields, f"{source}, line {number}")
    return rows


def identity(splits: dict[str, list[Record]]) -> str:
    """A SHA-256 of all records: the same for the same examples in the same order."""
    text = json.dumps(splits, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def kit_sets() -> dict[str, Path]:
    """Name -> file of the sets that come with the kit."""
    folder = find_project("project3").folder / "data"
    return {path.stem: path for path in sorted(folder.glob("*.jsonl"))}


def _path(source: str) -> Path:
    if source.startswith(KIT):
        sets = kit_sets()
        name = source.removeprefix(KIT)
        if name not in sets:
            raise UsageError(f"The kit has no set {name!r}.", f"It has: {', '.join(KIT + n for n in sets)}")
        return sets[name]
    path = Path(source).expanduser()
    if not path.is_file():
        raise UsageError(
            f"data.source is {source!r}; there is no such file.",
            "Name a .jsonl file, kit:NAME or hf:OWNER/NAME.",
        )
    return path


def _from_file(path: Path) -> Iterable[Any]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # a JSON text may hold other line ends
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text.", "Save it as UTF-8.") from None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                raise UsageError(f"{path}, line {number} is no JSON.", "One object per line.") from None


def _from_hub(source: str) -> Iterable[Any]:
    try:
        import datasets
    except ImportError:
        raise EnvironmentTrouble(
            f"{source} comes through the library `datasets`, which is not installed.",
            'pip install "cohort-kit[train]"',
        ) from None
    for split, rows in datasets.load_dataset(source.removeprefix("hf:")).items():
        for row in rows:
            yield {**row, "split": split}


def _require(row: Any, fields: tuple[str, ...], place: str) -> None:
    for field in fields:
        if not isinstance(row, dict) or not isinstance(row.get(field), str):
            raise UsageError(
                f"{place}: the field {field!r} is missing or no text.", f"Needed: {', '.join(fields)}."
            )
