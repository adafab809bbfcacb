"""A job is sent whole or not at all: what is asked, what is shown, what a place refuses, and what stays behind."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import Cohort

from cohort_cli.errors import CohortError, UsageError
from cohort_cli.launching import here, job, place, places, wish
from cohort_cli.launching.place import Found, Handle, Problem, Rendered
from cohort_cli.training import launch
from cohort_cli.training.runs import RunFolder

SENT = ["train", "project3", "--smoke", "--name", "a", "--on", "there"]


class There:
    """A place that remembers what it was asked, and answers what the test says."""

    name, says = "there", "a place for tests"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.problems: list[Problem] = []
        self.refusal: Exception | None = None
        self.state = "waiting"
        self.leaks = ""

    def check(self, job: job.Job | None) -> list[Problem]:
        return self.problems

    def render(self, job: job.Job) -> Rendered:
        return Rendered(
            {"there.sh": f"train {job.run}\n{self.leaks}\x1b[2J\n"}, ("send", f"{job.run}/there.sh")
        )

    def submit(self, job: job.Job, rendered: Rendered, run: Path) -> Handle:
        assert job == globals()["job"].read(run), "it is written down first"
        place.write_files(rendered, run)
        if self.refusal:
            raise self.refusal
        self.asked.append("submit")
        return Handle("there", "17:x", "", "2026-11-27T00:00:00+00:00")

    def status(self, handle: Handle) -> Found:
        if self.state == "deaf":
            raise CohortError("no network")
        return Found(self.state, "Priority")

    def logs(self, handle: Handle, run: Path, follow: bool) -> Iterator[str]:
        yield f"follow={follow} \x1b[2J"

    def cancel(self, handle: Handle, run: Path) -> None:
        self.asked.append(f"cancel, STOP {(run / 'STOP').exists()}")
        self.state = "gone"

    def fetch(self, handle: Handle, job: job.Job, into: Path) -> list[str]:
        (into / "brought").touch()
        return ["brought"]


@pytest.fixture
def there(runs: Path, monkeypatch: pytest.MonkeyPatch) -> There:
    made = There()
    monkeypatch.setitem(places.PLACES, "there", lambda: made)
    return made


def test_a_job_is_sent_listed_and_its_verbs_reach_the_place(there: There, runs: Path, cohort: Cohort) -> None:
    ended = cohort(*SENT, "--nodes", "2", "--gpus", "3", "--gpu-type", "H100", "--gpu-type", "A100", "--walltime",
                   "1h30m", "--max-usd-per-hour", "4.5", "--spot", "--env", "B=2=3", "--env", "A=1", "--secret",
                   "TOKEN", "--max-stalls", "5")  # fmt: skip
    assert ended.code == 0, ended.err
    assert ended.out.splitlines() == ["sent        to there, 17:x", "next: cohort runs logs a --follow"]
    sent = job.read(runs / "a")
    assert sent is not None
    assert sent.resources == job.Resources(nodes=2, gpus=3, gpu_types=("H100", "A100"), spot=True)
    assert sent.limits == job.Limits(walltime=5400, max_usd_per_hour=4.5, max_stalls=5)
    assert (sent.env, sent.secrets) == ((("A", "1"), ("B", "2=3")), ("TOKEN",))
    assert (sent.run, sent.project, sent.preset, sent.resume) == (str(runs / "a"), "project3", "smoke", False)
    listed = cohort("runs", "list").out.splitlines()
    assert listed[1].split() == ["a", "waiting", "0/300", "-", "there"]
    assert max(map(len, listed)) <= 80
    shown = cohort("runs", "show", "a").out
    assert "place       there: Priority" in shown
    assert shown.splitlines()[-1] == "next: cohort runs stop a"
    assert cohort("runs", "logs", "a", "-f").out.splitlines()[0] == "follow=True \\x1b[2J"
    again = cohort("train", "project3", "--resume", "--name", "a", "--on", "there")
    assert again.code == 2
    assert "a is waiting at there already (Priority)" in again.err
    stopped = cohort("runs", "stop", "a")
    assert there.asked == ["submit", "cancel, STOP True"]
    assert stopped.out.splitlines() == ["gone        at step 0", "next: cohort runs fetch a"]
    assert cohort("runs", "fetch", "a").out.splitlines()[0] == "fetched     1 file from there"
    assert (runs / "a" / "brought").exists()


def test_it_is_sent_again_and_the_old_request_to_stop_is_forgotten(
    there: There, runs: Path, cohort: Cohort
) -> None:
    assert cohort(*SENT).code == 0
    there.state = "gone"
    (runs / "a" / "STOP").touch()
    changed = ["--set", "schedule.steps=70"]
    assert (
        cohort("train", "project3", "--resume", "--name", "a", "--on", "there", *changed, "--dry-run").code
        == 0
    )
    assert RunFolder.open(runs / "a").config().schedule.steps == 300, "a dry run changes nothing"
    assert cohort("train", "project3", "--resume", "--name", "a", "--on", "there", *changed).code == 0
    assert RunFolder.open(runs / "a").config().schedule.steps == 70
    assert not (runs / "a" / "STOP").exists()
    sent = job.read(runs / "a")
    assert sent is not None
    assert sent.resume


def test_a_dry_run_prints_everything_and_makes_nothing(there: There, runs: Path, cohort: Cohort) -> None:
    ended = cohort(*SENT, "--dry-run", "--secret", "TOKEN")
    assert ended.code == 0, ended.err
    assert f"--- {runs}/a/job.json" in ended.out
    assert f"--- {runs}/a/there.sh\ntrain {runs}/a\n\\x1b[2J\n$ send {runs}/a/there.sh\n" in ended.out
    assert not runs.exists()
    assert there.asked == []


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_every_problem_is_named_with_its_repair(
    there: There, runs: Path, cohort: Cohort, more: list[str]
) -> None:
    there.problems = [Problem("No partition gpu.", "sinfo -s"), Problem("No account.", "account = …")]
    ended = cohort(*SENT, *more)
    assert ended.code == 4
    for words in ("No partition gpu.", "repair: sinfo -s", "No account.", "account = …"):
        assert words in ended.err
    assert ("there.sh" in ended.out) == bool(more), "a dry run shows what it would be all the same"
    assert not runs.exists()


@pytest.mark.parametrize(
    "refusal", [UsageError("the place says no", "ask for less"), OSError(2, "no sbatch")]
)
def test_what_a_place_refuses_leaves_no_run(
    there: There, runs: Path, cohort: Cohort, refusal: Exception
) -> None:
    there.refusal = refusal
    ended = cohort(*SENT)
    assert ended.code == (2 if isinstance(refusal, UsageError) else 7)
    assert list(runs.iterdir()) == []


def test_a_run_that_is_sent_again_in_vain_is_as_it_was(there: There, runs: Path, cohort: Cohort) -> None:
    assert cohort(*SENT).code == 0
    there.state, there.refusal = "gone", UsageError("no", "no")
    names = (job.FILE, place.FILE, "config.json")
    before = {name: (runs / "a" / name).read_bytes() for name in names}
    again = ["--resume", "--name", "a", "--on", "there", "--nodes", "4", "--set", "schedule.steps=70"]
    assert cohort("train", "project3", *again).code == 2
    assert {name: (runs / "a" / name).read_bytes() for name in names} == before


def test_a_run_that_is_there_already_is_not_taken_away(there: There, runs: Path, cohort: Cohort) -> None:
    assert cohort(*SENT).code == 0
    ended = cohort(*SENT)
    assert ended.code == 2
    assert "exists already" in ended.err
    assert (runs / "a" / job.FILE).is_file()


def test_a_job_that_cannot_be_written_down_is_cancelled(
    there: There, runs: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: Handle, run: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(place, "keep_handle", full)
    assert cohort(*SENT).code == 7
    assert there.asked == ["submit", "cancel, STOP False"]
    assert list(runs.iterdir()) == []


@pytest.mark.parametrize("how", ["env", "file"])
def test_the_value_of_a_secret_is_never_written(
    there: There, runs: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setenv("TOKEN", "hf_sesame")
    if how == "file":
        there.leaks = "export TOKEN=hf_sesame"
    more = ["--env", "OTHER=hf_sesame"] if how == "env" else []
    for dry in ([], ["--dry-run"]):
        ended = cohort(*SENT, "--secret", "TOKEN", *more, *dry)
        assert ended.code == 2
        assert "hf_sesame" not in ended.out + ended.err
    assert not runs.exists()


def test_a_place_that_cannot_be_asked_hides_nothing(there: There, runs: Path, cohort: Cohort) -> None:
    assert cohort(*SENT).code == 0
    there.state = "deaf"
    assert cohort("runs", "list").out.splitlines()[1].split() == ["a", "new", "0/300", "-", "there"]
    assert "there cannot be asked now" in cohort("runs", "show", "a").out
    (runs / "a" / place.FILE).write_text("{", encoding="utf-8")
    ended = cohort("runs", "list")
    assert (ended.code, ended.out.splitlines()[1].split()[-1]) == (0, "?")


@pytest.mark.parametrize(
    ("state", "found", "shown"),
    [
        ("new", "waiting", "waiting"), ("new", "running", "running"), ("new", "gone", "gone"),
        ("failed", "running", "running"), ("failed", "gone", "failed"), ("done", "running", "done"),
        ("stopped", "running", "stopped"),
    ],
)  # fmt: skip
def test_the_runs_own_status_counts_first(
    there: There, runs: Path, cohort: Cohort, state: str, found: str, shown: str
) -> None:
    assert cohort(*SENT).code == 0
    there.state = found
    RunFolder.open(runs / "a").write_status(state, 3, 300)
    assert json.loads(cohort("runs", "list", "--json").out)[0]["state"] == shown


WRONG: list[tuple[list[str], str]] = [
    (["--on", "ther"], "There is no place 'ther'"),
    (["--walltime", "2h"], "--walltime says how a job is sent"),
    (["--dry-run"], "--dry-run says how"),
    (["--gpu-type", "H100"], "--gpu-type says how"),
    (["--secret", "A"], "--secret says how"),
    (["--on", "there", "--walltime", "soon"], "'soon' is no time"),
    (["--on", "there", "--walltime", "1m"], "60 s, and 120 s of them"),
    (["--on", "there", "--walltime", "9999d"], "not between"),
    (["--on", "there", "--env", "A"], "has no value"),
    (["--on", "there", "--env", "A=1\n2"], "line break"),
    (["--on", "there", "--env", "1A=1"], "no name for a variable"),
    (["--on", "there", "--env", "A=1", "--secret", "A"], "A is a secret"),
    (["--on", "there", "--detach"], "--detach is for this machine"),
]


@pytest.mark.parametrize(("words", "says"), WRONG, ids=str)
def test_what_cannot_be_meant_is_refused(
    there: There, runs: Path, cohort: Cohort, words: list[str], says: str
) -> None:
    ended = cohort("train", "project3", "--smoke", *words)
    assert ended.code == 2, ended.err
    assert says in ended.err
    assert not runs.exists()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2h", 7200), ("90m", 5400), ("1d12h", 129600), ("1.5h", 5400), ("45 min", 2700), ("600s", 600)],
)
def test_times(text: str, seconds: int) -> None:
    assert wish.seconds(text) == seconds


def test_over_ssh_the_run_has_another_folder(
    there: There, runs: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    (home / "places.toml").write_text(
        'schema = "cohort.places/1"\n[slurm]\nhost = "login"\nruns = "/scratch/ada/"\n', encoding="utf-8"
    )
    monkeypatch.setenv("COHORT_PLACES", str(home / "places.toml"))
    monkeypatch.setitem(places.PLACES, "slurm", places.PLACES["there"])
    assert cohort(*SENT[:-1], "slurm", "--dry-run").out.splitlines()[0] == "--- /scratch/ada/a/job.json"
    assert cohort(*SENT, "--dry-run").out.splitlines()[0] == f"--- {runs}/a/job.json"


# --- this machine's own answers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "says", "repair"),
    [
        (["--nodes", "2"], "2 nodes are asked for, and this is one.", "--nodes 1, or --on slurm"),
        (["--gpus", "3"], "3 GPUs are asked for, and 2 can be used here.", "--gpus 2"),
        (["--spot"], "--spot says nothing about this machine.", "Leave --spot out."),
        (["--secret", "NOT_SET"], "The secret NOT_SET is not set.", "Set the variable NOT_SET"),
    ],
)
def test_what_this_machine_cannot_do(
    runs: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch, more: list[str], says: str, repair: str
) -> None:
    monkeypatch.setattr(launch, "gpus", lambda: 2)
    ended = cohort("train", "project3", "--smoke", "--on", "here", *more)
    assert ended.code == 4
    assert says in ended.err
    assert repair in ended.err
    assert not runs.exists()


def test_a_full_disk_is_seen_before_anything_is_made(
    runs: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(here, "ROOM", 1 << 62)
    ended = cohort("train", "project3", "--smoke", "--on", "here")
    assert ended.code == 4
    assert "cohort runs prune" in ended.err
    assert not runs.exists()


def test_a_background_job_that_cannot_begin_leaves_nothing(
    runs: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(here, "START_SECONDS", 60.0)
    monkeypatch.setattr(here.sys, "executable", here.shutil.which("false") or "false")
    ended = cohort("train", "project3", "--smoke", "--on", "here", "--detach", "--name", "a")
    assert ended.code == 7, ended.err
    assert "The job did not begin" in ended.err
    assert list(runs.iterdir()) == []


def test_the_number_of_a_process_that_was_used_again_is_another_process() -> None:
    mine = here.handle_of(os.getpid())
    assert here.Here().status(mine).state == "running"
    pid, _, began = mine.id.partition(":")
    assert here.Here().status(mine._replace(id=f"{pid}:{float(began) - 60}")).state == "gone"
    assert here.Here().status(mine._replace(host=f"not-{socket.gethostname()}")).state == "gone"


def test_doctor_probes_a_place(there: There, cohort: Cohort) -> None:
    ended = cohort("doctor", "--on", "there")
    assert (ended.code, ended.out.splitlines()[0]) == (0, "ok    there      a place for tests")
    there.problems = [Problem("No sbatch here.", "apt install slurm-client")]
    ended = cohort("doctor", "--on", "there")
    assert ended.code == 4
    assert "fail  there      No sbatch here." in ended.out
    assert "repair: apt install slurm-client" in ended.out
    assert ended.out.splitlines()[-1].endswith("then: cohort doctor --on there")
    table: dict[str, Any] = json.loads(cohort("doctor", "--on", "there", "--json").out)
    assert (table["ok"], table["probes"][0]["name"]) == (False, "there")
    assert cohort("doctor", "--on", "nowhere").code == 2
