"""What is started again and what is not, with processes that play what real ones did; no torch."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from cohort_cli.launching import supervise
from cohort_cli.launching.job import Limits
from cohort_cli.training import lock
from cohort_cli.training.runs import RunFolder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no signals there, and no such exit codes")
Acts = Callable[..., tuple[RunFolder, list[str]]]
LOST = ["RuntimeError", "[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:1"]
BUG = ["ValueError", "this part is wrong"]
KILLED: dict[str, Any] = {"errors": {"0": LOST}, "end": "failed", "exit": 7, "message": LOST[1], "code": 1}
DONE: dict[str, Any] = {"save": 9, "end": "done", "exit": 0}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(supervise, "LOOK_SECONDS", 0.02)


def play(
    folder: RunFolder, words: list[str], *, processes: int = 2, limits: Limits | None = None,
    hear: Callable[[supervise.Training, dict[str, Any]], None] = lambda training, event: None,
) -> list[dict[str, Any]]:  # fmt: skip
    heard = []
    with supervise.supervised(folder, processes, 1, limits or Limits(), words) as (training, events):
        for event in events:
            heard.append(event)
            hear(training, event)
    return heard


def starts(folder: RunFolder) -> int:
    return len((folder.root / "starts").read_text(encoding="ascii"))


def test_a_killed_process_costs_nothing_while_steps_are_saved(make_acts: Acts) -> None:
    """More deaths than max_stalls, but each after one more checkpoint."""
    folder, words = make_acts(*({**KILLED, "save": step} for step in (1, 2, 3, 4)), DONE)
    heard = play(folder, words, limits=Limits(max_stalls=0))
    assert heard[-1]["state"] == "done"
    assert [event["event"] for event in heard].count("end") == 1, "the ends on the way are not the job's"
    assert starts(folder) == 5
    assert folder.read_status().state == "done"
    assert "started again from step 4" in folder.log_path.read_text(encoding="utf-8")


def test_deaths_in_a_row_without_a_checkpoint_end_the_job(make_acts: Acts) -> None:
    """One more checkpoint between them begins the count anew."""
    folder, words = make_acts(KILLED, KILLED, {**KILLED, "save": 3}, KILLED, KILLED, KILLED, DONE)
    end = play(folder, words, limits=Limits(max_stalls=2))[-1]
    assert starts(folder) == 6
    assert (end["state"], end["exit"], end["step"]) == ("failed", 7, 3)
    assert "3 times in a row without one more checkpoint" in end["message"]
    status = folder.read_status()
    assert (status.state, status.exit, status.message) == ("failed", 7, end["message"])


ENDS = {
    "every process has the same bug": (
        {"errors": {"0": BUG, "1": BUG}, "end": "failed", "exit": 7, "message": "ValueError: this part is wrong"},
        "failed",
        "ValueError: this part is wrong",
    ),
    "process 1 has a bug": ({**KILLED, "errors": {"0": LOST, "1": BUG}}, "failed", "ValueError: this part is wrong"),
    "process 1 has a bug, and process 0 was killed for it": (
        {"errors": {"1": BUG}, "code": 1},
        "failed",
        "ValueError: this part is wrong",
    ),
    "it was used wrongly": ({"end": "failed", "exit": 2, "message": "no"}, "failed", "no"),
    "all processes found no room": (
        {"errors": {"0": ["RuntimeError", "out of memory"], "1": ["RuntimeError", "out of memory"]},
         "end": "failed", "exit": 7, "message": "out of memory"},
        "failed",
        "out of memory",
    ),
    "a person stopped it": ({"end": "stopped", "exit": 75, "code": 1}, "stopped", ""),
    "somebody else trains there": ({"end": "refused", "exit": 2, "message": "taken"}, "refused", "taken"),
}  # fmt: skip


@pytest.mark.parametrize("case", ENDS)
def test_this_is_not_started_again(make_acts: Acts, case: str) -> None:
    act, state, message = ENDS[case]
    folder, words = make_acts(act, DONE)
    end = play(folder, words)[-1]
    assert starts(folder) == 1
    assert (end["state"], end["message"]) == (state, message)


AGAIN = {
    "a process was killed": KILLED,
    "a process was killed, and its peer complains in words that nobody knows": {
        **KILLED,
        "errors": {"0": ["RuntimeError", "it is gone"]},
    },
    "all were killed": {"code": -9},
    "torchrun was killed, and its processes saved": {"save": 1, "end": "stopped", "exit": 75, "code": -9},
    "a process died before they met": {"begin": False, "end": "stopped", "exit": 75, "code": 1},
    "the network broke for all": {**KILLED, "errors": {"0": LOST, "1": ["DistBackendError", "x"]}},
}


@pytest.mark.parametrize("case", AGAIN)
def test_this_is_started_again(make_acts: Acts, case: str) -> None:
    folder, words = make_acts(AGAIN[case], DONE)
    heard = play(folder, words)
    assert starts(folder) == 2
    assert heard[-1]["state"] == "done"
    assert any(event["event"] == "note" and "started again" in event["text"] for event in heard)


@pytest.mark.parametrize(("act", "count"), [({"code": -9}, 2), ({"code": 1}, 1), (KILLED, 1)], ids=str)
def test_a_process_alone_is_started_again_only_if_it_was_killed(
    make_acts: Acts, act: dict[str, Any], count: int
) -> None:
    folder, words = make_acts(act, DONE)
    play(folder, words, processes=1)
    assert starts(folder) == count


def test_a_file_stop_ends_the_job_and_not_only_one_attempt(make_acts: Acts) -> None:
    folder, words = make_acts({**KILLED, "wait": True}, DONE)
    heard = play(folder, words, hear=lambda training, event: folder.request_stop())
    end = heard[-1]
    assert starts(folder) == 1
    assert not any("started again" in event.get("text", "") for event in heard)
    assert (end["state"], end["exit"]) == ("stopped", 75)
    assert folder.read_status().state == "stopped"


def test_a_stop_while_processes_are_just_starting_is_not_forgotten(make_acts: Acts) -> None:
    """A trainer takes a file STOP that is older than itself for an old one, and removes it."""
    folder, words = make_acts({"wait": True, "end": "stopped", "exit": 75})
    with supervise.supervised(folder, 2, 1, Limits(), words) as (training, events):
        training.stop("SIGTERM")
        os.utime(folder.stop_path, (1, 1))
        assert list(events)[-1]["state"] == "stopped"


def test_the_end_of_its_time_stops_it(make_acts: Acts) -> None:
    folder, words = make_acts({"wait": True, "end": "stopped", "exit": 75})
    end = play(folder, words, limits=Limits(walltime=2, grace=1))[-1]
    assert end["state"] == "stopped"


def test_one_supervisor_at_a_time(make_acts: Acts) -> None:
    folder, words = make_acts({"wait": True, "end": "stopped", "exit": 75})

    def other(training: supervise.Training, event: dict[str, Any]) -> None:
        with pytest.raises(lock.RunIsTaken), supervise.supervised(folder, 2, 1, Limits(), words):
            pass
        training.stop("the test")

    assert play(folder, words, hear=other)[-1]["state"] == "stopped"
    assert starts(folder) == 1


def test_a_request_stays_when_the_file_is_taken_away(make_acts: Acts) -> None:
    folder, words = make_acts(DONE)
    training = supervise.Training(folder, 2, 1, Limits(), words)
    looking = threading.Thread(target=training.look)
    looking.start()
    training.stop("Ctrl-C")
    folder.stop_path.unlink()
    end = time.monotonic() + 30
    while not folder.stop_path.exists() and time.monotonic() < end:
        time.sleep(0.01)
    training.finish()
    looking.join()
    assert folder.stop_path.exists()
    assert training.asked == "Ctrl-C"
