"""`cohort export` on a run that was really trained: what it writes, other people's tools open."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import Cohort

from cohort_cli.evaluating import card
from cohort_cli.training.runs import RunFolder

# nothing of the kit: this is what somebody who was given the folder would run
STRANGER = """
import json, sys
from transformers import AutoModelForCausalLM, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
ids = tokenizer(sys.argv[2], return_tensors="pt")
out = model.generate(**ids, max_new_tokens=8, do_sample=False, pad_token_id=0)[0, ids["input_ids"].size(1):]
print(json.dumps({"class": type(model).__name__, "text": tokenizer.decode(out), "ids": out.tolist()}))
"""


@pytest.mark.parametrize("prompt", ["The ", pytest.param("a\nb", marks=pytest.mark.slow)])
def test_a_stranger_gets_the_same_greedy_continuation(
    gpt2_runs: Path, cohort: Cohort, tmp_path: Path, prompt: str
) -> None:
    out = tmp_path / "shared"
    ended = cohort("export", "plain", str(out))
    assert ended.code == 0, ended.err
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, str(out), prompt],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["class"] == "GPT2LMHeadModel"
    words = ("generate", "plain", "--prompt", prompt, "--tokens", "8", "--temperature", "0", "--json")
    assert found["text"] == json.loads(cohort(*words).out)["samples"][0]["text"]
    assert "newly initialized" not in done.stderr


def test_the_card_holds_what_the_run_knows_and_asks_for_the_rest(
    gpt2_runs: Path, cohort: Cohort, tmp_path: Path
) -> None:
    out = tmp_path / "shared"
    ended = cohort("export", "plain", str(out))
    assert "README.md" in ended.out
    text = (out / "README.md").read_text(encoding="utf-8")
    best = RunFolder.open(gpt2_runs / "plain").best()
    assert best is not None
    assert f"| validation loss | {best['validation_loss']:.4f} nats per token | uniform" in text
    assert "bigram 2.3160" in text
    assert text.count("_To be written by you:") == 1 + len(card.YOURS)
    assert text.startswith("---\nlibrary_name: transformers\n")
    assert len({path.stat().st_mode for path in out.iterdir()}) == 1  # who may read one may read all


@pytest.mark.slow
def test_scores_of_this_checkpoint_stand_on_the_card_and_no_others(
    gpt2_runs: Path, cohort: Cohort, tmp_path: Path
) -> None:
    items = tmp_path / "lambada.jsonl"
    items.write_text("".join(json.dumps({"text": f"one and {n}"}) + "\n" for n in range(4)), encoding="utf-8")
    cohort("evaluate", "plain", "--on", "lambada", "--data", str(items))
    cohort("export", "plain", str(tmp_path / "scored"))
    assert "| lambada, 4 of 4 items of lambada.jsonl |" in (tmp_path / "scored" / "README.md").read_text(
        encoding="utf-8"
    )
    cohort("export", "plain", str(tmp_path / "other"), "--checkpoint", "4")
    assert "lambada" not in (tmp_path / "other" / "README.md").read_text(encoding="utf-8")


def test_what_a_model_wrote_is_no_markup_on_the_card(gpt2_runs: Path, cohort: Cohort, tmp_path: Path) -> None:
    with (gpt2_runs / "plain" / "samples.jsonl").open("a", encoding="utf-8") as file:
        file.write(
            json.dumps({"step": 12, "prompt": "", "text": "```\n<script>x</script>\x1b[2J", "seed": 1}) + "\n"
        )
    cohort("export", "plain", str(tmp_path / "shared"))
    text = (tmp_path / "shared" / "README.md").read_text(encoding="utf-8")
    assert "\n````text\n```\n<script>" in text
    assert "\x1b" not in text


def test_nothing_is_written_over_and_nothing_is_left_behind(
    gpt2_runs: Path, cohort: Cohort, tmp_path: Path
) -> None:
    (tmp_path / "there").mkdir()
    ended = cohort("export", "plain", str(tmp_path / "there"))
    assert ended.code == 2
    assert "exists already" in ended.err
    config = gpt2_runs / "plain" / "config.json"
    record = json.loads(config.read_bytes())
    record["config"]["lora"]["r"] = 4
    config.write_text(json.dumps(record), encoding="utf-8")
    assert cohort("export", "plain", str(tmp_path / "new")).code != 0
    assert [path.name for path in tmp_path.iterdir() if "new" in path.name] == []


def test_a_modern_network_is_no_gpt2(runs: Path, cohort: Cohort, tmp_path: Path) -> None:
    ended = cohort("export", "small", str(tmp_path / "new"))
    assert ended.code == 2
    assert "model.positions = 'rope'; GPT-2 has 'learned'" in ended.err
    assert not list(tmp_path.glob("*new*"))
