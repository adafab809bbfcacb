"""A run folder to send, a place's shell executed on this machine, and programs that stand in for others'."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cohort_cli.catalog import find_project
from cohort_cli.training.config import load_preset
from cohort_cli.training.presets import preset_path
from cohort_cli.training.runs import RunFolder

STUB = Path(__file__).with_name("stub_python.py")
linux = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("bash"),
    reason="rented machines have Linux: bash, GNU tar, timeout",
)

# a job of two steps, for the real trainer
QUICK = (
    "schedule.steps=2", "schedule.warmup_steps=0", "run.eval_tokens=1000", "run.sample_tokens=5", "batch.sequences=2",
    "batch.micro_sequences=1", "model.n_layers=1", "model.d_model=16", "model.n_heads=2",
)  # fmt: skip


def new_run(root: Path, *settings: str, parts: dict[str, str] | None = None) -> RunFolder:
    config = load_preset(preset_path(find_project("project3"), "smoke"), settings)
    return RunFolder.create(root, config, project="project3", parts=parts)


def program(folder: Path, name: str, text: str) -> Path:
    """A program of that name, in Python, that `PATH=folder` finds."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{text}", encoding="utf-8")
    path.chmod(0o755)
    return path


def python_stub(folder: Path) -> Path:
    return program(folder, "python-stub", STUB.read_text(encoding="utf-8"))


def shell(text: str, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    """The text as bash runs it, in that folder."""
    return subprocess.Popen(
        ["bash", "-c", text],
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(process: subprocess.Popen[str], seconds: float = 60) -> tuple[int, str]:
    try:
        said, _ = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return process.returncode, said
