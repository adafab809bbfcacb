"""`cohort showcase reproduce`: the same configuration is trained again, and the difference is written down."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from entries import Files, lay, project, with_config, with_file, with_head
from support import Cohort

from cohort_cli.errors import DataTrouble, UsageError
from cohort_cli.showcase import entry, from_run, pack, reproduce
from cohort_cli.showcase.gallery import measured
from cohort_cli.training import launch
from cohort_cli.training.runs import RunFolder, all_runs

ENTRIES = Path("showcase/entries")


@pytest.fixture(scope="module")
def theirs(trained_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """An entry of the trained run, without a model for the page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COHORT_RUNS", str(trained_once / "runs"))
        patch.setattr(from_run, "BROWSER", "cohort_cli.showcase.no_such_module")
        run = RunFolder.open(trained_once / "runs" / "small")
        return entry.read_files(pack.add(from_run.of_run(run), "ada", tmp_path_factory.mktemp("out")).place)


@pytest.fixture
def place(runs: Path, theirs: Files) -> Path:
    return lay(theirs, ENTRIES)


@pytest.mark.slow
def test_the_same_numbers_come_out_also_after_a_break(
    place: Path, runs: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def interrupted(*words: Any) -> Iterator[Any]:
        def events() -> Iterator[Any]:
            raise KeyboardInterrupt
            yield

        yield None, events()

    with monkeypatch.context() as patch:
        patch.setattr(launch, "started", interrupted)
        stopped = cohort("showcase", "reproduce", "ada-small")
    assert (stopped.code, "The same command goes on" in stopped.err) == (75, True)
    assert not (ENTRIES.parent / "reproduced").exists()
    [begun] = [run.root for run in all_runs(runs) if run.root.name != "small"]

    ended = cohort("showcase", "reproduce", "ada-small")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-1] == f"next: cohort runs show {begun.name}"
    found = json.loads((ENTRIES.parent / "reproduced" / "ada-small.json").read_bytes())
    claims = entry.load(place).head["claims"]
    for key in ("validation_loss", "bits_per_byte"):
        assert found[key]["claimed"] == claims[key]
        assert found[key]["got"] == pytest.approx(claims[key], abs=1e-3)
        assert found[key]["difference"] == pytest.approx(found[key]["got"] - claims[key])
    assert (found["code"], found["seed"], found["steps"]) == ("reference", 1, {"claimed": 12, "got": 12})
    assert set(found["machine"]) == set(reproduce.MACHINE)
    assert str(Path.home()) not in json.dumps(found)
    assert "+0.0000" in ended.out or "-0.0000" in ended.out or found["validation_loss"]["difference"] != 0

    def never(*words: Any) -> Any:
        raise AssertionError("it is trained already")

    monkeypatch.setattr(launch, "started", never)
    assert cohort("showcase", "reproduce", "ada-small").out.splitlines() == ended.out.splitlines()


def test_a_page_reads_the_record_and_a_shorter_run_does_not_replace_it(place: Path, runs: Path) -> None:
    done, path = RunFolder.open(runs / "small"), ENTRIES.parent / "reproduced" / "ada-small.json"
    for steps, kept in ((6, 6), (None, 12), (6, 12)):
        reproduce.record(reproduce.wanted(place, steps), done, ENTRIES)
        assert json.loads(path.read_bytes())["steps"] == {"claimed": 12, "got": kept}
        again = measured.about(entry.load(place), ENTRIES.parent, pytest.fail).reproduced
        assert again is not None
        assert (again.code, again.steps) == ("reference", (6, 12) if kept == 6 else None)


def test_a_training_that_fails_leaves_no_record(
    place: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Process:
        def wait(self) -> None:
            pass

    @contextlib.contextmanager
    def failing(*words: Any) -> Iterator[Any]:
        yield (
            Process(),
            iter(
                [
                    {
                        "event": "end",
                        "state": "failed",
                        "step": 3,
                        "message": "the loss is NaN",
                        "repair": "x",
                        "exit": 6,
                    }
                ]
            ),
        )

    monkeypatch.setattr(launch, "started", failing)
    ended = cohort("showcase", "reproduce", "ada-small")
    assert (ended.code, "the loss is NaN" in ended.err) == (6, True)
    assert not (ENTRIES.parent / "reproduced").exists()


def test_what_takes_long_is_refused_with_its_price(place: Path, theirs: Files, cohort: Cohort) -> None:
    huge = with_config("schedule", "steps", 10_000_000)(with_head(handle="eve")(theirs))
    lay(huge, ENTRIES)
    ended = cohort("showcase", "reproduce", "eve-small")
    assert (ended.code, "--anyway" in ended.err, "10,000,000 steps" in ended.err) == (2, True, True)
    shorter = reproduce.wanted(ENTRIES / "eve-small", steps=2)
    assert (shorter.config.schedule.steps, shorter.config.schedule.warmup_steps) == (2, 2)
    reproduce.require_quick(shorter)


@pytest.mark.parametrize(
    ("section", "key"), [("model", "n_layers"), ("model", "d_ff"), ("batch", "sequences")]
)
def test_sizes_beyond_every_machine_are_refused_too(
    theirs: Files, home: Path, section: str, key: str
) -> None:
    files = with_config(section, key, 8 * 10**9)(theirs)
    with pytest.raises(UsageError, match="which no machine of ours trains"):
        reproduce.wanted(lay(files, ENTRIES))


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("diary.txt", "a file of its maker's own, diary.txt"),
        ("tinyshakespeare", "are not on this machine"),
    ],
)
def test_data_that_are_not_here_are_named(
    theirs: Files, home: Path, monkeypatch: pytest.MonkeyPatch, source: str, says: str
) -> None:
    monkeypatch.setenv("COHORT_DATA", str(home / "data"))
    (home / "diary.txt").write_text("A file that happens to have the same name.")
    with pytest.raises(DataTrouble, match=says) as trouble:
        reproduce.wanted(lay(with_config("data", "source", source)(theirs), ENTRIES))
    assert "cohort data prepare" in trouble.value.repair


def test_their_tokenizer_is_used_not_ours(theirs: Files, home: Path) -> None:
    place = lay(with_config("data", "tokenizer", "mine")(theirs), ENTRIES)
    assert reproduce.wanted(place).config.data.tokenizer == str((place / "tokenizer.json").resolve())
    assert reproduce.wanted(lay(theirs, home / "other")).config.data.tokenizer == "characters"


def test_what_has_no_run_or_other_weights_cannot_be_repeated(theirs: Files, home: Path) -> None:
    with pytest.raises(UsageError, match="is a project"):
        reproduce.wanted(lay(project(), ENTRIES))
    with pytest.raises(UsageError, match="goes on from run:first"):
        reproduce.wanted(lay(with_config("model", "start_from", "run:first")(theirs), ENTRIES))
    with pytest.raises(UsageError, match="is no entry"):
        reproduce.wanted(lay(with_file("config.json", b"{}")(theirs), home / "bad"))


def test_mine_needs_a_workspace_with_code(place: Path, cohort: Cohort) -> None:
    ended = cohort("showcase", "reproduce", "ada-small", "--mine")
    assert ended.code == 3
