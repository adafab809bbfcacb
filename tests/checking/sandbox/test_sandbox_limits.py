"""The kernel's limits, which stand behind the judge's watchdog."""

from __future__ import annotations

import signal
import sys

import pytest


def test_limits_are_set(cell):
    cell.limits = {"cpu_seconds": 3.5, "scratch_mib": 2}
    outcome = cell.run(
        "import resource as r; answer = [r.getrlimit(k) for k in "
        "(r.RLIMIT_CPU, r.RLIMIT_FSIZE, r.RLIMIT_NOFILE, r.RLIMIT_CORE, r.RLIMIT_AS)]"
    )
    space = -1 if sys.platform == "darwin" else 4 << 30
    assert outcome.answer == [[6, 6], [2 << 20, 2 << 20], [64, 64], [0, 0], [space, space]]


def test_large_memory_limit_raises_the_address_space(cell):
    cell.limits = {"memory_mib": 4096}
    outcome = cell.run("import resource as r; answer = r.getrlimit(r.RLIMIT_AS)[0]")
    assert outcome.answer == (4 + 3) << 30


def test_one_large_file_ends(cell):
    cell.limits = {"scratch_mib": 1}
    outcome = cell.run("open('big', 'wb').write(b'x' * (2 << 20))")
    assert outcome.error == "OSError"
    assert (cell.scratch / "big").stat().st_size <= 1 << 20


def test_huge_allocations_raise(cell):
    assert cell.run("bytearray(64 << 30)").error == "MemoryError"
    outcome = cell.run("import torch; torch.empty(64 << 30, dtype=torch.uint8)")
    assert outcome.error == "RuntimeError"
    assert "can't allocate memory" in outcome.message


def test_an_endless_loop_ends_without_a_watchdog(make_room, tmp_path):
    """Two CPU seconds after the limit, and nothing that the code does about signals helps."""
    cell = make_room("rlimits", tmp_path)
    cell.limits = {"cpu_seconds": 0.1}
    script = "import signal; signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"
    assert cell.run(script).status == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's own")
def test_the_player_dies_with_the_fork_server(tmp_path):
    """Even if it ignores every signal that it may ignore."""
    import subprocess
    import time

    import psutil

    program = f"""
import os, signal, time
from pathlib import Path
from cohort_cli.checking import sandbox
prepared = sandbox.prepare("rlimits", Path({str(tmp_path)!r}))
pid = os.fork()
if pid == 0:
    sandbox.enter(prepared, sandbox.Room(Path({str(tmp_path)!r}), Path({str(tmp_path)!r})), sandbox.Limits())
    os.write(1, b"%d\\n" % os.getpid())
    for number in (1, 2, 15):
        signal.signal(number, signal.SIG_IGN)
    time.sleep(60)
time.sleep(60)
"""
    server = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        player = psutil.Process(int(server.stdout.readline()))
    finally:
        server.kill()
        server.wait()
    deadline = time.monotonic() + 20
    while player.is_running() and player.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not player.is_running() or player.status() == psutil.STATUS_ZOMBIE
