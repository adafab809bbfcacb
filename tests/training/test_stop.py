"""Every way to ask a run to stop sets one flag; a second Ctrl-C leaves at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cohort_cli.training.stop import StopFlag

NAMES = [name for name in ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGHUP") if hasattr(signal, name)]
POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows delivers no signals to another process")

PROGRAM = """
import sys, time
from pathlib import Path
from cohort_cli.training.stop import StopFlag
with StopFlag(Path(sys.argv[1])) as stop:
    print("ready", flush=True)
    while not stop.requested():
        time.sleep(0.01)
    print(stop.reason, flush=True)
    time.sleep(float(sys.argv[2]))
sys.exit(75)
"""


def start(stop_file: Path, linger: float = 0.0, before: str = "") -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", before + PROGRAM, str(stop_file), str(linger)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("name", NAMES)
def test_a_signal_is_a_request(name: str) -> None:
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with StopFlag() as stop:
        assert not stop.requested()
        signal.raise_signal(number)
        assert stop.requested()
        assert stop.reason == ("Ctrl-C" if name == "SIGINT" else name)
    assert signal.getsignal(number) == before


def test_a_file_is_a_request(tmp_path: Path) -> None:
    with StopFlag(tmp_path / "STOP") as stop:
        assert not stop.requested()
        (tmp_path / "STOP").touch()
        assert stop.requested()
        assert stop.reason == "the file STOP"
        (tmp_path / "STOP").unlink()
        assert stop.requested()  # once asked, it stays


def test_the_first_reason_stays(tmp_path: Path) -> None:
    with StopFlag(tmp_path / "STOP") as stop:
        stop.request("the clock")
        signal.raise_signal(signal.SIGTERM)
        assert stop.reason == "the clock"


@POSIX
@pytest.mark.parametrize("name", NAMES)
def test_a_process_ends_by_itself_after_a_signal(tmp_path: Path, name: str) -> None:
    process = start(tmp_path / "STOP")
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=20)
    assert process.returncode == 75
    assert out.strip() == ("Ctrl-C" if name == "SIGINT" else name)
    assert ("Ctrl-C again leaves at once" in err) == (name == "SIGINT")


@POSIX
def test_a_second_interrupt_leaves_at_once(tmp_path: Path) -> None:
    process = start(tmp_path / "STOP", linger=30)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == "Ctrl-C\n"
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert time.monotonic() - began < 10


@POSIX
def test_a_second_signal_of_another_kind_does_not_hurry(tmp_path: Path) -> None:
    process = start(tmp_path / "STOP", linger=0.3)
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    assert process.stdout.readline() == "SIGTERM\n"
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)  # the first Ctrl-C
    process.communicate(timeout=20)
    assert process.returncode == 75


@POSIX
def test_nohup_outlives_its_terminal(tmp_path: Path) -> None:
    process = start(tmp_path / "STOP", before="import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)")
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=0.5)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=20)[0].strip() == "SIGTERM"


PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], *sys.argv[2:]], stdout=subprocess.PIPE, text=True)
print(child.stdout.readline().strip(), child.pid, flush=True)
time.sleep(60)
"""


ELSEWHERE = """
import sys, psutil
from cohort_cli.training import stop
sys.platform, stop.LOOK_SECONDS = "darwin", 0.05
"""


@POSIX
@pytest.mark.parametrize("before", ["", pytest.param(ELSEWHERE, id="elsewhere")])
def test_a_trainer_stops_when_its_launcher_is_killed(tmp_path: Path, before: str) -> None:
    """Linux tells it; elsewhere a thread looks."""
    said = tmp_path / "said"
    child = (
        before
        + "from cohort_cli.training.stop import die_with_parent; die_with_parent()"
        + PROGRAM.replace("print(stop.reason, flush=True)", f"Path({str(said)!r}).write_text(stop.reason)")
    )  # it has nobody to print to when it ends
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, child, str(tmp_path / "STOP"), "0"], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    assert parent.stdout.readline().startswith("ready")
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 20
    while not (said.exists() and said.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert said.read_text() == "SIGTERM"


@POSIX
def test_a_trainer_whose_launcher_died_before_it_could_ask_stops_too() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    code = (
        "import time; from cohort_cli.training.stop import die_with_parent; die_with_parent(); time.sleep(60)"
    )
    environment = {**os.environ, "COHORT_PARENT": str(gone.pid)}
    assert (
        subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode
        == -signal.SIGTERM
    )


def test_whose_child_a_process_is_stays_its_own_business() -> None:
    """A program that a trainer starts is not to look for the trainer's parent."""
    code = (
        "import os; from cohort_cli.training.stop import die_with_parent; die_with_parent(); "
        "assert 'COHORT_PARENT' not in os.environ"
    )
    environment = {**os.environ, "COHORT_PARENT": str(os.getpid())}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
