"""The rows of a benchmark, through Hugging Face `datasets`: from the hub, or from a place of one's own.

a file .jsonl or .parquet   the items to score
a folder                    what save_to_disk wrote, or a file for each split: test.jsonl, dev.jsonl
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from cohort_cli.errors import UsageError
from cohort_cli.evaluating.benchmarks import Benchmark
from cohort_cli.evaluating.items import Item
from cohort_cli.training.data import readers
from cohort_cli.training.data.sources import HUB

KINDS = (".jsonl", ".parquet")  # CSV has no lists
SEED = 0  # which items are taken, when only some are


class Items(NamedTuple):
    """What is scored."""

    items: list[Item]
    of: int  # how many the source has
    place: str
    identity: str  # the same as long as the items are


def load(benchmark: Benchmark, place: str, *, limit: int, shots: int) -> Items:
    """The items of a benchmark. `place` "": from the hub. `limit` > 0: so many, the same ones each time.

    Raises UsageError for a place that is none and for a row that does not fit, DataTrouble without a network.
    """
    rows, examples = _hub(benchmark) if not place else _local(benchmark, Path(place).expanduser().absolute())
    where = place or f"{HUB}{benchmark.hub}"
    found = list(benchmark.items(rows, examples, shots))
    if not found:
        raise UsageError(f"{where} has no items in its split {benchmark.split!r}.")
    if repeated := len(found) - len({item.id for item in found}):
        raise UsageError(f"{where}: {repeated} items have the id of another one.")
    chosen = found
    if 0 < limit < len(found):
        numbers = sorted(random.Random(SEED).sample(range(len(found)), limit))
        chosen = [found[number] for number in numbers]
    digest = hashlib.sha256(repr(chosen).encode("utf-8", "surrogatepass")).hexdigest()
    return Items(chosen, len(found), where, digest)


def _hub(benchmark: Benchmark) -> tuple[Iterable[Any], Iterable[Any]]:
    def rows(split: str) -> Iterable[Any]:
        return readers.rows_of_hub(benchmark.hub, benchmark.configuration, split)

    return rows(benchmark.split), rows(benchmark.examples) if benchmark.examples else ()


def _local(benchmark: Benchmark, path: Path) -> tuple[Iterable[Any], Iterable[Any]]:
    if path.is_file():
        return _file(path), ()
    if not path.is_dir():
        raise UsageError(
            f"There is no file and no folder {path}.", f"Leave it away to take {benchmark.hub} from the hub."
        )
    files: dict[str, list[Path]] = defaultdict(list)
    for file in sorted(path.iterdir()):
        if file.suffix in KINDS:
            files[file.stem.partition("-")[0]].append(file)  # test-00000-of-00001.parquet, as on the hub
    splits: dict[str, Iterable[Any]] = {
        split: itertools.chain.from_iterable(map(_file, parts)) for split, parts in files.items()
    }
    if not splits:
        splits = readers.rows_of_folder(path)
    if benchmark.split not in splits:
        raise UsageError(
            f"{path} has no split {benchmark.split!r}; it has {', '.join(map(str, splits)) or 'nothing'}.",
            f"Name a file, or a folder with {benchmark.split}.jsonl in it.",
        )
    return splits[benchmark.split], splits.get(benchmark.examples or "", ())


def _file(path: Path) -> Iterable[Any]:
    if path.suffix not in KINDS:
        raise UsageError(f"{path} is of no kind that can be read.", f"Known are {' and '.join(KINDS)}.")
    return readers.rows_of_file(path)
