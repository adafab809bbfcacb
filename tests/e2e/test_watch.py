"""`cohort check --watch`, as a member runs it: save a file, read the verdict, stop with Ctrl-C."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cohort_cli.catalog import find_project


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_a_save_brings_a_new_verdict(tmp_path: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(find_project("project2").reference, work)
    command = [
        sys.executable,
        "-u",
        "-m",
        "cohort_cli",
        "check",
        "project2",
        "mask",
        "--watch",
        "--work",
        str(work),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    lines: queue.Queue[str] = queue.Queue()
    assert process.stdout is not None
    threading.Thread(target=lambda: [lines.put(line) for line in process.stdout or ()], daemon=True).start()
    try:
        first = _until_next(lines)
        assert "FAIL" not in first
        file = work / "attention.py"
        text = file.read_text()
        assert text.count("torch.ones(") >= 1
        file.write_text(text.replace("torch.ones(", "torch.zeros("))
        assert "FAIL" in _until_next(lines)
        file.write_text(text)
        assert "FAIL" not in _until_next(lines)
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(timeout=30)
    assert code == 130


def _until_next(lines: queue.Queue[str]) -> str:
    """What is printed up to the line that says what to do next."""
    text = ""
    while not text.rpartition("\n")[0].rpartition("\n")[2].startswith("next:"):
        text += lines.get(timeout=60)
    return text
