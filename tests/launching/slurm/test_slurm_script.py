"""The script of every preset: the same as the golden files, and one that a real Slurm accepts."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import golden_slurm
import pytest
from cluster import Cluster

from cohort_cli.errors import UsageError
from cohort_cli.launching.job import Job, Limits, Resources
from cohort_cli.launching.settings import Slurm as Settings
from cohort_cli.launching.slurm import Slurm

JOBS = dict(golden_slurm.all_jobs())


@pytest.mark.parametrize("name", JOBS)
def test_every_preset_renders_as_before(name: str) -> None:
    expected = (golden_slurm.GOLDEN / f"{name}.sbatch").read_text(encoding="utf-8")
    assert golden_slurm.text(JOBS[name]) == expected, golden_slurm.__doc__


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in golden_slurm.GOLDEN.iterdir()} == set(JOBS)


def test_slurm_accepts_every_script(on_cluster: Cluster) -> None:
    for name in JOBS:
        path = golden_slurm.GOLDEN / f"{name}.sbatch"
        done = subprocess.run(["sbatch", "--test-only", path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{name}: {done.stderr}"
        assert "to start at" in done.stderr
    assert on_cluster.queue() == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize("name", JOBS)
def test_bash_can_read_every_script(name: str) -> None:
    done = subprocess.run(
        ["bash", "-n", golden_slurm.GOLDEN / f"{name}.sbatch"], capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_no_value_of_a_secret_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_not_to_be_seen")
    job = Job("/r/x", "project3", "smoke", secrets=("HF_TOKEN",))
    rendered = Slurm(Settings(host="login", runs="/scratch", python="/p")).render(job)
    assert "hf_not_to_be_seen" not in repr(rendered)


HOSTILE = """it's "$HOME" `id` $(id) a\u00e4 %j"""


@pytest.mark.parametrize("name", ["back\\slash", "line\nbreak"])
def test_what_slurm_cannot_be_told_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be told"):
        Slurm(Settings()).render(Job(f"/r/{name}", "project3", "smoke"))


def test_words_with_a_meaning_for_the_shell_or_slurm_are_only_words(
    on_cluster: Cluster, tmp_path: Path
) -> None:
    run = tmp_path / HOSTILE
    run.mkdir()
    job = Job(str(run), "project3", "smoke", Resources(), Limits(60, 30), env=(("NOTE", HOSTILE),))
    (script,) = Slurm(Settings(python="/bin/true")).render(job).files.values()
    head, _, _ = script.partition("say()")
    out = subprocess.run(
        ["bash", "-c", head + 'printf "%s|%s" "$run" "$NOTE"'], capture_output=True, text=True, check=True
    )
    assert out.stdout == f"{run}|{HOSTILE}"
    path = tmp_path / "job.sbatch"
    path.write_text(head + "\necho here\n", encoding="utf-8")
    subprocess.run(["sbatch", "--wait", path], check=True, capture_output=True)
    assert (run / "slurm.out").read_text() == "here\n"
