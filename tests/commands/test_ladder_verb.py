"""`cohort ladder`: what a member sees before, while and after climbing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support import Cohort

from cohort_cli import planting
from cohort_cli.catalog import find_project


@pytest.fixture
def mine(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty workspace, as the current folder."""
    space = planting.create(home / "my-llm").workspace
    monkeypatch.chdir(space.root)
    return space.root


def numbers(out: str) -> dict[str, str]:
    return {line.split()[0]: line.split()[1] for line in out.splitlines()[1:7]}


def test_at_first_only_the_lowest_rung_is_there(mine: Path, cohort: Cohort) -> None:
    ended = cohort("ladder")
    assert (ended.code, ended.err) == (0, "")
    assert numbers(ended.out) == {
        "uniform": "4.635", "unigram": "-", "bigram": "-", "trigram": "-", "MLP": "-", "GPT": "-",
    }  # fmt: skip
    assert ended.out.splitlines()[-1] == "next: cohort start project0"
    assert ended.out.count("cohort start project0") == 5
    assert max(map(len, ended.out.splitlines())) <= 80
    assert "not climbed yet" in (mine / "ladder.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_rung_is_ones_own_when_its_step_is_ok(mine: Path, cohort: Cohort) -> None:
    project = find_project("project0")
    cohort("start", "project0")
    assert "cohort check project0 counts" in cohort("ladder").out
    own = mine / project.folder.name
    shutil.copy(project.reference / "ngrams.py", own / "ngrams.py")
    shutil.copy(project.reference / "measure.py", own / "measure.py")
    assert "cohort check project0 counts" in cohort("ladder").out  # it was not checked
    assert cohort("check", "project0", "counts").code == 0
    assert "cohort check project0 nll" in cohort("ladder").out
    assert cohort("check", "project0", "nll").code == 0
    found = json.loads(cohort("ladder", "--json").out)
    assert found["schema"] == "cohort.ladder/1"
    by_name = {rung["name"]: rung for rung in found["rungs"]}
    assert [name for name, rung in by_name.items() if rung["mine"]] == ["unigram", "bigram", "trigram"]
    assert by_name["trigram"]["says"] == "your ngrams.py"
    assert by_name["MLP"]["nats"] is None
    assert by_name["bigram"]["bits_per_byte"] == pytest.approx(by_name["bigram"]["nats"] * 1.4427, rel=0.01)
    with (own / "ngrams.py").open("a", encoding="utf-8") as file:
        file.write("\n# another code\n")
    assert "cohort check project0 counts" in cohort("ladder").out


@pytest.mark.slow
def test_what_was_reached_is_shown_before_what_went_wrong(mine: Path, cohort: Cohort) -> None:
    project = find_project("project0")
    shutil.copytree(project.reference, mine / project.folder.name)
    assert cohort("check", "project0", "counts", "nll", "modules").code == 0
    path = mine / project.folder.name / "modules.py"
    assert cohort("ladder", "--json").code == 0
    (mine / ".cohort" / "ladder.json").unlink()
    lines = path.read_text(encoding="utf-8").replace(
        "    optimizer = ", "    raise ValueError('on purpose')\n    optimizer = ", 1
    )
    path.write_text(lines, encoding="utf-8")
    assert "cohort check project0 modules" in cohort("ladder").out  # another code: it waits for its check
    path.write_text(
        lines.replace(
            "    raise ValueError('on purpose')\n",
            "    if steps > 1000:\n        raise ValueError('on purpose')\n",
        ),
        encoding="utf-8",
    )
    assert cohort("check", "project0", "modules").code == 0
    ended = cohort("ladder")
    assert ended.code == 1
    assert "1.730" in ended.out
    assert "ValueError: on purpose" in ended.err
    assert "1.730" in (mine / "ladder.html").read_text(encoding="utf-8")


def test_sixty_columns_are_enough(mine: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, cohort("ladder").out.splitlines())) <= 60


@pytest.mark.slow
def test_the_top_is_the_best_run_on_this_text(runs: Path, mine: Path, cohort: Cohort) -> None:
    lines = cohort("ladder").out.splitlines()
    table = json.loads(cohort("evaluate", "small", "--on", "perplexity", "--json").out)
    assert numbers("\n".join(lines))["GPT"] == f"{table['results']['perplexity']['loss']:.3f}"


def test_without_a_workspace_it_can_be_shown_but_not_climbed(home: Path, cohort: Cohort) -> None:
    ended = cohort("ladder")
    assert ended.code == 3
    assert "cohort init" in ended.err


@pytest.mark.slow
def test_the_whole_ladder_goes_down_rung_by_rung(mine: Path, cohort: Cohort) -> None:
    """Measured: 4.635, 3.238, 2.316, 1.730, 1.609 and 1.487. The text, and so the first four, is Python's."""
    assert cohort("train", "project3", "--smoke", "--model", "reference").code == 0
    ended = cohort("ladder", "--reference", "--json")
    nats = [rung["nats"] for rung in json.loads(ended.out)["rungs"]]
    assert nats == sorted(nats, reverse=True)
    assert 1.55 < nats[4] < 1.66
    assert 1.40 < nats[5] < 1.58
    assert (mine / "ladder.svg").read_text(encoding="utf-8").startswith("<svg ")
