"""A run's folder: rows that a kill tears, readers beside a writer, and a lock that only the living hold."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cohort_cli.errors import BrokenManifest, UsageError
from cohort_cli.training import disk, guards, lock
from cohort_cli.training.config import Config, load_preset
from cohort_cli.training.runs import RunFolder, all_runs, find_run

PRESET = """
schema = "cohort.preset/1"
title = "A test"
[model]
n_layers = 1
d_model = 8
n_heads = 2
context = 8
[batch]
sequences = 2
[schedule]
steps = 10
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "preset.toml"
    path.write_text(PRESET)
    return load_preset(path)


@pytest.fixture
def run(tmp_path: Path, config: Config) -> RunFolder:
    return RunFolder.create(tmp_path / "runs" / "one", config, project="project3")


def rows(*steps: int) -> list[dict[str, float]]:
    return [{"step": step, "loss": 1.0 / step} for step in steps]


# --- made and found --------------------------------------------------------------------------------------


def test_a_run_is_found_again_as_it_was_made(run: RunFolder, config: Config) -> None:
    again = RunFolder.open(run.root)
    assert again.config() == config
    assert again.project() == "project3"
    assert again.parts() == {}
    assert again.read_status()[:3] == ("new", 0, 10)


def test_a_run_is_made_once(run: RunFolder, config: Config) -> None:
    with pytest.raises(UsageError, match="exists"):
        RunFolder.create(run.root, config)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"config\.json"):
        RunFolder.open(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": "other/1", "parts": {}}', '"\\ud800"'])
def test_a_run_that_cannot_be_read_says_so(run: RunFolder, text: str) -> None:
    (run.root / "config.json").write_text(text)
    with pytest.raises(BrokenManifest, match=r"config\.json"):
        RunFolder.open(run.root)


def test_all_runs_are_listed_newest_first(tmp_path: Path, config: Config) -> None:
    home = tmp_path / "home"
    for name in ("b", "a", "c"):
        RunFolder.create(home / name, config)
        time.sleep(0.002)
    (home / "half").mkdir()
    (home / "file").write_text("")
    (home / "broken").mkdir()
    (home / "broken" / "config.json").write_text("{")
    assert [found.root.name for found in all_runs(home)] == ["c", "a", "b"]
    assert all_runs(tmp_path / "nowhere") == []


def test_a_name_that_is_nearly_right_is_proposed(run: RunFolder) -> None:
    assert find_run(run.root.parent, "one").root == run.root
    assert find_run(Path("/nowhere"), str(run.root)).root == run.root
    with pytest.raises(UsageError) as caught:
        find_run(run.root.parent, "onne")
    assert "one" in caught.value.repair


def test_changed_parts_are_noticed(tmp_path: Path, config: Config) -> None:
    code = tmp_path / "work"
    code.mkdir()
    (code / "model.py").write_text("one = 1\n")
    run = RunFolder.create(tmp_path / "run", config, parts={"model": str(code)})
    assert run.changed_parts() == []
    (code / "model.py").write_text("one = 2\n")
    assert run.changed_parts() == ["model"]


# --- rows ------------------------------------------------------------------------------------------------


def test_rows_come_back_in_order(run: RunFolder) -> None:
    for row in rows(1, 2, 3):
        run.append_metrics(row)
    run.append_sample({"step": 3, "prompt": "The ", "text": "The \u2028 cat\n", "seed": 1})
    assert run.read_metrics() == rows(1, 2, 3)
    assert run.read_samples() == [{"step": 3, "prompt": "The ", "text": "The \u2028 cat\n", "seed": 1}]


def test_numbers_that_are_none_are_null(run: RunFolder) -> None:
    run.append_metrics({"step": 1, "loss": float("nan"), "more": [float("inf"), 1.0]})
    line = (run.root / "metrics.jsonl").read_text()
    assert json.loads(line) == {"step": 1, "loss": None, "more": [None, 1.0]}
    assert "NaN" not in line


def test_a_file_torn_at_any_byte_costs_one_row(run: RunFolder) -> None:
    for row in rows(1, 2, 3):
        run.append_metrics(row)
    path = run.root / "metrics.jsonl"
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        complete = whole[:length].count(b"\n")
        assert run.read_metrics() == rows(1, 2, 3)[:complete]
        run.append_metrics({"step": 9, "loss": 9.0})
        assert run.read_metrics()[-1] == {"step": 9, "loss": 9.0}
        run.keep_metrics_until(8)
        # what was torn is gone; a row that lacked only its line break may stay
        assert run.read_metrics() in (rows(1, 2, 3)[:complete], rows(1, 2, 3)[: complete + 1])
        assert all(json.loads(line) for line in path.read_bytes().splitlines())


def test_later_rows_are_dropped_and_the_others_keep_every_byte(run: RunFolder) -> None:
    for row in rows(1, 2, 3, 4):
        run.append_metrics(row)
        run.append_sample({"step": row["step"], "text": "x"})
    before = (run.root / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    run.keep_metrics_until(2)
    assert (run.root / "metrics.jsonl").read_bytes() == b"".join(before[:2])
    assert [row["step"] for row in run.read_samples()] == [1, 2]
    run.keep_metrics_until(0)
    assert run.read_metrics() == run.read_samples() == []


def test_rubbish_between_rows_is_passed_over(run: RunFolder) -> None:
    run.append_metrics(rows(1)[0])
    with (run.root / "metrics.jsonl").open("ab") as file:
        file.write(b'nonsense\n[1]\n{"loss": 1}\n{"step": "2"}\n\n\xff\xfe\n' + b"[" * 100_000 + b"\n")
    run.append_metrics(rows(2)[0])
    assert run.read_metrics() == rows(1, 2)


def test_best_is_the_lowest_validation_loss(run: RunFolder) -> None:
    assert run.best() is None
    for step, loss in ((0, 4.0), (10, 2.0), (20, 3.0), (30, 2.0), (40, float("nan"))):
        run.append_metrics({"step": step, "validation_loss": loss})
    best = run.best()
    assert best is not None
    assert best["step"] == 10


def test_a_full_disk_leaves_no_part_of_a_row(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    run.append_metrics(rows(1)[0])
    write = os.write
    monkeypatch.setattr(os, "write", lambda number, data: write(number, data[: len(data) // 2]))
    with pytest.raises(guards.DiskTrouble, match="full"):
        run.append_metrics(rows(2)[0])
    monkeypatch.undo()
    assert (run.root / "metrics.jsonl").read_bytes() == json.dumps(rows(1)[0]).encode() + b"\n"


WRITER = """
import sys
from pathlib import Path
from cohort_cli.training.runs import RunFolder
run = RunFolder.open(Path(sys.argv[1]))
with run.lock():
    print("ready", flush=True)
    for step in range(1, 10**9):
        run.append_metrics({"step": step, "loss": 1.0 / step})
        run.write_status("running", step, 10**9)
"""


def start(program: str, *words: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", program, *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def ended(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_a_reader_never_sees_half_a_status_and_a_killed_writer_is_no_runner(run: RunFolder) -> None:
    for _ in range(3):
        process = start(WRITER, str(run.root))
        seen = set()
        until = time.monotonic() + 0.3
        while time.monotonic() < until or len(seen) < 3:
            status = run.read_status()
            seen.add(status.step)
            assert status.state in ("new", "running", "killed")
            steps = [row["step"] for row in run.read_metrics()]
            assert steps == list(range(1, len(steps) + 1))
        assert run.is_running()
        assert run.read_status().state == "running"
        ended(process)
        assert not run.is_running()
        assert run.read_status().state == "killed"
        run.keep_metrics_until(0)
        run.forget_trouble(time.time())
        assert not list(run.root.glob(".*.tmp"))


# --- the lock --------------------------------------------------------------------------------------------


@pytest.fixture
def holder(run: RunFolder) -> Iterator[subprocess.Popen[str]]:
    process = start(WRITER, str(run.root))
    yield process
    ended(process)


def test_two_processes_do_not_train_into_one_folder(run: RunFolder, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(lock.RunIsTaken) as caught, run.lock():
        pass
    assert str(holder.pid) in caught.value.message
    assert caught.value.exit_code == 2
    assert run.is_running()  # and the try took nothing away


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no process can be halted here")
def test_a_process_that_waits_still_holds_it(run: RunFolder, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGSTOP)
    old = time.time() - 10 * lock.STALE_SECONDS
    os.utime(run.root / "lock.json", (old, old))
    assert run.is_running()


def test_a_killed_process_holds_nothing(run: RunFolder, holder: subprocess.Popen[str]) -> None:
    psutil.Process(holder.pid).kill()  # nobody waits for it yet: on Linux it stays in the table, a zombie
    deadline = time.monotonic() + 10
    while run.is_running():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with run.lock():
        assert run.is_running()
    assert not run.is_running()


def owner(run: RunFolder, **changes: object) -> None:
    """A lock file as a process leaves it that did not end well."""
    mine = {
        "pid": os.getpid(),
        "began": lock.began(os.getpid()),
        "boot": lock._boot(),
        "host": socket.gethostname(),
        "token": "x",
    }
    (run.root / "lock.json").write_text(json.dumps({**mine, **changes}))


def test_an_id_that_is_used_again_is_another_process(run: RunFolder) -> None:
    owner(run)
    assert run.is_running()
    began = lock.began(os.getpid())
    assert began is not None
    owner(run, began=began - 100)
    assert not run.is_running()
    owner(run, boot="of another day")
    assert not run.is_running()


@pytest.mark.parametrize("pid", [-1, 0x7FFFFFFF, 10**30])
def test_an_id_that_is_none_holds_nothing(run: RunFolder, pid: int) -> None:
    owner(run, pid=pid)
    assert not run.is_running()


def test_another_machine_holds_it_as_long_as_it_beats(run: RunFolder) -> None:
    owner(run, host="another", pid=1)
    assert run.is_running()
    with pytest.raises(lock.RunIsTaken, match="another"), run.lock():
        pass
    old = time.time() - lock.STALE_SECONDS - 1
    os.utime(run.root / "lock.json", (old, old))
    assert not run.is_running()
    with run.lock():
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "one"}', "{}"])
def test_a_lock_that_says_nothing_is_nobodys(run: RunFolder, text: str) -> None:
    (run.root / "lock.json").write_text(text)
    assert not run.is_running()
    with run.lock():
        assert run.is_running()


def test_the_holder_beats(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.01)
    with run.lock():
        old = time.time() - 1000
        os.utime(run.root / "lock.json", (old, old))
        deadline = time.monotonic() + 10
        while (run.root / "lock.json").stat().st_mtime < old + 500:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_who_lost_the_lock_writes_no_more(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.01)
    with run.lock() as mine:
        owner(run, host="another", pid=1)  # it took over while we slept
        deadline = time.monotonic() + 10
        while not mine.lost:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with pytest.raises(lock.RunIsTaken, match="taken over"):
            run.append_metrics({"step": 1, "loss": 1.0})
        with pytest.raises(lock.RunIsTaken):
            run.write_status("running", 1, 10)
    assert json.loads((run.root / "lock.json").read_text())["host"] == "another"  # and takes nothing away


TAKER = """
import sys, time
from pathlib import Path
from cohort_cli.training import lock
print("ready", flush=True)
sys.stdin.readline()
try:
    with lock.Lock(Path(sys.argv[1])):
        print("mine", flush=True)
        sys.stdin.readline()
except lock.RunIsTaken:
    print("taken", flush=True)
"""


def test_one_of_many_gets_the_lock_of_a_dead_one(run: RunFolder) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", TAKER, str(run.root / "lock.json")],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]  # fmt: skip
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        owner(run, pid=0x7FFFFFFF)
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        answers = sorted(process.stdout.readline().strip() for process in processes if process.stdout)
        assert answers == ["mine", *["taken"] * 5]
    finally:
        for process in processes:
            process.communicate("end\n")
    assert not (run.root / "lock.json").exists()


GUARD = """
import sys
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_who_halts_in_the_middle_of_taking_it_makes_nobody_wait_for_ever(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "GUARD_SECONDS", 0.2)
    process = subprocess.Popen(
        [sys.executable, "-c", GUARD, str(run.root / ".lock.json.guard")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    with pytest.raises(lock.RunIsTaken), run.lock():
        pass
    process.kill()
    process.communicate()
    with run.lock():
        assert run.is_running()


# --- status, environment, trouble ------------------------------------------------------------------------


def test_a_status_is_replaced_whole_or_not_at_all(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    run.write_status("done", 10, 10, message="ok", exit=0)

    def fail(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "rename", fail)
    with pytest.raises(guards.DiskTrouble, match="full"):
        run.write_status("failed", 11, 10)
    assert run.read_status()[:5] == ("done", 10, 10, "ok", 0)
    assert not list(run.root.glob(".*.tmp"))


def test_a_damaged_status_says_what_to_do(run: RunFolder) -> None:
    (run.root / "status.json").write_text('{"state": "run')
    with pytest.raises(BrokenManifest) as caught:
        run.read_status()
    assert "Delete" in caught.value.repair
    (run.root / "status.json").unlink()
    assert run.read_status().state == "new"


def test_another_number_of_threads_is_told(run: RunFolder) -> None:
    assert run.write_environment(threads=2, device="cpu") == []
    assert run.write_environment(threads=2, device="cpu") == []
    notes = run.write_environment(threads=1, device="cpu")
    assert len(notes) == 1
    assert "threads was 2 and is 1 now" in notes[0]
    assert run.read_environment()["threads"] == 1


def test_a_new_try_forgets_the_trouble_of_the_last(run: RunFolder) -> None:
    run.write_error(1, ValueError("bad"), 7)
    run.request_stop()
    (run.root / ".status.json.4711.tmp").write_text("{")  # a kill in the middle of a write
    assert [(e["error"], e["message"], e["step"]) for e in run.read_errors()] == [("ValueError", "bad", 7)]
    run.forget_trouble(before=run.stop_path.stat().st_mtime - 1)
    assert run.stop_path.exists()  # somebody asked while this process was starting
    assert run.read_errors() == []
    run.forget_trouble(before=run.stop_path.stat().st_mtime + 1)
    assert not run.stop_path.exists()
    assert not list(run.root.glob(".*.tmp"))


def test_no_torch_is_imported() -> None:
    program = "import sys, cohort_cli.training.runs; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
