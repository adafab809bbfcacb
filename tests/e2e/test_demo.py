"""`cohort demo`, as the README's first command runs it, with fewer training steps."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path


def test_the_demo_shows_verdicts_a_diagnosis_and_a_sample(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "cohort_cli",
        "demo",
        "--steps",
        "30",
        "--keep",
        str(tmp_path / "my-llm"),
    ]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    out = run.stdout
    assert re.search(r"project2: \d+ todo", out)
    assert "Known mistake:" in out
    assert "sqrt(d_model)" in out
    assert re.search(r"project2: \d+ ok  \(", out)
    losses = [float(number) for number in re.findall(r"(\d\.\d{3}) nats per character", out)]
    assert len(losses) == 2
    assert "The " in out.partition("A sample")[2]
    assert out.rstrip().splitlines()[-1].startswith("next:")
    assert (tmp_path / "my-llm" / "project2_transformer_block" / "attention.py").exists()


def test_the_demo_ends_with_the_code_of_what_went_wrong(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    command = [sys.executable, "-m", "cohort_cli", "demo", "--keep", str(tmp_path / "taken")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "taken" in run.stderr
