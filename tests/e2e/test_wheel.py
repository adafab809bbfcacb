"""An installed kit works with no checkout: the wheel carries projects and meetings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The python of a fresh environment that has the wheel; torch and the rest come from this one, by path."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    wheel = next(folder.glob("*.whl"))
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.check_output([python, "-c", query], text=True).strip())
    zipfile.ZipFile(wheel).extractall(site)
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "borrowed.pth").write_text("\n".join(sorted(paths)))
    return python


def cohort(python: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("COHORT", "PYTHON"))
    }
    command = [python, "-m", "cohort_cli", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_wheel_checks_a_project_far_from_any_checkout(installed: Path, tmp_path: Path) -> None:
    where = "".join(cohort(installed, tmp_path, "doctor").stdout.split())  # a long path is broken into lines
    assert "_kit" in where
    assert str(ROOT) not in where
    assert cohort(installed, tmp_path, "init", "my-llm").returncode == 0
    workspace = tmp_path / "my-llm"
    assert cohort(installed, workspace, "start", "project2").returncode == 0
    checked = cohort(installed, workspace, "check", "project2", "mask", "--json")
    report = json.loads(checked.stdout)
    assert checked.returncode == 1
    assert set(report["summary"]) <= {"todo", "wait"}
    assert "hint" in cohort(installed, workspace, "hint", "project2", "mask").stdout


def test_the_wheel_carries_presets_and_data_of_project_3(installed: Path, tmp_path: Path) -> None:
    listed = cohort(installed, tmp_path, "plan", "project3")
    assert listed.returncode == 0
    assert {"smoke", "laptop", "spam-smoke"} <= {line.split()[0] for line in listed.stdout.splitlines()}
    query = (
        "from cohort_cli.catalog import find_project as f; data = f('project3').folder / 'data'; "
        "print(sorted(path.name for path in data.glob('*.jsonl')))"
    )
    found = subprocess.check_output([installed, "-c", query], text=True, cwd=tmp_path).strip()
    assert found == "['instructions.jsonl', 'messages.jsonl', 'preferences.jsonl']"


def test_the_reference_in_a_wheel_is_hidden_from_the_code_that_is_checked(
    installed: Path, tmp_path: Path
) -> None:
    cohort(installed, tmp_path, "init", "my-llm")
    workspace = tmp_path / "my-llm"
    cohort(installed, workspace, "start", "project2")
    query = (
        "from cohort_cli.catalog import find_project as f; print(f('project2').reference / 'attention.py')"
    )
    answer = subprocess.check_output([installed, "-c", query], text=True, cwd=tmp_path).strip()
    assert Path(answer).exists()
    cheat = f"exec(open({answer!r}).read())\n"
    (workspace / "project2_transformer_block" / "attention.py").write_text(cheat)
    report = json.loads(cohort(installed, workspace, "check", "project2", "attention", "--json").stdout)
    assert "ok" not in report["summary"]
    assert "error" in report["summary"]
