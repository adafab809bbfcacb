"""The tests on a real Slurm: a cluster for each process of the tests, and runs that a stub trains there."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))  # for the stubs, wherever pytest is started

from cluster import Cluster, NotHere
from on_slurm import Send, Sent
from support import REPO

from cohort_cli.catalog import find_project
from cohort_cli.launching import job as jobs
from cohort_cli.launching.job import Job, Limits, Resources
from cohort_cli.launching.settings import Slurm as Settings
from cohort_cli.launching.slurm import Slurm
from cohort_cli.training.config import load_preset
from cohort_cli.training.presets import preset_path
from cohort_cli.training.runs import RunFolder

TEN_MINUTES = Limits(walltime=600, grace=30)
LAUNCHING = Path(__file__).parent.parent

# In place of a member's Python: torchrun and the trainer are stubs without torch, everything else is the real thing.
PYTHON = """\
#!/bin/sh
export PYTHONPATH={path}
case "$1 $2" in
"-m torch.distributed.run") shift 2; exec {python} {stubs}/stub_torchrun.py "$@" ;;
"-m cohort_cli.training") shift 2; exec {python} {stubs}/stub_trainer.py "$@" ;;
esac
exec {python} "$@"
"""


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Two nodes, up in seconds. Each process of the tests has its own, so that none waits for another."""
    found = Cluster(Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp" if Path("/tmp").is_dir() else None)))
    try:
        found.start()
        yield found
    except NotHere as reason:
        pytest.skip(f"no Slurm here: {reason}")
    finally:
        found.stop()


@pytest.fixture(scope="module")
def on_cluster(cluster: Cluster) -> Iterator[Cluster]:
    """The commands of this process are that cluster's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(cluster.conf))
        patch.setenv("PATH", cluster.env["PATH"])
        yield cluster


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("bin") / "python"
    words = {name: shlex.quote(str(value)) for name, value in
             {"python": sys.executable, "stubs": LAUNCHING, "path": REPO}.items()}  # fmt: skip
    path.write_text(PYTHON.format(**words))
    path.chmod(0o755)
    return str(path)


@pytest.fixture(scope="module")
def send(on_cluster: Cluster, python: str, tmp_path_factory: pytest.TempPathFactory) -> Send:
    """Send a run of a few steps, as `cohort train` does."""
    runs = tmp_path_factory.mktemp("runs")

    def sent(
        name: str,
        fault: str = "",
        *,
        steps: int = 40,
        nodes: int = 2,
        processes: int = 1,
        gpus: int = 0,
        home: Path | None = None,
        limits: Limits = TEN_MINUTES,
        settings: Settings | None = None,
        **env: str,
    ) -> Sent:
        place = Slurm((settings or Settings())._replace(python=python), patience=30)
        config = load_preset(
            preset_path(find_project("project3"), "smoke"),
            [f"schedule.steps={steps}", "schedule.warmup_steps=1", "run.checkpoint_every=10"],
        )
        folder = RunFolder.create((home or runs) / name, config, project="project3")
        variables = tuple(sorted({"STUB_FAULT": fault, **env}.items()))
        job = Job(
            str(folder.root),
            "project3",
            "smoke",
            Resources(nodes, gpus, processes=processes),
            limits,
            variables,
        )
        jobs.keep(job, folder.root)
        return folder, place.submit(job, place.render(job), folder.root), place

    return sent


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3.5 MB."""
    place = tmp_path / "small"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=3584k", "none", str(place)]
    if not shutil.which("mount") or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be mounted here: that needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)
