"""Requests that cannot be met: a sentence with its repair, exit code 4 or 7, and nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster import GPUS, Cluster

from cohort_cli.errors import CohortError, EnvironmentTrouble
from cohort_cli.launching.job import Job, Limits, Resources
from cohort_cli.launching.place import Problem, refuse
from cohort_cli.launching.settings import Slurm as Settings
from cohort_cli.launching.slurm import Slurm
from cohort_cli.launching.slurm_nodes import read_nodes, seconds

JOB = Job("", "project3", "smoke", Resources(2), Limits(3600))


def found(place: Slurm, job: Job, run: Path) -> list[Problem]:
    return place.check(job._replace(run=str(run / "runs" / "x")))


def test_a_job_that_can_run_has_no_problem(on_cluster: Cluster, tmp_path: Path) -> None:
    assert found(Slurm(Settings()), JOB, tmp_path) == []
    assert Slurm(Settings()).check(None) == []
    assert list(tmp_path.iterdir()) == []


REFUSED = {
    "nodes": (Settings(), JOB._replace(resources=Resources(9)), "9 nodes", "--nodes 2"),
    "partition": (Settings(partition="mian"), JOB, "no partition 'mian'", "Did you mean main?"),
    "GPUs": (Settings(), JOB._replace(resources=Resources(1, 9)), "9 GPUs", f"--gpus {GPUS}"),
    "type": (Settings(), JOB._replace(resources=Resources(1, 1, ("h10",))), "'h10'", "Did you mean h100?"),
    "time": (Settings(), JOB._replace(limits=Limits(99 * 3600)), "may run for 10:00:00", "--walltime 600m"),
    "memory": (Settings(), JOB._replace(resources=Resources(memory_gb=900)), "900 GB", "less"),
    "interval": (
        Settings(),
        Job("", "project3", "gpu1", Resources(1, 1, ("h100",)), Limits(130), settings=("run.keep=1",)),
        "a checkpoint",
        "--walltime",
    ),
    "python": (Settings(python="/nowhere/python"), JOB, "/nowhere/python", "places.toml"),
    "kit": (Settings(python="/bin/false"), JOB, "does not have the kit", "Install it"),
    "secret": (Settings(), JOB._replace(secrets=("COHORT_NO_SUCH",)), "COHORT_NO_SUCH", "export"),
    "host": (Settings(host="nowhere.invalid"), JOB, "nowhere.invalid", "ssh"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_is_said_before_anything_is_sent(
    what: str, on_cluster: Cluster, tmp_path: Path
) -> None:
    settings, job, words, repair = REFUSED[what]
    (problem,) = found(Slurm(settings), job, tmp_path)
    assert words in problem.what
    assert repair in problem.repair
    with pytest.raises(EnvironmentTrouble):  # exit code 4
        refuse([problem])
    assert list(tmp_path.iterdir()) == []
    assert on_cluster.queue() == []


def test_a_checkpoint_interval_is_that_of_the_job(on_cluster: Cluster, tmp_path: Path) -> None:
    job = REFUSED["interval"][1]._replace(settings=("run.keep=1", "run.checkpoint_every=20"))
    assert found(Slurm(Settings()), job, tmp_path) == []


def test_a_folder_that_the_nodes_do_not_see_is_no_place_for_runs(
    on_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bin" / "hostname"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\necho login\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:{on_cluster.env['PATH']}")
    (problem,) = found(Slurm(Settings()), JOB, tmp_path)
    assert "this machine alone" in problem.what


def test_a_full_scratch_disk(on_cluster: Cluster, small_disk: Path) -> None:
    (problem,) = found(Slurm(Settings()), JOB, small_disk)
    assert "checkpoints need" in problem.what
    assert "cohort runs prune" in problem.repair
    assert list(small_disk.iterdir()) == []


def test_no_slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (problem,) = Slurm(Settings()).check(JOB)
    assert problem == ("There is no Slurm on this machine: sbatch is not on the PATH.", problem.repair)
    with pytest.raises(EnvironmentTrouble, match="There is no Slurm"):
        Slurm(Settings()).submit(JOB, Slurm(Settings()).render(JOB), tmp_path)


def test_a_slurm_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_cluster: Cluster
) -> None:
    conf = tmp_path / "slurm.conf"
    text = on_cluster.conf.read_text().replace("SlurmctldHost", "MessageTimeout=2\nSlurmctldHost")
    lines = [line for line in text.splitlines() if line != "MessageTimeout=10"]
    conf.write_text(
        "\n".join("SlurmctldPort=1" if "SlurmctldPort" in line else line for line in lines) + "\n"
    )
    monkeypatch.setenv("SLURM_CONF", str(conf))
    (problem,) = Slurm(Settings()).check(JOB)
    assert "does not answer" in problem.what


@pytest.mark.parametrize(
    ("settings", "job", "repair"),
    [
        (Settings(partition="mian"), JOB, "sinfo -s"),
        (Settings(), JOB._replace(resources=Resources(1, 1, ("a",))), "fewer nodes"),
        (Settings(), JOB._replace(resources=Resources(1, 9)), "fewer nodes"),
    ],
)
def test_what_slurm_refuses_is_told_in_its_words(
    settings: Settings, job: Job, repair: str, on_cluster: Cluster, tmp_path: Path
) -> None:
    place, job = Slurm(settings), job._replace(run=str(tmp_path))
    with pytest.raises(
        CohortError, match=r"Slurm does not take the job: .*([Ii]nvalid|not available)"
    ) as caught:
        place.submit(job, place.render(job), tmp_path)
    assert caught.value.exit_code == 7
    assert repair in caught.value.repair
    assert on_cluster.queue() == []


def test_a_host_that_is_no_host() -> None:
    with pytest.raises(EnvironmentTrouble):
        Slurm(Settings(host="-oProxyCommand=id"))


def test_times_and_nodes_as_sinfo_prints_them() -> None:
    assert [seconds(text) for text in ("infinite", "30:00", "1-00:00:00", "10:00:00")] == [
        0,
        1800,
        86400,
        36000,
    ]
    gpu, none, both = read_nodes(
        "gpu*|up|2-00:00:00|4|gpu:a100:4(S:0-1)|64+|512000\n"
        "cpu|inact|infinite|12|(null)|128|256000+\nmix|up|1:00:00|1|gpu:a100:2,gpu:t4:1|8|9\nnonsense\n"
    )
    assert (gpu.partition, gpu.usual, gpu.up, gpu.gpus, gpu.cpus) == ("gpu", True, True, {"a100": 4}, 64)
    assert (none.up, none.gpus, none.limit, none.memory) == (False, {}, 0, 256000)
    assert both.gpus == {"a100": 2, "t4": 1}
