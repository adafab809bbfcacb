"""`cohort plan`: one screen of numbers with units, one JSON object, and what to do next."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support import Cohort

from cohort_cli.catalog import find_project
from cohort_cli.training.presets import presets


@pytest.fixture(autouse=True)
def no_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COHORT_RUNS", "COHORT_DATA"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_preset_there_is_a_list(cohort: Cohort) -> None:
    ended = cohort("plan", "project3")
    assert ended.code == 0
    names = [line.split()[0] for line in ended.out.splitlines()[:-1]]
    assert sorted(names) == sorted(presets(find_project("project3")))
    assert ended.out.splitlines()[-1] == "next: cohort plan project3 --preset smoke"


@pytest.mark.parametrize("preset", presets(find_project("project3")))
def test_every_preset_has_a_plan_of_80_columns(cohort: Cohort, preset: str) -> None:
    ended = cohort("plan", "project3", "--preset", preset, "--price", "2.5")
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert [line for line in lines if len(line) > 80 and not line.startswith("next:")] == []
    for heading in ("model", "compute", "time", "disk"):
        assert heading in lines
    assert sum(line.startswith("next: ") for line in lines) == 1
    assert lines[-1].startswith("next: cohort ")


def test_every_number_has_a_unit(cohort: Cohort) -> None:
    """A row is a name, a number, its unit or the note that says what is counted."""
    out = cohort("plan", "project3", "--preset", "gpu8-1.5b", "--price", "2.5").out
    rows = re.findall(r"^  ([a-zA-Z][a-zA-Z ,0-9]*?) {2,}(\S.*)$", out, re.MULTILINE)
    assert len(rows) > 20
    counted = {
        "parameters",
        "vocabulary",
        "tokens",
        "largest pass",
        "per parameter",
        "cost",
        "tokens per second",
    }
    for label, value in rows:
        unit = re.match(r"[\d.,e+]+ ?(GB|MB|kB|TB|B|[GTP]?FLOP|[GTP]FLOP/s|h|min|s|days|%)", value)
        assert unit or label in counted, (label, value)


def test_the_numbers_of_gpt2_xl(cohort: Cohort) -> None:
    out = cohort("plan", "project3", "--preset", "gpu8-1.5b", "--price", "2.5").out
    for words in ("1,557,611,200", "10.29 GFLOP", "8 x H100 SXM", "FSDP2", "published runs", "fits into 80 GB",
                  "GPU-hours at 2.50", "hardware.activation_checkpointing=false"):  # fmt: skip
        assert words in out
    assert out.splitlines()[-1] == "next: cohort train project3 --preset gpu8-1.5b"


def test_what_does_not_fit_is_said_with_what_would(cohort: Cohort) -> None:
    ended = cohort("plan", "project3", "--preset", "gpu8-1.5b", "--gpu", "l4", "--gpus", "1")
    assert ended.code == 0
    assert "DOES NOT FIT into 24 GB" in ended.out
    following = ended.out.splitlines()[-1].removeprefix("next: cohort ")
    assert "--gpus" in following
    again = cohort(*following.split())
    assert again.code == 0
    assert "fits into" in again.out, "the advice is a command line that works"
    assert "DOES NOT FIT" not in again.out
    trains = again.out.splitlines()[-1]
    assert trains.startswith("next: cohort train project3 --preset gpu8-1.5b --set hardware.parallel=fsdp")


def test_json_is_one_object_and_agrees_with_the_text(cohort: Cohort) -> None:
    ended = cohort("plan", "project3", "--preset", "gpu1", "--gpu", "a100", "--price", "2", "--json")
    assert ended.out.count("\n") == 1
    table = json.loads(ended.out)
    assert table["schema"] == "cohort.plan/1"
    assert table["parameters"] == 124_439_808 + 47 * 768  # the vocabulary is rounded up
    assert table["seconds"] == pytest.approx(
        table["flops"] / table["peak_flops_per_second"] / table["utilisation"]
    )
    assert table["cost"] == pytest.approx(table["seconds"] / 3600 * 2)
    assert sum(table["memory_bytes"].values()) == pytest.approx(table["memory_bytes_total"], abs=9)
    assert table["fits"]
    assert table["memory_bytes_there_are"] == 80e9


def test_utilisation_and_settings_count(cohort: Cohort) -> None:
    def seconds(*words: str) -> float:
        out = cohort("plan", "project3", "--preset", "gpu1", "--json", *words).out
        return float(json.loads(out)["seconds"])

    assert seconds("--utilisation", "0.2") == pytest.approx(2 * seconds())
    assert seconds("--set", "schedule.steps=9500") == pytest.approx(2 * seconds(), rel=0.03)
    assert seconds("--gpus", "4") == pytest.approx(seconds() / 4)


def test_a_file_of_ones_own(cohort: Cohort, tmp_path: Path) -> None:
    text = presets(find_project("project3"))["smoke"].read_text(encoding="utf-8")
    (tmp_path / "own.toml").write_text(text, encoding="utf-8")
    assert cohort("plan", "project3", "--preset", str(tmp_path / "own.toml")).code == 0
    broken = text.replace("n_layers", "n_layer")
    (tmp_path / "own.toml").write_text(broken, encoding="utf-8")
    ended = cohort("plan", "project3", "--preset", str(tmp_path / "own.toml"))
    assert ended.code == 3
    assert re.search(r"own\.toml:\d+: unknown key 'n_layer' in \[model\]", ended.err)
    assert "Did you mean n_layers" in ended.err


def test_fine_tuning_on_a_cpu_has_a_warning_that_training_has_not(cohort: Cohort) -> None:
    assert "1 GB more" in cohort("plan", "project3", "--preset", "spam-smoke").out
    assert "note:" not in cohort("plan", "project3", "--preset", "smoke").out


def test_a_job_that_starts_from_a_run_which_is_not_there_yet(cohort: Cohort) -> None:
    ended = cohort("plan", "project3", "--preset", "dpo")
    assert "note: There is no run:instruct yet" in ended.out
    assert "354,823,168" in ended.out
    assert "50,257" in ended.out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--preset", "smok"), 2, "Did you mean smoke"),
        (("--preset", "gpu1", "--gpu", "h10"), 2, "Did you mean h100"),
        (("--preset", "gpu1", "--gpus", "7"), 2, "7 devices cannot share evenly"),
        (("--preset", "gpu1", "--set", "model.n_layer=3"), 2, "Did you mean n_layers"),
        (("--preset", "gpu1", "--utilisation", "40"), 2, "0.001<=x<=1"),
        (("--json",), 2, "--json needs a preset"),
    ],
)
def test_unhappy_ways(cohort: Cohort, words: tuple[str, ...], code: int, says: str) -> None:
    ended = cohort("plan", "project3", *words)
    assert (ended.code, ended.out) == (code, "")
    assert says in ended.err
