"""A sweep runs each job once, keeps what is done whatever happens, and its table says what the numbers are worth."""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cohort_cli.catalog import Project
from cohort_cli.errors import BrokenManifest, CohortError
from cohort_cli.training import sweep_results, sweep_run
from cohort_cli.training.config import Config
from cohort_cli.training.runs import RunFolder
from cohort_cli.training.sweep import Sweep, load

PRESET = """schema = "cohort.preset/1"
[model]
n_layers = 1
d_model = 8
n_heads = 2
context = 8
[batch]
sequences = 2
[schedule]
steps = 5
"""
GRID = """schema = "cohort.sweep/1"
title = "Rates and recipes"
project = "project9"
preset = "tiny"
seeds = [1, 2, 3]

[fixed]
schedule.steps = 7

[grid]
optimizer.learning_rate = [1e-3, 1e-1]
model.recipe = ["gpt2", "modern"]
"""


@pytest.fixture
def write(adding: Project, tmp_path: Path) -> Callable[[str], Path]:
    """Writes a sweep file; project9 has the preset "tiny"."""
    (adding.folder / "jobs").mkdir()
    (adding.folder / "jobs" / "tiny.toml").write_text(PRESET, encoding="utf-8")

    def to_file(text: str = GRID) -> Path:
        path = tmp_path / "rates.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return to_file


class FakeTraining:
    """In place of a process: leaves a run folder that is done, with a loss that follows from the configuration."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.before: Callable[[Config], None] = lambda config: None

    def __call__(self, config: Config, root: Path) -> dict[str, Any]:
        self.began.append(root.name)
        self.before(config)
        folder = RunFolder.open(root) if root.exists() else RunFolder.create(root, config)
        steps = config.schedule.steps
        folder.append_metrics({"step": steps, "loss": 1.0, "seconds": 2.0})
        folder.append_metrics({"step": steps, "validation_loss": loss_of(config)})
        folder.write_status("done", steps, steps, exit=0)
        return sweep_run.last_metrics(folder)


def loss_of(config: Config) -> float:
    return config.optimizer.learning_rate * 10 + (config.model.recipe == "gpt2") + config.run.seed / 100


def run(sweep: Sweep, folder: Path, train: Any, stop: Callable[[], None] = lambda: None) -> dict[str, Any]:
    return sweep_run.run(sweep, folder, train, stop, lambda line: None, lambda results: None)


# --- the file ------------------------------------------------------------------------------------------------


def test_every_combination_comes_with_every_seed(write: Callable[..., Path]) -> None:
    sweep = load(write())
    assert len(sweep.jobs) == len({job.id for job in sweep.jobs}) == 12
    assert {job.config.schedule.steps for job in sweep.jobs} == {7}
    assert {(job.settings["model.recipe"], job.config.model.recipe) for job in sweep.jobs} == {
        ("gpt2", "gpt2"), ("modern", "modern")}  # fmt: skip
    assert {(job.seed, job.config.run.seed) for job in sweep.jobs} == {(1, 1), (2, 2), (3, 3)}
    assert sweep.jobs[0].id.startswith("learning-rate=0.001-recipe=gpt2-seed1-")


def test_a_jobs_name_changes_with_any_of_its_numbers(write: Callable[..., Path]) -> None:
    before = {job.id for job in load(write()).jobs}
    assert {job.id for job in load(write()).jobs} == before
    assert not {job.id for job in load(write(GRID.replace("steps = 7", "steps = 8"))).jobs} & before


def test_named_combinations_in_place_of_a_grid(write: Callable[..., Path]) -> None:
    text = (
        GRID.partition("[grid]")[0]
        + '[[settings]]\nmodel.recipe = "modern"\n[[settings]]\n"model.d_model" = 16\n'
    )
    sweep = load(write(text))
    assert [job.settings for job in sweep.jobs[::3]] == [{"model.recipe": "modern"}, {"model.d_model": 16}]
    assert sweep.varied == ["model.recipe", "model.d_model"]


def test_without_a_grid_the_preset_itself_is_repeated(write: Callable[..., Path]) -> None:
    sweep = load(write(GRID.partition("[grid]")[0]))
    assert [job.seed for job in sweep.jobs] == [1, 2, 3]


def test_fewer_than_three_seeds_only_on_request(write: Callable[..., Path]) -> None:
    path = write(GRID.replace("[1, 2, 3]", "[1, 2]"))
    with pytest.raises(BrokenManifest) as caught:
        load(path)
    assert caught.value.message == f"{path}:5: 2 seeds are too few to tell a difference from chance."
    assert "--allow-few-seeds" in caught.value.repair
    sweep = load(path, few_seeds=True)
    results = {job.id: sweep_run.Result("waiting") for job in sweep.jobs}
    assert any("may be chance" in note for note in sweep_results.notes(sweep, results))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("seeds =", "seed =", ":5: unknown key 'seed'"),
        ("[1, 2, 3]", "[1, 2, 2]", ":5: seeds must be different"),
        ("[1, 2, 3]", "[]", ":5: 0 seeds are too few"),
        ("[1, 2, 3]", "3", ":5: 'seeds' must be a list"),
        ("seeds = [1, 2, 3]", "seeds = [1, 2, 3]\nworkers = 0", ":6: workers must be at least 1"),
        ('"tiny"', '"tinny"', "no preset 'tinny'"),
        ("model.recipe", "model.recipee", ":12: unknown key 'model.recipee' in [grid]"),
        ("schedule.steps", "schedul.steps", ":8: unknown key 'schedul.steps' in [fixed]"),
        ("schedule.steps = 7", 'schedule.steps = "7"', "schedule.steps must be a whole number"),
        ('["gpt2", "modern"]', '["gpt2", "modernn"]', "--set model.recipe: is 'modernn'"),
        ('["gpt2", "modern"]', '["gpt2", "gpt2"]', "two combinations are the same"),
        ('["gpt2", "modern"]', '"modern"', ":12: model.recipe in [grid] must be a list"),
        ("[fixed]", "[fixed]\nrun.seed = 4", "run.seed in [fixed] is given by seeds"),
        ("[grid]", '[[settings]]\nmodel.n_layers = 2\n[grid]', "both [grid] and [[settings]]"),
        ("cohort.sweep/1", "cohort.preset/1", "does not say"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_place(
    write: Callable[..., Path], old: str, new: str, says: str
) -> None:
    assert old in GRID
    with pytest.raises(CohortError) as caught:
        load(write(GRID.replace(old, new)))
    assert says in caught.value.message


# --- running -------------------------------------------------------------------------------------------------


def test_a_finished_job_never_runs_again(write: Callable[..., Path], tmp_path: Path) -> None:
    sweep, train = load(write()), FakeTraining()
    first = run(sweep, tmp_path / "out", train)
    assert len(train.began) == 12
    again = run(sweep, tmp_path / "out", train)
    assert len(train.began) == 12
    assert again == first
    assert {result.state for result in again.values()} == {"done"}


def test_a_half_done_sweep_goes_on_with_what_is_left(write: Callable[..., Path], tmp_path: Path) -> None:
    sweep, train = load(write()), FakeTraining()
    calls = iter(range(100))

    def interrupted(config: Config, root: Path) -> dict[str, Any]:
        if next(calls) == 4:
            RunFolder.create(root, config)  # it had begun when the computer went down
            raise sweep_run.Stopped("saved")
        return train(config, root)

    first = run(sweep, tmp_path / "out", interrupted)
    assert [result.state for result in first.values()].count("stopped") == 1
    stopped = next(id for id, result in first.items() if result.state == "stopped")
    train.began.clear()
    assert {result.state for result in run(sweep, tmp_path / "out", train).values()} == {"done"}
    assert train.began == [stopped]


def test_a_job_that_fails_does_not_stop_the_others_and_is_tried_again(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    sweep, train = load(write()), FakeTraining()

    def fail(config: Config) -> None:
        if config.run.seed == 2 and config.model.recipe == "gpt2":
            raise CohortError("The loss is not a number.")

    train.before = fail
    states = [result.state for result in run(sweep, tmp_path / "out", train).values()]
    assert (states.count("done"), states.count("failed")) == (10, 2)
    train.before = lambda config: None
    assert {result.state for result in run(sweep, tmp_path / "out", train).values()} == {"done"}


def test_so_many_at_a_time_share_the_cores(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    sweep, train = load(write(GRID.replace("[1, 2, 3]", "[1, 2, 3]\nworkers = 3"))), FakeTraining()
    together = threading.Barrier(3, timeout=10)  # opens only when three jobs run at once
    threads = []

    def meet(config: Config) -> None:
        threads.append(config.hardware.threads)
        together.wait()

    train.before = meet
    run(sweep, tmp_path / "out", train)
    assert threads == [2] * 12


def test_ctrl_c_waits_for_the_running_job_and_keeps_the_rest_for_later(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    sweep, train = load(write()), FakeTraining()
    asked = threading.Event()

    def changed(results: dict[str, sweep_run.Result]) -> None:
        if sum(result.state == "done" for result in results.values()) == 3 and not asked.is_set():
            raise KeyboardInterrupt

    slow: list[bool] = []

    def wait_for_it(config: Config) -> None:
        if len(train.began) > 3:
            slow.append(asked.wait(10))

    train.before = wait_for_it
    results = sweep_run.run(sweep, tmp_path / "out", train, asked.set, lambda line: None, changed)
    states = [result.state for result in results.values()]
    assert asked.is_set()
    assert states.count("waiting") == 12 - len(train.began)
    assert states.count("done") == len(train.began) < 12


def test_a_process_that_is_asked_to_stop_finds_the_request_in_its_folder(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is a stand-in that waits for STOP, as the real one does between two micro-batches."""
    sweep = load(write())
    job = sweep.jobs[0]
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import json, pathlib, sys, time\n"
        "stop = pathlib.Path(sys.argv[1]) / 'STOP'\n"
        "end = time.monotonic() + 20\n"
        "while not stop.exists() and time.monotonic() < end: time.sleep(0.01)\n"
        "state = 'stopped' if stop.exists() else 'done'\n"
        "print(json.dumps({'event': 'end', 'state': state, 'message': '', 'repair': '', 'exit': 75}))\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(
        "cohort_cli.training.launch.command",
        lambda folder, processes: [__import__("sys").executable, str(worker), str(folder.root)],
    )
    processes = sweep_run.Processes("project9")
    caught: list[Exception] = []

    def one() -> None:
        try:
            processes.run(job.config, tmp_path / job.id)
        except CohortError as trouble:
            caught.append(trouble)

    thread = threading.Thread(target=one)
    thread.start()
    while not (tmp_path / job.id / "config.json").is_file():
        time.sleep(0.01)
    time.sleep(0.2)
    processes.stop()
    thread.join(30)
    assert [type(trouble) for trouble in caught] == [sweep_run.Stopped]
    with pytest.raises(sweep_run.Stopped):
        processes.run(sweep.jobs[1].config, tmp_path / sweep.jobs[1].id)
    assert not (tmp_path / sweep.jobs[1].id / "STOP").exists()


# --- the results ---------------------------------------------------------------------------------------------


def test_the_table_gives_mean_deviation_and_number(write: Callable[..., Path], tmp_path: Path) -> None:
    sweep = load(write())
    results = run(sweep, tmp_path / "out", FakeTraining())
    found = sweep_results.rows(sweep, results)
    assert [row.settings for row in found] == [job.settings for job in sweep.jobs[::3]]
    values = [loss_of(job.config) for job in sweep.jobs[:3]]
    assert found[0].values == values
    assert found[0].mean == pytest.approx(sum(values) / 3)
    assert found[0].deviation == pytest.approx(statistics.stdev(values))
    assert sweep_results.text(sweep, results)[:4] == [
        "Rates and recipes",
        "",
        "learning_rate  recipe  n    mean      sd",
        "0.001          gpt2    3  1.0300  0.0100",
    ]
    assert "| 0.1 | modern | 3 | 1.0200 | 0.0100 |" in sweep_results.markdown(
        sweep, results, "cohort sweep x"
    )


def test_one_value_has_no_deviation(write: Callable[..., Path], tmp_path: Path) -> None:
    sweep = load(write(GRID.replace("[1, 2, 3]", "[5]")), few_seeds=True)
    results = run(sweep, tmp_path / "out", FakeTraining())
    assert "| 1 | 1.0600 | - |" in sweep_results.markdown(sweep, results, "x")


def test_what_is_not_done_is_said_and_counts_for_nothing(write: Callable[..., Path], tmp_path: Path) -> None:
    sweep = load(write())
    results = run(sweep, tmp_path / "out", FakeTraining())
    first = sweep.jobs[0].id
    results[first] = results[first]._replace(state="failed", message="not a number")
    assert len(sweep_results.rows(sweep, results)[0].values) == 2
    assert "1 of 12 jobs are not done, 1 failed." in sweep_results.notes(sweep, results)


def test_names_that_would_be_the_same_are_written_whole(write: Callable[..., Path]) -> None:
    text = GRID.partition("[grid]")[0] + "[grid]\nmodel.dropout = [0.0, 0.1]\nlora.dropout = [0.0, 0.2]\n"
    assert sweep_results.columns(load(write(text))) == ["model.dropout", "lora.dropout", "n", "mean", "sd"]


def test_files_are_written_and_the_figure_shows_every_axis(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    sweep = load(write())
    results = run(sweep, tmp_path / "out", FakeTraining())
    paths = sweep_results.write(sweep, results, tmp_path / "out", "cohort sweep rates.toml", draw=True)
    assert [path.name for path in paths] == ["sweep.json", "table.md", "figure.svg"]
    table = json.loads(paths[0].read_text(encoding="utf-8"))
    assert [job["state"] for job in table["jobs"]] == ["done"] * 12
    assert [row["n"] for row in table["summary"]] == [3] * 4
    svg = paths[2].read_text(encoding="utf-8")
    for words in (
        "optimizer.learning_rate",
        "recipe=gpt2",
        "recipe=modern",
        "validation_loss (nats per token)",
    ):
        assert words in svg


def test_without_matplotlib_there_is_a_table_and_no_figure(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_results, "has_matplotlib", lambda: False)
    sweep = load(write())
    results = run(sweep, tmp_path / "out", FakeTraining())
    paths = sweep_results.write(sweep, results, tmp_path / "out", "x", draw=True)
    assert [path.name for path in paths] == ["sweep.json", "table.md"]
