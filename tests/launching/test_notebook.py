"""A notebook for every preset: it is one, it runs on a CPU, and what it packed comes back."""

from __future__ import annotations

import json
import os
import sys
import zipfile
from pathlib import Path

import golden
import pytest
from rented import QUICK, new_run
from support import REPO

from cohort_cli.errors import CohortError, UsageError
from cohort_cli.launching.job import Job, Resources
from cohort_cli.launching.notebook import Notebook, unpack
from cohort_cli.launching.place import Handle
from cohort_cli.launching.settings import Notebook as Settings
from cohort_cli.training.runs import RunFolder

PLACE = Notebook(Settings(kit="cohort-kit==0.1.0"))
JOB = Job("/home/ada/runs/first", "project3", "smoke")


def test_each_is_a_notebook_and_its_cells_are_python() -> None:
    nbformat = pytest.importorskip("nbformat")
    for _, job in golden.all_jobs():
        [(name, text)] = golden.PLACES["notebook"].render(job).files.items()
        assert name.endswith(".ipynb")
        book = nbformat.reads(text, as_version=4)
        nbformat.validate(book)
        for cell in book.cells:
            if cell.cell_type == "code":
                compile(cell.source, name, "exec")


def test_it_carries_the_run_and_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "hush-hush-hush")
    run = new_run(tmp_path / "first").root
    job = JOB._replace(secrets=("A_SECRET",))
    rendered = PLACE.render(job)
    handle = PLACE.submit(job, rendered, run)
    text = (run / handle.id).read_text(encoding="utf-8")
    assert len(text) > len(rendered.files[handle.id]) + 500
    assert "hush" not in text
    assert "A_SECRET" in text
    json.loads(text)


@pytest.mark.skipif(sys.platform == "win32", reason="a kernel on Windows needs another event loop")
def test_it_trains_packs_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way with two steps on this CPU: only the installation of the kit is left out."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    run = new_run(tmp_path / "runs" / "first", *QUICK)
    handle = PLACE.submit(JOB, PLACE.render(JOB), run.root)
    there = tmp_path / "there"
    there.mkdir()
    for name, value in {"COHORT_KIT_IS_HERE": "1", "PYTHONPATH": str(REPO), "COHORT_KIT": str(REPO)}.items():
        monkeypatch.setenv(name, value)
    book = nbformat.reads((run.root / handle.id).read_text(encoding="utf-8"), as_version=4)
    nbclient.NotebookClient(book, timeout=300, resources={"metadata": {"path": str(there)}}).execute()
    monkeypatch.chdir(there)
    found = PLACE.fetch(handle, JOB, run.root)
    assert "checkpoints" in found
    status = RunFolder.open(run.root).read_status()
    assert (status.state, status.step) == ("done", 2)


def pack(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return path


@pytest.mark.parametrize(
    "name", ["first/../../evil", "/etc/evil", "second/a", "first/C:evil", "first/a\\b", "first"]
)
def test_a_file_that_reaches_out_of_the_run_is_refused(name: str, tmp_path: Path) -> None:
    into = tmp_path / "runs" / "first"
    with pytest.raises(UsageError, match="no part of first"):
        unpack(pack(tmp_path / "first.zip", "first/fine", name), "first", into)
    assert not into.exists()


def test_where_it_was_sent_stays_known(tmp_path: Path) -> None:
    into = tmp_path / "first"
    unpack(
        pack(tmp_path / "first.zip", "first/job.json", "first/submitted.json", "first/status.json"),
        "first",
        into,
    )
    assert os.listdir(into) == ["status.json"]


def test_what_cannot_be_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    with pytest.raises(UsageError, match="one machine"):
        PLACE.render(JOB._replace(resources=Resources(nodes=2)))
    with pytest.raises(UsageError, match=r"no first\.zip"):
        PLACE.fetch(Handle("notebook", "first.ipynb"), JOB, tmp_path)
    (tmp_path / "first.zip").write_bytes(b"PK no")
    with pytest.raises(UsageError, match="no whole zip"):
        PLACE.fetch(Handle("notebook", "first.ipynb"), JOB, tmp_path)
    with pytest.raises(UsageError, match="stop button"):
        PLACE.cancel(Handle("notebook", "first.ipynb"), tmp_path)
    with pytest.raises(CohortError, match="stands in the notebook"):
        next(PLACE.logs(Handle("notebook", "first.ipynb"), tmp_path, False))
    assert [problem.what for problem in Notebook(Settings()).check(None)] == [
        "Nothing says how the kit is installed on that machine."
    ]
