"""`cohort break`: a secret fault stays secret until it is revealed, and what was trained is kept."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import psutil
import pytest
from support import REPO, Cohort

from cohort_cli import planting
from cohort_cli.training.breaking import game, show
from cohort_cli.training.breaking.faults import FAULTS
from cohort_cli.training.breaking.game import Seen

COUNT = len(FAULTS)
SEEN = Seen([4.6, 3.0, 2.5], [(0, 4.7), (3, 2.4)], 9.125, "The abc\nabc")
# words of the names that say nothing, because the game itself needs them
PLAIN = {"no", "not", "of", "on", "the", "text", "training", "for", "row", "too", "after", "over"}
RIGHT = "none"  # a word of the game's rules and of every picture ("fill:none"); looked for apart
WORDS = {word for fault in FAULTS for word in fault.name.split("-")} - PLAIN - {RIGHT}


def named(text: str) -> list[str]:
    """What of the answer sheet a text lets slip: whole names, single words of them, sentences."""
    found = [fault.name for fault in FAULTS if fault.name in text and fault.name != RIGHT]
    found += [word for word in WORDS if re.search(rf"\b{word}\b", text, re.IGNORECASE)]
    return found + [
        part
        for fault in FAULTS
        for part in fault
        if isinstance(part, str) and len(part) > 20 and part in text
    ]


@pytest.fixture
def cache(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs are kept outside of a workspace."""
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(home / "cache"))
    return game.places.breaks_home()


@pytest.fixture
def trained(cache: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, int]]:
    """No training: every run shows the same. The list holds what was asked for."""
    asked: list[dict[str, int]] = []

    def train(request: dict[str, int], tell: Any) -> Seen:
        asked.append(request)
        tell(1, 3)
        return SEEN

    monkeypatch.setattr(game, "_train", train)
    return asked


def kept(folder: Path) -> str:
    return "".join(f"{path.name}\n{path.read_text(encoding='utf-8')}" for path in sorted(folder.iterdir()))


def test_alone_it_says_how_to_play(home: Path, cohort: Cohort) -> None:
    ended = cohort("break")
    assert (ended.code, ended.err) == (0, "")
    assert f"The numbers go from 1 to {COUNT}. next: cohort break 1" in ended.out
    assert named(ended.out.replace(show.HOW, "")) == []
    assert json.loads(cohort("break", "--json").out) == {"schema": "cohort.break/1", "numbers": COUNT}


@pytest.mark.parametrize(
    "options", [[], ["--honest"], ["--json"], ["--json", "--honest"], ["--svg", "it.svg"]]
)
def test_nothing_is_named_before_it_is_revealed(
    trained: list[Any], cache: Path, home: Path, cohort: Cohort, options: list[str]
) -> None:
    said = set()
    for number in range(1, COUNT + 1):
        ended = cohort("break", str(number), *options)
        assert ended.code == 0
        text = f"{ended.out}\n{ended.err}\n{kept(cache)}"
        if "--svg" in options:
            text += (home / "it.svg").read_text(encoding="utf-8")
        assert named(text) == [], number
        assert RIGHT not in ended.out + ended.err + kept(cache)
        said.add(re.sub(rf"\b{number}\b", "N", ended.out))
        assert ("9.125" in ended.out) == ("--honest" in options)
    # numbers apart, all experiments are shown in the same words (and "next" is one further)
    assert len({re.sub(r"\d+", "N", text) for text in said}) == 1
    assert [request["number"] for request in trained] == list(range(1, COUNT + 1))


def test_help_names_nothing(home: Path, cohort: Cohort) -> None:
    assert named(cohort("break", "--help").out) == []
    wrong = cohort("break", "no-such")
    assert wrong.code == 2
    assert named(wrong.err.replace("no-such", "")) == []


@pytest.mark.parametrize("number", range(1, COUNT + 1))
def test_revealed_it_is_named_explained_and_compared(trained: list[Any], cohort: Cohort, number: int) -> None:
    fault = game.fault_of(number)
    out = cohort("break", str(number), "--reveal").out
    plain = " ".join(out.split())
    assert f"it was {fault.name}" in plain
    for part in (fault.does, fault.curve, fault.sample, fault.found_by, fault.learn):
        assert part in plain
    assert (f"cohort explain {fault.check}" in plain) == bool(fault.check)
    assert "the right run 3.367 2.400 9.125" in plain
    assert f"reported {fault.reported[0]:.2f} to {fault.reported[1]:.2f}" in plain
    assert max(map(len, out.splitlines())) <= 80
    table = json.loads(cohort("break", str(number), "--reveal", "--json").out)
    assert table["fault"]["name"] == fault.name
    assert table["right"]["honest"] == table["honest"] == 9.125


def test_what_was_trained_is_kept_by_number_seed_and_steps(
    trained: list[Any], cache: Path, cohort: Cohort
) -> None:
    for options in ([], ["--honest"], ["--json"], ["--reveal"], ["--reveal", "--json"]):
        cohort("break", "4", *options)
    assert [request["number"] for request in trained] == [4, game.RIGHT]  # and the right run, once
    cohort("break", "5", "--reveal")
    assert [request["number"] for request in trained] == [4, game.RIGHT, 5]
    cohort("break", game.fault_of(4).name)  # who prepares a meeting has it ready
    assert len(trained) == 3
    for options in (["--again"], ["--seed", "2"], ["--steps", "7"]):
        before = len(trained)
        cohort("break", "4", *options)
        assert len(trained) == before + 1
    assert trained[-2:] == [
        {"number": 4, "seed": 2, "steps": 500},
        {"number": 4, "seed": 1, "steps": 7},
    ]
    assert sorted(path.name for path in cache.iterdir()) == [
        "04-seed-1-steps-500.json",
        "04-seed-1-steps-7.json",
        "04-seed-2-steps-500.json",
        "05-seed-1-steps-500.json",
        "right-seed-1-steps-500.json",
    ]


def test_the_right_run_does_not_give_away_the_number_that_is_right(
    trained: list[Any], cohort: Cohort
) -> None:
    number = game.number_of(RIGHT)
    cohort("break", str(number % COUNT + 1), "--reveal")
    before = len(trained)
    cohort("break", str(number))
    assert len(trained) == before + 1  # at once, without training, it would be known


def test_another_version_of_the_kit_trains_anew(
    trained: list[Any], cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort("break", "4")
    monkeypatch.setattr("cohort_cli.__version__", "99")
    cohort("break", "4")
    assert len(trained) == 2


@pytest.mark.parametrize(
    "text", ["", "[]", '{"schema": "cohort.break/1"}', "\xff", '{"schema": 1, "made": 2}']
)
def test_a_damaged_file_is_made_again(trained: list[Any], cache: Path, cohort: Cohort, text: str) -> None:
    cohort("break", "4")
    (cache / "04-seed-1-steps-500.json").write_bytes(text.encode("latin-1"))
    assert cohort("break", "4").code == 0
    assert len(trained) == 2


def test_a_workspace_keeps_its_own(trained: list[Any], home: Path, cohort: Cohort, monkeypatch: Any) -> None:
    space = planting.create(home / "my-llm").workspace
    monkeypatch.chdir(space.root)
    cohort("break", "4")
    assert (space.state_folder / "breaks" / "04-seed-1-steps-500.json").is_file()


def test_the_picture_shows_both_losses_and_what_to_compare_with(
    trained: list[Any], home: Path, cohort: Cohort
) -> None:
    assert "picture     it.svg" in cohort("break", "4", "--svg", "it.svg").out
    drawing = (home / "it.svg").read_text(encoding="utf-8")
    ElementTree.fromstring(drawing)
    for words in ("Experiment 4, seed 1", "training loss", "reported validation loss", "uniform", "bigram"):
        assert words in drawing
    assert "right run" not in drawing
    cohort("break", "4", "--svg", "it.svg", "--reveal")
    assert "reported, the right run" in (home / "it.svg").read_text(encoding="utf-8")


def test_losses_that_are_not_finite_are_said_so(
    trained: list[Any], cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Seen([4.6, None, None], [(0, 4.7), (3, None)], None, "The ")
    monkeypatch.setattr(game, "_train", lambda request, tell: broken)
    out = cohort("break", "4", "--honest", "--svg", "it.svg").out
    assert out.count("not finite") == 3
    assert json.loads(cohort("break", "4", "--json").out)["training"] == [4.6, None, None]


@pytest.mark.parametrize("word", ["0", str(COUNT + 1), "-1", "²", "mask"])
def test_what_is_no_experiment_is_refused(trained: list[Any], cohort: Cohort, word: str) -> None:
    assert cohort("break", "--", word).code == 2
    assert trained == []


def test_it_trains_in_another_process(cache: Path, cohort: Cohort) -> None:
    table = json.loads(cohort("break", "2", "--steps", "2", "--honest", "--json").out)
    assert len(table["training"]) == 2
    assert [step for step, _ in table["reported"]] == [0, 1, 2]
    assert table["uniform"] > table["unigram"] > table["bigram"]
    assert table["sample"].startswith("The ")
    assert table["honest"] > 0
    assert "torch" not in kept(cache)


@pytest.mark.skipif(os.name != "posix", reason="signals of Windows are others")
def test_ctrl_c_ends_at_once_and_keeps_what_was(cache: Path) -> None:
    words = ["break", "2", "--steps", "100000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "cohort_cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    )
    while not (below := psutil.Process(process.pid).children()):
        time.sleep(0.01)
    assert named(" ".join(below[0].cmdline())) == []
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert err.endswith("cohort: Interrupted. What was finished before is kept.\n")
    assert not cache.exists() or list(cache.iterdir()) == []
    ended, alive = psutil.wait_procs(below[:1], timeout=20)  # a killed process may be seen for a moment
    assert ended or alive[0].status() == psutil.STATUS_ZOMBIE


def test_no_page_gives_a_number_away() -> None:
    """The pages may list the faults; which number is which stands nowhere."""
    for path in (REPO / "README.md", REPO / "CHANGELOG.md", *(REPO / "docs").glob("*.md")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if any(f"`{fault.name}`" in line for fault in FAULTS if fault.name != RIGHT):
                assert not re.search(r"cohort break \d|[Nn]umber \d|^\| *\d+ *\|", line), f"{path}: {line}"
