"""`cohort trace` follows a text through the kit's network, through Project 4's, and through a member's own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support import Cohort

from cohort_cli import planting
from cohort_cli.catalog import find_project
from cohort_cli.training.runs import RunFolder

PROJECT = "project4"


def names(out: str) -> list[str]:
    """The first word of each line between the headings and the logits."""
    table = out.partition("parameters\n")[2].rpartition("\nlogits")[0].partition("parameters\n")[2]
    return [line.split()[0] for line in table.splitlines() if line]


def test_the_reference_has_gpt2s_shapes(home: Path, cohort: Cohort) -> None:
    ended = cohort("trace", "The cat sat on the")
    assert ended.code == 0, ended.err
    assert "124,439,808 parameters" in ended.out
    assert 'tokens      "The" " cat" " sat" " on" " the"' in ended.out
    assert "ids         464 3797 3332 319 262" in ended.out
    found = names(ended.out)
    assert found[:4] == ["wte", "wpe", "drop", "h.0"]
    assert found[-3:] == ["h.1", "ln_f", "lm_head"]
    assert "h.1 to h.11: the same shapes again, 11 times" in ended.out
    assert "(1, 5, 768) -> (1, 5, 50257)       shared" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 80


def test_every_block_is_shown_when_asked(runs: Path, cohort: Cohort) -> None:
    assert "h.1 to h.1: the same" in cohort("trace", "of", "small").out
    assert "the same shapes" not in (out := cohort("trace", "of", "small", "--every").out)
    assert names(out).count("attn") == 2


def test_a_run_gives_its_own_tokens_and_probabilities(runs: Path, cohort: Cohort) -> None:
    table = json.loads(cohort("trace", "of the", "small", "--top", "3", "--json").out)
    assert table["schema"] == "cohort.trace/1"
    assert [token["text"] for token in table["tokens"]] == list("of the")
    assert len(table["next"]) == 3
    shares = [token["share"] for token in table["next"]]
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 1
    whole = json.loads(cohort("trace", "of the", "small", "--top", "200", "--json").out)
    assert sum(token["share"] for token in whole["next"]) == pytest.approx(1.0, abs=1e-5)
    stages = {stage["name"]: stage for stage in table["stages"]}
    assert stages["wte"]["given"] == ["(1, 6) int64"]
    assert stages["h.1"]["made"] == ["(1, 6, 16)"]
    assert table["logits"].startswith("(1, 6, ")


def test_the_likeliest_token_is_what_generate_writes(runs: Path, cohort: Cohort) -> None:
    table = json.loads(cohort("trace", "The fun", "small", "--json").out)
    words = ("generate", "small", "--prompt", "The fun", "--tokens", "1", "--temperature", "0", "--json")
    assert table["next"][0]["text"] == json.loads(cohort(*words).out)["samples"][0]["text"]


@pytest.mark.slow
def test_mine_is_the_members_own_code(home: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cohort("trace", "x", "mine").code == 3
    space = planting.create(home / "space").workspace
    monkeypatch.setenv("COHORT_WORKSPACE", str(space.root))
    project = find_project(PROJECT)
    planting.start(space, project)
    todo = cohort("trace", "x", "mine")
    assert todo.code != 0
    assert "Traceback" not in todo.err
    code = space.project_folder(project)
    for path in project.reference.glob("*.py"):
        shutil.copy(path, code)
    text = (
        (code / "gpt.py")
        .read_text(encoding="utf-8")
        .replace("class MLP(", "class FeedForward(")
        .replace("MLP(c", "FeedForward(c")
    )
    (code / "gpt.py").write_text(text, encoding="utf-8")
    ended = cohort("trace", "x", "mine")
    assert ended.code == 0, ended.err
    (code / "gpt.py").write_text(text.replace("return logits, ", "return logits[:, -1], "), encoding="utf-8")
    wrong = cohort("trace", "x y", "mine")
    assert wrong.code == 1
    assert "Your GPT (gpt.py) gave a Tensor of shape (1, 50257)" in wrong.err
    assert "cohort check project4 model" in wrong.err
    assert "your GPT of Project 4" in ended.out
    assert "FeedForward" in ended.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("", "small"), "The text is empty"),
        (("this text is longer than the context", "small"), "has 36 tokens; the model sees 16"),
        (("x", "nope"), "no run 'nope'"),
    ],
)
def test_what_cannot_be_traced_is_a_usage_error(
    runs: Path, cohort: Cohort, words: tuple[str, ...], says: str
) -> None:
    ended = cohort("trace", *words)
    assert ended.code == 2
    assert says in ended.err


def test_nothing_in_a_text_steers_the_terminal(runs: Path, cohort: Cohort) -> None:
    assert RunFolder.open(runs / "small")
    out = cohort("trace", "a\x1b[2J\u202eb", "small").out
    assert "\x1b" not in out
    assert "\u202e" not in out
