"""Ctrl-C in the middle of a run: the right exit code, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from cohort_cli.catalog import Project


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_ctrl_c_ends_everything(tiny: Project, work: Path, tmp_path: Path) -> None:
    (work / "sums.py").write_text("def total(x, dim):\n    while True: pass\n")
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    environment = {**os.environ, "COHORT_KIT": str(tiny.folder.parents[1]), "TMPDIR": str(scratch)}
    command = [sys.executable, "-m", "cohort_cli", "check", "project9", "--work", str(work)]
    process = subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    family = _wait_for_a_busy_player(process.pid)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive
    assert list(scratch.iterdir()) == []
    assert tempfile.gettempdir() != str(scratch)


def _wait_for_a_busy_player(pid: int) -> list[psutil.Process]:
    """The command's whole family, once a player of it is in its endless loop."""
    for _ in range(600):
        family = psutil.Process(pid).children(recursive=True)
        try:
            if any(_generation(process, pid) == 3 and process.cpu_times().user > 0.2 for process in family):
                return family  # command -> judge -> fork server -> player
        except psutil.Error:
            pass
        time.sleep(0.05)
    raise AssertionError("no player started")


def _generation(process: psutil.Process, ancestor: int) -> int:
    return [parent.pid for parent in process.parents()].index(ancestor) + 1
