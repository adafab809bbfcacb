"""SkyPilot's own parser reads every task. It is large (a minute and a half to install), so it has an environment of
its own, kept in the cache folder, and these tests a mark:  pytest -m sky -n 0
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import golden
import pytest

VERSION = "0.14.1"
READ = """
import json, pathlib, sys
import sky
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.yaml"), key=lambda path: path.stem):
    task = sky.Task.from_yaml(str(path))
    kinds = [str(kind) for kind in task.resources]
    print(json.dumps([path.stem, task.num_nodes, kinds, sorted(task.storage_mounts or {})]))
"""
pytestmark = pytest.mark.sky


@pytest.fixture(scope="module")
def python() -> Path:
    """Python of an environment that has SkyPilot. COHORT_SKY names one that is there already."""
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "cohort", f"skypilot-{VERSION}")
    home = Path(os.environ.get("COHORT_SKY", home))
    path = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not (home / "ready").is_file():
        commands = [
            [sys.executable, "-m", "venv", str(home)],
            [str(path), "-m", "pip", "install", "--quiet", f"skypilot=={VERSION}"],
        ]
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"SkyPilot {VERSION} cannot be installed here: {done.stderr.strip()[-200:]}")
        (home / "ready").touch()
    return path


def read(python: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SKYPILOT_DISABLE_USAGE_COLLECTION": "1", "HOME": str(folder)}
    return subprocess.run(
        [str(python), "-c", READ, str(folder)], capture_output=True, text=True, env=environment, check=False
    )


def test_every_task_is_one(python: Path, tmp_path: Path) -> None:
    import json

    for name, job in golden.all_jobs():
        text = golden.PLACES["sky"].render(job).files["sky.yaml"]
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    done = read(python, tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert [line[0] for line in lines] == sorted(name for name, _ in golden.all_jobs())
    assert all(nodes == 1 and mounts == ["~/cohort/bucket"] for _, nodes, _, mounts in lines)
    [kinds] = [kinds for name, _, kinds, _ in lines if name == "project3-gpu1"]
    assert "H200" in kinds[0]
    assert "$10" in kinds[0]


def test_the_parser_would_notice(python: Path, tmp_path: Path) -> None:
    text = (golden.GOLDEN / "sky" / "project3-smoke.txt").read_text(encoding="utf-8")
    text = text.partition("\n")[2].partition("--- .skyignore")[0]
    (tmp_path / "bad.yaml").write_text(text.replace("num_nodes:", "num_node:"), encoding="utf-8")
    done = read(python, tmp_path)
    assert done.returncode != 0
    assert "num_node" in done.stderr
