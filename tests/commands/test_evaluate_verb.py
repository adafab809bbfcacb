"""`cohort evaluate` on a run that was really trained."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support import Cohort

from cohort_cli.evaluating import record
from cohort_cli.training import corpus
from cohort_cli.training.runs import RunFolder


@pytest.mark.slow
def test_the_numbers_are_those_of_the_training(runs: Path, cohort: Cohort) -> None:
    """run.eval_tokens is 0 in this run: the training scored the whole split too."""
    ended = cohort("evaluate", "small", "--on", "perplexity", "--json")
    assert ended.code == 0, ended.err
    table = json.loads(ended.out)
    best = RunFolder.open(runs / "small").best()
    assert best is not None
    found = table["results"]["perplexity"]
    assert table["step"] == best["step"] == 12
    assert found["loss"] == pytest.approx(best["validation_loss"], rel=1e-5)
    assert found["bits_per_byte"] == pytest.approx(best["bits_per_byte"], rel=1e-5)
    assert 0 < found["loss_error"] < 0.1
    assert found["targets"] == 46_512


def test_the_text_says_how_sure_and_what_to_compare_with(runs: Path, cohort: Cohort) -> None:
    ended = cohort("evaluate", "small")
    lines = ended.out.splitlines()
    bigram = corpus.bigram_loss(*corpus.split(corpus.load()))
    assert lines[0] == "model       small, step 12 (best)"
    assert lines[1] == "held out    46,512 targets in 2,907 windows"
    assert "nats per token (standard error 0.0" in lines[2]
    assert lines[3] == f"bigram      {bigram:.4f} nats per token: counts of character pairs, same text"
    assert [line.split()[0] for line in lines[4:]] == ["perplexity", "bits/byte", "next:"]
    assert max(map(len, lines)) <= 80


@pytest.mark.slow
def test_another_checkpoint_is_another_model(runs: Path, cohort: Cohort) -> None:
    table = json.loads(cohort("evaluate", "small", "--checkpoint", "4", "--json").out)
    assert table["step"] == 4
    assert table["results"]["perplexity"]["loss"] > 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("small", "--on", "helaswag"), "There is no measure 'helaswag'"),
        (("small", "--on", ","), "--on names no measure"),
        (("small", "--on", "hellaswag", "--data", "mmlu=x"), "not clear which measure"),
        (("small", "--data", "x"), "not clear which measure"),
        (("small", "--on", "hellaswag,mmlu", "--data", "x"), "not clear which measure"),
        (("small", "--on", "hellaswag", "--data", "nowhere"), "no file and no folder"),
        (("small", "--on", "human", "--prompts", "kit:sms"), "no set 'sms'"),
        (("small", "--on", "human"), "trained on plain text"),
        (("small", "--on", "judge", "--prompts", "kit:instructions"), "say where it is"),
        (("nope",), "no run 'nope'"),
        (("evil",), "no checkpoint yet"),
    ],
)
def test_what_cannot_be_done_is_a_usage_error(
    runs: Path, evil: RunFolder, cohort: Cohort, words: tuple[str, ...], says: str
) -> None:
    ended = cohort("evaluate", *words)
    assert ended.code == 2
    assert says in ended.err


def test_help_has_an_example(cohort: Cohort) -> None:
    assert "$ cohort evaluate " in cohort("evaluate", "--help").out


# --- benchmarks ------------------------------------------------------------------------------------------------


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def passages(path: Path, count: int) -> Path:
    """LAMBADA-like: the prose that the small run learned from knows all of these letters."""
    return write(path, [{"text": f"the number {n} follows the number {n - 1}"} for n in range(count)])


@pytest.fixture
def hellaswag(tmp_path: Path) -> Path:
    rows = [
        {"ind": n, "ctx": f"one and {n}", "endings": ["a b", "the", "xyz", "of it"], "label": str(n % 4)}
        for n in range(12)
    ]
    return write(tmp_path / "hellaswag.jsonl", rows)


def test_a_benchmark_says_items_error_and_chance(runs: Path, cohort: Cohort, hellaswag: Path) -> None:
    ended = cohort("evaluate", "small", "--on", "hellaswag", "--data", str(hellaswag), "--items", "11")
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert lines[0] == "model       small, step 12 (best)"
    assert lines[1].startswith("hellaswag   11 of 12 items, ")
    assert any("not distinguishable from chance" in line and "chance 0.250" in line for line in lines)
    assert max(map(len, lines)) <= 80
    assert lines[-1] == "next: cohort generate small"


def test_json_and_the_run_folder_hold_the_same_numbers(
    runs: Path, cohort: Cohort, hellaswag: Path, tmp_path: Path
) -> None:
    text = passages(tmp_path / "lambada.jsonl", 5)
    words = ("--on", "hellaswag,lambada", "--data", f"hellaswag={hellaswag}", "--data", f"lambada={text}")
    ended = cohort("evaluate", "small", *words, "--json")
    assert ended.code == 0, ended.err
    results = json.loads(ended.out)["results"]
    assert list(results) == ["hellaswag", "lambada"]
    kept = runs / "small" / record.FOLDER
    for name, found in results.items():
        path = next(kept.glob(f"step-00000012-{name}-*.jsonl"))
        summary = json.loads(path.with_suffix(".json").read_bytes())
        assert summary["results"][name]["accuracy"] == found["accuracy"]
        items = path.read_text(encoding="utf-8").splitlines()
        assert len(items) == 1 + found["count"]
    right = sum(
        (row := json.loads(line))["logprobs"].index(max(row["logprobs"])) == row["gold"]
        for line in next(kept.glob("*-hellaswag-*.jsonl")).read_text(encoding="utf-8").splitlines()[1:]
    )
    assert results["hellaswag"]["accuracy"]["right"] == right


@pytest.mark.slow
def test_scored_items_are_not_scored_again_unless_something_changed(
    runs: Path, cohort: Cohort, hellaswag: Path
) -> None:
    words = ("evaluate", "small", "--on", "hellaswag", "--data", str(hellaswag), "--json")
    before = json.loads(cohort(*words).out)
    again = cohort(*words)
    assert "12 items were scored before" in again.err
    assert json.loads(again.out) == before
    (path,) = (runs / "small" / record.FOLDER).glob("step-00000012-hellaswag-*.jsonl")
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:6]) + '{"id": "5", "go', encoding="utf-8")  # it was stopped here
    third = cohort(*words)
    assert "5 items were scored before" in third.err
    assert json.loads(third.out) == before
    assert "scored before" not in cohort(*words[:-1], "--checkpoint", "4").err
    row = json.loads(hellaswag.read_text(encoding="utf-8").splitlines()[0])
    hellaswag.write_text(
        hellaswag.read_text(encoding="utf-8").replace(row["ctx"], "other", 1), encoding="utf-8"
    )
    assert "scored before" not in cohort(*words).err


@pytest.mark.skipif(sys.platform == "win32", reason="a signal of POSIX stands in for the key")
def test_ctrl_c_keeps_what_was_scored(runs: Path, tmp_path: Path, cohort: Cohort) -> None:
    text = passages(tmp_path / "lambada.jsonl", 4000)
    words = ["evaluate", "small", "--on", "lambada", "--data", str(text)]
    folder = runs / "small" / record.FOLDER

    def lines_there() -> int:
        return sum(path.read_text(encoding="utf-8").count("\n") for path in folder.glob("*-lambada-*.jsonl"))

    process = subprocess.Popen(
        [sys.executable, "-m", "cohort_cli", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while lines_there() <= 64:
        assert time.monotonic() < deadline, process.kill()
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    ended = cohort(*words, "--json")
    assert "items were scored before" in ended.err
    assert json.loads(ended.out)["results"]["lambada"]["count"] == 4000


def test_items_that_stand_in_the_training_text_are_named(runs: Path, cohort: Cohort, tmp_path: Path) -> None:
    train, _ = corpus.split(corpus.load())

    rows = [
        {"text": train[5000:5120].strip()},
        {"text": "no such text was ever seen by this small model of ours here"},
    ]
    ended = cohort("evaluate", "small", "--on", "lambada", "--data", str(write(tmp_path / "items.jsonl", rows)),
                   "--contamination", "--json")  # fmt: skip
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)["results"]["lambada"]["contamination"]
    assert found["seen"] == ["0"]
    assert found["row_tokens"] == 50
    assert found["accuracy_of_others"]["n"] == 1


# --- people ----------------------------------------------------------------------------------------------------


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    rows = [{"instruction": f"Say {n}", "input": "" if n % 2 else "now", "output": f"{n}!"} for n in range(6)]
    return write(tmp_path / "prompts.jsonl", rows)


def test_a_blind_sheet_from_the_answers_to_the_verdict(runs: Path, cohort: Cohort, prompts: Path) -> None:
    words = ("evaluate", "small", "--on", "human", "--prompts", str(prompts), "--tokens", "8")
    made = cohort(*words, "--json")
    assert made.code == 0, made.err
    place = Path(json.loads(made.out)["results"]["human"]["sheet"])
    with place.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert rows[0]["instruction"] == "Say 0\nnow"
    right = {f"{n}!" for n in range(6)}
    for row in rows:  # this rater prefers the reference
        row["better"] = "A" if row["A"] in right else "B"
    filled = place.with_name("filled.csv")
    with filled.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    ended = cohort("evaluate", "small", "--on", "human", "--sheet", str(filled))
    assert ended.code == 0, ended.err
    assert "human       6 pairs, raters: 1" in ended.out
    assert "0 won, 0 tied, 6 lost; worse (sign test, p = 0.031)" in " ".join(ended.out.split())
    another = json.loads(cohort(*words, "--json").out)["results"]["human"]["sheet"]
    assert another != str(place)  # a new sheet with a key of its own; the filled one stays as it is
    assert "6 lost" in cohort("evaluate", "small", "--on", "human", "--sheet", str(filled)).out


def test_two_runs_are_compared_on_the_same_prompts(runs: Path, cohort: Cohort, prompts: Path) -> None:
    """The same run on both sides: equal answers, so every pair is the same twice."""
    made = cohort("evaluate", "small", "--on", "human", "--prompts", str(prompts), "--against", "small",
                  "--tokens", "5", "--items", "4", "--json")  # fmt: skip
    assert made.code == 0, made.err
    with Path(json.loads(made.out)["results"]["human"]["sheet"]).open(
        encoding="utf-8-sig", newline=""
    ) as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert all(row["A"] == row["B"] for row in rows)


@pytest.mark.slow
def test_two_evaluations_of_the_same_do_not_mix(runs: Path, cohort: Cohort, hellaswag: Path) -> None:
    import filelock

    words = ("evaluate", "small", "--on", "hellaswag", "--data", str(hellaswag))
    assert cohort(*words).code == 0
    (path,) = (runs / "small" / record.FOLDER).glob("*-hellaswag-*.jsonl")
    with filelock.FileLock(path.with_suffix(".lock")):
        ended = cohort(*words)
    assert ended.code == 2
    assert "Another process scores the same" in ended.err
    assert cohort(*words, "--items", "5").code == 0  # another question has a file of its own
    assert "12 items were scored before" in cohort(*words).err
