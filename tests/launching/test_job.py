"""A job is the same after it was written and read, and a bad one is refused with its repair."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cohort_cli.errors import BrokenManifest, UsageError
from cohort_cli.launching import job as jobs
from cohort_cli.launching import place
from cohort_cli.launching.job import Job, Limits, Resources
from cohort_cli.launching.settings import Slurm, read_settings

FULL = Job(
    "/scratch/ada/runs/x",
    "project3",
    "gpu1",
    Resources(2, 4, ("H100", "A100"), spot=True),
    Limits(3600, 120, max_usd_per_hour=9.5),
    (("A", "1"), ("B", "2")),
    ("HF_TOKEN",),
    ("module load cuda",),
    ("*.json", "checkpoints/*"),
    True,
    ("schedule.steps=5",),
)


@pytest.mark.parametrize("job", [FULL, Job("r", "project3", "smoke")])
def test_a_job_is_the_same_after_it_was_kept(job: Job, tmp_path: Path) -> None:
    jobs.keep(job, tmp_path)
    assert jobs.read(tmp_path) == job


def test_a_run_that_was_never_sent_anywhere_has_no_job(tmp_path: Path) -> None:
    assert jobs.read(tmp_path) is None
    assert place.read_handle(tmp_path) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"resources": Resources(nodes=0)}, "--nodes is 0"),
        ({"resources": Resources(gpus=-1)}, "--gpus is -1"),
        ({"limits": Limits(walltime=100, grace=120)}, "120 s of them are for the last checkpoint"),
        ({"secrets": ("HF TOKEN",)}, "no name for a variable"),
        ({"secrets": ("A",), "env": (("A", "hush"),)}, "A is a secret"),
    ],
)
def test_a_job_that_no_place_can_run_is_refused(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=says):
        jobs.keep(FULL._replace(**change), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"schema": "cohort.job/2"}', json.dumps({**jobs.to_dict(FULL), "nodes": 1})],
)
def test_a_broken_file_says_so(text: str, tmp_path: Path) -> None:
    for name in (jobs.FILE, place.FILE):
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(BrokenManifest, match=r"job\.json"):
        jobs.read(tmp_path)
    with pytest.raises(BrokenManifest, match=r"submitted\.json"):
        place.read_handle(tmp_path)


def test_a_handle_is_the_same_after_it_was_kept(tmp_path: Path) -> None:
    handle = place.Handle("slurm", "17", "login.example.edu", "2026-11-27T00:00:00Z")
    place.keep_handle(handle, tmp_path)
    assert place.read_handle(tmp_path) == handle


def test_places_are_read_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "places.toml"
    monkeypatch.setenv("COHORT_PLACES", str(path))
    path.write_text(
        'schema = "cohort.places/1"\n[slurm]\npartition = "gpu"\nsetup = ["module load cuda"]\n', "utf-8"
    )
    assert read_settings().slurm == Slurm(partition="gpu", setup=("module load cuda",))
    path.write_text('schema = "cohort.places/1"\n[slurm]\npartion = "gpu"\n', encoding="utf-8")
    with pytest.raises(BrokenManifest, match=r"places\.toml:3: unknown key 'partion'"):
        read_settings()
    path.write_text('schema = "cohort.places/1"\n[slrm]\n', encoding="utf-8")
    with pytest.raises(BrokenManifest, match="unknown place 'slrm'"):
        read_settings()
