"""What does a gallery cost, by the number of its entries?

    python benchmarks/gallery.py [--entries 2,50,100,200] [--model-mb 1.0] [--kit FOLDER]

Synthetic entries as members have them: 1,500 logged steps, 20 samples, a tokenizer, a model of 1 MB. For each number: a
build into an empty folder, then one that finds nothing changed. "per entry" is the CPU time beyond the smallest
number's, divided by the entries beyond it: others may use the machine. The kit is a small one with the real mkdocs.yml;
--kit builds with another (the real one's labs take minutes the first time, and as long for 2 entries as for 200).

Exits with 1 when a goal is missed: the largest number takes less than 60 seconds more than the smallest, an entry costs
at most twice as much among all of them as among the second-smallest number, and a site that has not changed is known in
less than a tenth of its build.
"""

from __future__ import annotations

import argparse
import json
import shutil
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "showcase")]

from entries import Files, lay, safetensors, with_file  # noqa: E402
from gallery_kit import build, long_run, make_kit  # noqa: E402

SECONDS_GOAL, FLAT_GOAL, UNCHANGED_GOAL = 60.0, 2.0, 0.1


class Cost(NamedTuple):
    entries: int
    build: float  # seconds
    cpu: float  # seconds of the processor, for the same
    again: float
    pages: int
    megabytes: float


def with_model(files: Files, megabytes: float) -> Files:
    """With weights of this size, so that copying costs what it costs."""
    rows = int(megabytes * 1e6) // 128
    header = {
        "w": {"dtype": "I8", "shape": [rows, 128], "data_offsets": [0, rows * 128]},
        "s": {"dtype": "F32", "shape": [1], "data_offsets": [rows * 128, rows * 128 + 4]},
    }
    data = bytes(rows * 128) + struct.pack("<f", 1.0)
    return with_file("model.safetensors", safetensors(header, data))(files)


def measure(count: int, template: Files, kit: Path, folder: Path) -> Cost:
    home = folder / "showcase" / "entries"
    for number in range(count):
        head = json.loads(template["entry.json"])
        head["handle"] = f"member{number:03}"
        lay({**template, "entry.json": json.dumps(head).encode()}, home)
    said: list[str] = []
    site, times, cpu = folder / "site", [], time.process_time()
    for _ in range(2):
        start = time.perf_counter()
        made = build(kit, home, site, said.append)
        times.append(time.perf_counter() - start)
        cpu = time.process_time() - cpu if len(times) == 1 else cpu
    assert said == [], said
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    return Cost(count, times[0], cpu, times[1], made.pages, size / 1e6)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--entries", default="2,50,100,200")
    parser.add_argument("--model-mb", type=float, default=1.0)
    parser.add_argument("--kit", type=Path)
    given = parser.parse_args()
    counts = sorted({int(word) for word in given.entries.split(",")})
    template = with_model(long_run(), given.model_mb)
    costs: list[Cost] = []
    with tempfile.TemporaryDirectory(prefix="cohort-gallery-") as scratch:
        kit = given.kit or make_kit(Path(scratch) / "kit")
        measure(1, template, kit, Path(scratch) / "warm")  # the theme is read, the bytecode written
        print(
            f"{'entries':>8}{'pages':>7}{'MB':>8}{'build s':>9}{'CPU s':>8}{'per entry s':>13}{'unchanged s':>13}"
        )
        for count in counts:
            place = Path(scratch) / str(count)
            costs.append(cost := measure(count, template, kit, place))
            shutil.rmtree(place)
            each = per_entry(costs[0], cost)
            shown = f"{each:13.3f}" if each is not None else f"{'':13}"
            row = f"{count:8}{cost.pages:7}{cost.megabytes:8.1f}{cost.build:9.2f}{cost.cpu:8.2f}"
            print(f"{row}{shown}{cost.again:13.2f}", flush=True)
    missed = complaints(costs)
    print("\n".join(f"missed: {line}" for line in missed) or "every goal is reached")
    return 1 if missed else 0


def per_entry(least: Cost, cost: Cost) -> float | None:
    more = cost.entries - least.entries
    return (cost.cpu - least.cpu) / more if more else None


def complaints(costs: list[Cost]) -> list[str]:
    least, most = costs[0], costs[-1]
    found = []
    if (more := most.build - least.build) >= SECONDS_GOAL:
        found.append(f"{most.entries} entries take {more:.0f} s more than {least.entries}")
    if len(costs) > 2:
        first, last = per_entry(least, costs[1]), per_entry(least, most)
        assert first is not None
        assert last is not None
        if last > FLAT_GOAL * first:
            found.append(
                f"an entry costs {last:.3f} s among {most.entries}, and {first:.3f} s among {costs[1].entries}"
            )
    if most.again > UNCHANGED_GOAL * most.build:
        found.append(f"finding out that nothing has changed takes {most.again:.1f} s of {most.build:.1f} s")
    return found


if __name__ == "__main__":
    sys.exit(main())
