"""A cluster behind ssh: the run's folder goes there with the member's parts, and comes back. `ssh` is a stand-in that
runs the words in a shell of its own, as sshd does; Slurm is real."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cluster import Cluster
from on_slurm import said, wait
from stub_trainer import load, uninterrupted

from cohort_cli.catalog import find_project
from cohort_cli.errors import CohortError
from cohort_cli.launching import job as jobs
from cohort_cli.launching.job import Job, Limits, Resources
from cohort_cli.launching.place import Handle
from cohort_cli.launching.settings import Slurm as Settings
from cohort_cli.launching.slurm import Slurm
from cohort_cli.training.config import load_preset
from cohort_cli.training.presets import preset_path
from cohort_cli.training.runs import RunFolder

# It keeps what was said to it, and passes on no variable that is a secret here.
SSH = """\
#!/bin/sh
for word; do last=$word; done
echo "$*" >>{log}
unset MY_TOKEN
exec sh -c "$last"
"""


@pytest.fixture
def ssh(on_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The list of what was asked over ssh."""
    program, log = tmp_path / "bin" / "ssh", tmp_path / "asked"
    program.parent.mkdir()
    program.write_text(SSH.format(log=log))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{on_cluster.env['PATH']}")
    return log


def local_run(home: Path, name: str, parts: dict[str, str]) -> RunFolder:
    config = load_preset(
        preset_path(find_project("project3"), "smoke"),
        ["schedule.steps=20", "schedule.warmup_steps=1", "run.checkpoint_every=10"],
    )
    return RunFolder.create(home / name, config, project="project3", parts=parts)


def test_a_run_goes_there_and_comes_back(
    ssh: Path, python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "s3cret-value")
    mine, there = tmp_path / "my-llm" / "project3", tmp_path / "there" / "runs"
    mine.mkdir(parents=True)
    (mine / "model.py").write_text("x = 1\n")
    (mine / ".git").mkdir()
    folder = local_run(tmp_path / "here", "far", {"model": str(mine)})
    job = Job(
        str(folder.root), "project3", "smoke", Resources(2), Limits(600, 30), secrets=("MY_TOKEN",),
        setup=(f'printf %s "$MY_TOKEN" | wc -c >{tmp_path}/token',),
    )  # fmt: skip
    place = Slurm(Settings(host="ada@login", runs=str(there), python=python))
    assert place.check(job) == []
    jobs.keep(job, folder.root)
    handle = place.submit(job, place.render(job), folder.root)
    assert handle.host == "ada@login"
    wait((folder, handle, place))
    far = RunFolder.open(there / "far")
    assert far.read_status().state == "done", said(far)
    assert (tmp_path / "token").read_text().strip() == str(len("s3cret-value"))
    assert far.parts() == {"model": f"{there}/far/parts/0"}
    assert far.changed_parts() == []
    assert not (there / "far" / "parts" / "0" / ".git").exists()

    names = place.fetch(handle, job, folder.root)
    assert "checkpoints/step-00000020/manifest.json" in names
    assert load(folder) == (20, uninterrupted(1, 20, 2))
    assert folder.read_status().state == "done"
    assert folder.parts() == {"model": str(mine)}
    assert not (folder.root / "parts").exists()
    assert "done: All 20 steps are made." in list(place.logs(handle, folder.root, follow=False))

    asked = ssh.read_text()
    assert "BatchMode=yes" in asked
    assert "ForwardAgent=no" in asked
    everything = [path for root in (there, folder.root) for path in root.rglob("*") if path.is_file()]
    assert not [path for path in [*everything, ssh] if b"s3cret-value" in path.read_bytes()]


def test_only_what_is_wanted_comes_back(ssh: Path, tmp_path: Path) -> None:
    there = local_run(tmp_path / "there", "far", {})
    (there.root / "log.txt").write_text("words")
    here = local_run(tmp_path / "here", "far", {})
    place = Slurm(Settings(host="login", runs=str(tmp_path / "there"), python="/p"))
    job = Job(str(here.root), "project3", "smoke", outputs=("log.*", "config.json"))
    assert place.fetch(Handle("slurm", "1", "login"), job, here.root) == ["log.txt"]
    with pytest.raises(CohortError, match="cannot be fetched") as caught:
        place.fetch(Handle("slurm", "1", "login"), job, tmp_path / "here" / "other")
    assert caught.value.exit_code == 8


def test_what_slurm_refuses_leaves_no_folder_there(ssh: Path, tmp_path: Path, python: str) -> None:
    folder = local_run(tmp_path / "here", "far", {})
    place = Slurm(Settings(host="login", runs=str(tmp_path / "there"), python=python, partition="nope"))
    job = Job(str(folder.root), "project3", "smoke")
    with pytest.raises(CohortError, match="nvalid partition") as caught:
        place.submit(job, place.render(job), folder.root)
    assert caught.value.exit_code == 7
    assert list((tmp_path / "there").iterdir()) == []


def test_a_place_there_that_is_not_written_down(ssh: Path) -> None:
    missing = Slurm(Settings(host="login")).check(None)
    assert [problem.repair[:14] for problem in missing] == ["In places.toml"] * 2


def test_a_job_there_is_stopped(ssh: Path, tmp_path: Path, python: str) -> None:
    folder = local_run(tmp_path / "here", "far", {})
    place = Slurm(Settings(host="login", runs=str(tmp_path / "there"), python=python), patience=30)
    job = Job(str(folder.root), "project3", "smoke", limits=Limits(600, 30), env=(("STUB_PAUSE", "0.5"),))
    jobs.keep(job, folder.root)
    handle = place.submit(job, place.render(job), folder.root)
    place.cancel(handle, folder.root)
    wait((folder, handle, place))
    far = RunFolder.open(tmp_path / "there" / "far")
    assert far.read_status().state in ("new", "stopped"), said(far)
    assert json.loads((far.root / "job.json").read_text())["preset"] == "smoke"
