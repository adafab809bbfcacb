"""`cohort runs`: list, show, compare, stop and prune on a run that was really trained."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from support import REPO, Cohort

from cohort_cli.training import kept
from cohort_cli.training.runs import RunFolder


def steers(text: str) -> bool:
    return any(c in text for c in ("\x1b", "\x07", "\u202e", "\r"))


def test_list_shows_state_and_best_loss(runs: Path, cohort: Cohort) -> None:
    ended = cohort("runs", "list")
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    best = RunFolder.open(runs / "small").best()
    assert best is not None
    assert lines[1].split() == ["small", "done", "12/12", f"{best['validation_loss']:.4f}"]
    assert lines[-1] == "next: cohort runs show small"
    table = json.loads(cohort("runs", "list", "--json").out)
    assert table[0]["best"] == best["validation_loss"]
    assert table[0]["state"] == "done"


def test_list_without_runs(home: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COHORT_RUNS", str(home / "nothing"))
    ended = cohort("runs", "list")
    assert (ended.code, ended.out.splitlines()[-1]) == (0, "next: cohort train project3 --smoke")


def test_a_long_name_is_never_cut(runs: Path, cohort: Cohort) -> None:
    name = "a" * 60
    shutil.copytree(runs / "small", runs / name)
    lines = cohort("runs", "list").out.splitlines()
    assert name in lines
    assert max(map(len, lines)) <= 80


def test_show_has_everything_and_fits(runs: Path, cohort: Cohort) -> None:
    ended = cohort("runs", "show", "small")
    assert ended.code == 0, ended.err
    for words in ("state       done, step 12 of 12", "the kit's own", "(bigram counts on the same text: 2.3160)",
                  "checkpoint  step 12", "checkpoint  step 4", "MB best", "sample      The > ", "+----"):  # fmt: skip
        assert words in ended.out
    assert ended.out.splitlines()[-1] == "next: cohort generate small"
    assert max(map(len, ended.out.splitlines())) <= 80
    table = json.loads(cohort("runs", "show", "small", "--json").out)
    assert [one["step"] for one in table["checkpoints"]] == [12, 8, 4]


def test_a_run_is_also_found_by_its_folder(runs: Path, home: Path, cohort: Cohort) -> None:
    shutil.move(runs / "small", home / "elsewhere")
    assert cohort("runs", "show", "elsewhere").code == 0


def test_hostile_folders_are_shown_without_harm(runs: Path, evil: RunFolder, cohort: Cohort) -> None:
    ended = cohort("runs", "show", "evil")
    assert ended.code == 0, ended.err
    assert not steers(ended.out + ended.err)
    assert "title \\x1b[2J\\u202e<b>" in ended.out
    assert "it broke \\x1b[2J" in ended.out
    assert not steers(cohort("runs", "list").out)
    assert not steers(cohort("runs", "compare", "small", "evil").out)
    (evil.root / "status.json").write_text("[]", encoding="utf-8")
    assert "damaged" in cohort("runs", "list").out


@pytest.mark.parametrize("name", ["nope", "empty"])
def test_what_is_no_run_is_a_usage_error(runs: Path, cohort: Cohort, name: str) -> None:
    (runs / "empty").mkdir()
    for words in (("show", name), ("stop", name), ("compare", "small", name), ("prune", name)):
        ended = cohort("runs", *words)
        assert ended.code == 2, words
        assert ended.err.count("\n") == 2


@pytest.mark.parametrize(
    "record", ["{", "[]", '{"schema": "cohort.run/9"}', '{"schema": "cohort.run/1", "parts": {}}']
)
def test_a_record_that_cannot_be_read_is_exit_code_3(runs: Path, cohort: Cohort, record: str) -> None:
    (runs / "small" / "config.json").write_text(record, encoding="utf-8")
    assert cohort("runs", "show", "small").code == 3
    assert cohort("runs", "list").code == 0


def test_compare_says_in_what_runs_differ_and_draws(runs: Path, home: Path, cohort: Cohort) -> None:
    shutil.copytree(runs / "small", runs / "other")
    record = json.loads((runs / "other" / "config.json").read_bytes())
    record["config"]["optimizer"]["learning_rate"] = 0.5
    (runs / "other" / "config.json").write_text(json.dumps(record), encoding="utf-8")
    RunFolder.open(runs / "other").append_metrics({"step": 13, "validation_loss": 1.25})
    ended = cohort("runs", "compare", "small", "other", "--figure", "both.svg")
    assert ended.code == 0, ended.err
    assert "optimizer.learning_rate: 0.003 | 0.5" in ended.out
    assert "  lowest 1.2500 at step 13, last 1.2500" in ended.out
    assert ended.out.splitlines()[-1] == "next: open both.svg"
    assert max(map(len, ended.out.splitlines())) <= 80
    lines = [e for e in ElementTree.parse(home / "both.svg").iter() if e.attrib.get("class") == "curve"]
    assert len(lines) == 4, "two curves, and two in the legend"
    table = json.loads(cohort("runs", "compare", "small", "other", "--json").out)
    assert table["runs"]["other"]["at_step"] == 13
    assert table["differences"] == {"optimizer.learning_rate": [0.003, 0.5]}


def test_different_tokens_are_compared_by_bits_per_byte(runs: Path, cohort: Cohort) -> None:
    shutil.copytree(runs / "small", runs / "other")
    record = json.loads((runs / "other" / "config.json").read_bytes())
    record["config"]["data"]["tokenizer"] = "gpt2"
    (runs / "other" / "config.json").write_text(json.dumps(record), encoding="utf-8")
    assert json.loads(cohort("runs", "compare", "small", "other", "--json").out)["key"] == "bits_per_byte"


def test_compare_wants_two_runs_and_a_place_for_its_figure(runs: Path, cohort: Cohort) -> None:
    assert cohort("runs", "compare", "small").code == 2
    assert cohort("runs", "compare", "small", "small").code == 2
    shutil.copytree(runs / "small", runs / "other")
    assert cohort("runs", "compare", "small", "other", "--figure", "no/where.svg").code == 2


# A process that trains for as long as nobody asks it to stop.
TRAINS = """
import pathlib, sys, time
from cohort_cli.training.runs import RunFolder
folder = RunFolder.open(pathlib.Path(sys.argv[1]))
with folder.lock():
    folder.write_status("running", 7, 12)
    print("ready", flush=True)
    while not (folder.stop_path.exists() and sys.argv[2] == "hears"):
        time.sleep(0.05)
    folder.write_status("stopped", 8, 12, exit=75)
"""


@pytest.mark.parametrize("manner", ["hears", "deaf"])
def test_stop_waits_until_the_run_has_ended_or_says_so(runs: Path, cohort: Cohort, manner: str) -> None:
    command = [sys.executable, "-c", TRAINS, str(runs / "small"), manner]
    with subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            pruned = cohort("runs", "prune", "small")
            ended = cohort("runs", "stop", "small", "--wait", "10" if manner == "hears" else "0.5")
        finally:
            process.terminate()
    assert pruned.out.startswith("There is nothing"), "it is being trained"
    if manner == "hears":
        assert ended.code == 0
        assert ended.out.splitlines() == [
            "stopped     at step 8", "next: cohort train project3 --resume --name small",
        ]  # fmt: skip
    else:
        assert ended.code == 7
        assert "has not ended after 0 seconds" in ended.err


def test_stop_leaves_a_run_alone_that_is_not_running(runs: Path, cohort: Cohort) -> None:
    ended = cohort("runs", "stop", "small")
    assert (ended.code, ended.out.splitlines()[0]) == (0, "done        at step 12")
    assert not (runs / "small" / "STOP").exists()


def steps_of(run: Path) -> list[int]:
    return [one.step for one in kept.checkpoints(RunFolder.open(run))]


def best_of(run: Path) -> int:
    best = kept.best(kept.checkpoints(RunFolder.open(run)))
    assert best is not None
    return best.step


def test_prune_shows_a_plan_and_does_it_only_when_told(runs: Path, cohort: Cohort) -> None:
    ended = cohort("runs", "prune")
    assert ended.code == 0, ended.err
    assert "small/checkpoints/step-00000004" in ended.out
    assert ended.out.splitlines()[-1] == "next: cohort runs prune --yes"
    assert steps_of(runs / "small") == [12, 8, 4]
    assert cohort("runs", "prune", "--yes").code == 0
    assert steps_of(runs / "small") == [12]
    assert best_of(runs / "small") == 12
    assert [path.name for path in (runs / "small" / "checkpoints").iterdir()] == ["step-00000012"]


def test_prune_never_takes_the_newest_good_one_nor_the_best(runs: Path, cohort: Cohort) -> None:
    """The newest is damaged, the best is the oldest: the one between is the newest good one."""
    small = runs / "small" / "checkpoints"
    weights = small / "step-00000012" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1  # same size: only its checksum says it
    weights.write_bytes(data)
    mark_best(small / "step-00000004")
    ended = cohort("runs", "prune", "small", "--yes")
    assert "damaged: " in ended.out
    assert steps_of(runs / "small") == [8, 4]


def mark_best(path: Path) -> None:
    from cohort_cli.training import seal

    manifest = json.loads((path / "manifest.json").read_bytes())
    (path / "manifest.json").unlink()
    seal.close(
        path, manifest["schema"], {"step": manifest["step"], "is_best": True, "same": manifest["same"]}
    )


def test_prune_keeps_what_another_run_starts_from(runs: Path, cohort: Cohort) -> None:
    shutil.copytree(runs / "small", runs / "tuned")
    record = json.loads((runs / "tuned" / "config.json").read_bytes())
    record["config"]["model"]["start_from"] = str(runs / "small" / "checkpoints" / "step-00000004")
    (runs / "tuned" / "config.json").write_text(json.dumps(record), encoding="utf-8")
    assert cohort("runs", "prune", "--yes").code == 0
    assert steps_of(runs / "small") == [12, 4]
    assert steps_of(runs / "tuned") == [12]


def test_a_whole_run_goes_only_if_it_failed_without_a_checkpoint_some_time_ago(
    runs: Path, evil: RunFolder, cohort: Cohort
) -> None:
    assert "the whole run" not in cohort("runs", "prune", "--yes").out, "it was written to just now"
    evil.write_status("done", 12, 12, exit=0)
    assert "nothing to remove" in cohort("runs", "prune", "--days", "0").out, "it ended well"
    evil.write_status("failed", 12, 12, exit=7)
    assert evil.root.is_dir()
    ended = cohort("runs", "prune", "--days", "0", "--yes")
    assert "the whole run: failed, without a checkpoint" in ended.out
    assert not evil.root.exists()
    assert [path.name for path in runs.iterdir()] == ["small"]
    assert steps_of(runs / "small") == [12]
    RunFolder.open(runs / "small").write_status("failed", 12, 12, exit=7)
    assert "nothing to remove" in cohort("runs", "prune", "--days", "0").out


def test_a_checkpoint_that_is_a_link_is_not_followed(runs: Path, home: Path, cohort: Cohort) -> None:
    if sys.platform == "win32":
        pytest.skip("links need rights there")
    elsewhere = home / "elsewhere"
    shutil.move(runs / "small" / "checkpoints" / "step-00000004", elsewhere)
    (runs / "small" / "checkpoints" / "step-00000004").symlink_to(elsewhere)
    cohort("runs", "prune", "--yes")
    assert (elsewhere / "model.safetensors").is_file()


def test_help_ends_with_an_example_and_no_torch_is_loaded(runs: Path, cohort: Cohort) -> None:
    for words in ((), ("list",), ("show",), ("compare",), ("stop",), ("prune",)):
        help = cohort("runs", *words, "--help")
        assert help.code == 0
        assert "$ cohort runs " in help.out
        assert help.out.rstrip().splitlines()[-1].lstrip().startswith("next: ")
    code = (
        "import sys; from cohort_cli import app; assert app.run(['runs', 'show', 'small']) == 0; "
        "assert not {'torch', 'rich'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPO, stdout=subprocess.DEVNULL)
