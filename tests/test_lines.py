"""A file of JSON lines survives commands at once, and lines that are damaged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cohort_cli import lines


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "lines.jsonl"


def test_commands_at_once_do_not_mix_their_lines(path: Path) -> None:
    code = f"""
from pathlib import Path
from cohort_cli import lines
for number in range(100):
    lines.append(Path({str(path)!r}), {{"text": "x" * 3000, "number": number}})
"""
    writers = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    written = path.read_text(
        encoding="utf-8"
    ).splitlines()  # an empty one may stand between two writers' lines
    numbers = [json.loads(line)["number"] for line in written if line]
    assert sorted(numbers) == sorted([*range(100)] * 3)


def test_entries_come_newest_first_and_damage_is_passed_over(path: Path) -> None:
    for number in (1, 2):
        lines.append(path, {"rung": number})
        path.write_bytes(path.read_bytes() + b"damaged\n[]\n")
    assert [entry["rung"] for entry in lines.entries(path)] == [2, 1]
