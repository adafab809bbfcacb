"""`cohort doctor`: each probe tries the thing, and each trouble comes with its repair."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import Cohort

import cohort_cli
from cohort_cli import hello, probes
from cohort_cli.probes import Probe
from cohort_cli.workspace import Workspace


def states(found: list[Probe]) -> list[str]:
    return [probe.state for probe in found]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without torch's slow import."""
    monkeypatch.setattr(probes, "ALL", tuple(probe for probe in probes.ALL if probe is not probes.torch))


def test_this_machine_is_ready(space: Workspace, cohort: Cohort) -> None:
    ended = cohort("doctor")
    assert ended.code == 0
    names = [line.split()[1] for line in ended.out.splitlines() if line.startswith(("ok ", "warn "))]
    assert names == ["python", "torch", "device", "packages", "git", "disk", "temp", "memory", "isolation",
                     "terminal", "kit", "corpus", "workspace"]  # fmt: skip
    assert ended.out.splitlines()[-1] == "next: cohort"
    assert max(map(len, ended.out.splitlines())) <= 80


def test_hello_learns_the_line_and_says_it_in_one_line(home: Path, cohort: Cohort) -> None:
    ended = cohort("doctor", "--hello")
    assert (ended.code, ended.err) == (0, "")
    said, following = ended.out.splitlines()
    assert said.startswith(
        f"hello from cohort {cohort_cli.__version__}: learned y = 3.00 x + 2.00 in 200 steps"
    )
    assert "torch" in said
    assert str(home) not in said
    assert following.endswith("cohort self-check")


def test_hello_as_json_has_what_the_line_says(home: Path, cohort: Cohort) -> None:
    found = json.loads(cohort("doctor", "--hello", "--json").out)
    assert found["schema"] == "cohort.hello/1"
    assert found["first_loss"] == pytest.approx(4 + 9 * sum((2 * n / 31 - 1) ** 2 for n in range(32)) / 32)
    assert 0 <= found["loss"] < 1e-3
    assert (found["w"], found["b"]) == pytest.approx((3, 2), abs=0.05)


def test_a_machine_that_has_not_learned_says_so_and_ends_with_4(
    cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hello, "hello", functools.partial(hello.hello, 5))
    ended = cohort("doctor", "--hello")
    assert (ended.code, ended.out) == (4, "")
    assert "After 5 steps the loss is" in ended.err


def test_hello_without_torch_names_the_reason(cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hello, "SCRIPT", "import no_such_torch")
    ended = cohort("doctor", "--hello")
    assert (ended.code, ended.out) == (4, "")
    assert "No module named 'no_such_torch'" in ended.err
    assert ended.err.rstrip().endswith("cohort doctor")


def test_json_is_one_object(quick: None, space: Workspace, cohort: Cohort) -> None:
    data = json.loads(cohort("doctor", "--json").out)
    assert (data["schema"], data["ok"]) == ("cohort.doctor/1", True)
    assert {"name", "state", "text", "repair"} == set(data["probes"][0])


def test_something_missing_ends_with_4_and_a_repair(
    quick: None, space: Workspace, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "PACKAGES", ("pytest", "surely_not_here"))
    ended = cohort("doctor")
    assert ended.code == 4
    assert "fail  packages   missing: surely_not_here\n" in ended.out
    assert "repair: " in ended.out
    assert ended.out.splitlines()[-1] == "next: repair what failed, then: cohort doctor"
    assert cohort("doctor", "--json").code == 4


@pytest.mark.parametrize(
    ("output", "code", "state", "says"),
    [
        ("", 1, "fail", "ModuleNotFoundError: No module named 'torch'"),
        ("", -11, "fail", "exit code -11"),
        ("not json", 0, "fail", "ModuleNotFoundError"),
    ],
)
def test_a_torch_that_does_not_work(
    monkeypatch: pytest.MonkeyPatch, output: str, code: int, state: str, says: str
) -> None:
    error = "" if code == -11 else "Traceback\nModuleNotFoundError: No module named 'torch'\n"
    done = subprocess.CompletedProcess([], code, output, error)
    monkeypatch.setattr(subprocess, "run", lambda *words, **options: done)
    (probe,) = probes.torch()
    assert (probe.state, says in probe.text) == (state, True)
    assert "pip install torch" in probe.repair


def test_a_torch_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(*words: object, **options: object) -> None:
        raise subprocess.TimeoutExpired("python", 180)

    monkeypatch.setattr(subprocess, "run", wait)
    assert states(probes.torch()) == ["fail"]


@pytest.mark.parametrize(
    ("found", "driver", "state", "says"),
    [
        ({"device": "cpu", "cuda": None}, False, "ok", "cpu"),
        ({"device": "cpu", "cuda": "12.8"}, False, "ok", "cpu"),
        ({"device": "cpu", "cuda": "12.8"}, True, "warn", "the driver does not answer it (too old)"),
        ({"device": "cpu", "cuda": None}, True, "warn", "built without CUDA"),
        ({"device": "cuda: A100", "cuda": "12.8"}, True, "ok", "cuda: A100"),
        ({"device": "mps", "cuda": None}, False, "ok", "mps"),
    ],
)
def test_a_driver_and_a_torch_that_do_not_fit(
    monkeypatch: pytest.MonkeyPatch, found: dict[str, Any], driver: bool, state: str, says: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/nvidia-smi" if driver else None)
    values = {"version": "2.13.0", "import": 1.0, "matmul": 0.01, "right": True, "why": "too old", **found}
    done = subprocess.CompletedProcess([], 0, json.dumps(values), "")
    monkeypatch.setattr(subprocess, "run", lambda *words, **options: done)
    device = probes.torch()[1]
    assert (device.state, says in device.text) == (state, True)
    assert bool(device.repair) is (state == "warn")


def test_git(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (probe,) = probes.git()
    assert (probe.state, probe.repair) == ("warn", 'git config --global user.name "Your Name"')
    (home / ".gitconfig").write_text("[user]\nname = Ada\nemail = ada@example.org\n", encoding="utf-8")
    assert states(probes.git()) == ["ok"]
    monkeypatch.setenv("PATH", str(home))
    assert states(probes.git()) == ["warn"]


def test_a_disk_that_is_full_or_cannot_be_written(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=2**30)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    assert states(probes.disk()) == ["warn", "warn"]

    def refuse(**options: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    assert states(probes.disk()) == ["fail", "fail"]


def test_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    little = psutil.virtual_memory()._replace(available=2**30)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: little)
    assert states(probes.memory()) == ["warn"]


@pytest.mark.parametrize(
    ("level", "state"), [("landlock-7+seccomp", "ok"), ("rlimits", "warn"), ("none", "warn")]
)
def test_isolation(monkeypatch: pytest.MonkeyPatch, level: str, state: str) -> None:
    monkeypatch.setattr("cohort_cli.checking.sandbox.best_level", lambda: level)
    (probe,) = probes.isolation()
    assert (probe.state, probe.text.startswith(level)) == (state, True)


def test_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert states(probes.terminal()) == ["warn"]


def test_a_broken_kit(kit: Path) -> None:
    assert states(probes.kit()) == ["ok"]
    folder = kit / "projects" / "project9_adding"
    shutil.rmtree(folder / "scaffold")
    assert states(probes.kit()) == ["fail"]
    (folder / "project.toml").write_text("x = 1\n", encoding="utf-8")
    assert states(probes.kit()) == ["fail"]
    shutil.rmtree(folder)
    assert states(probes.kit()) == ["fail"]


def test_the_workspace(space: Workspace, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    assert states(probes.workspace()) == ["ok"]
    (space.root / "cohort.toml").write_text("", encoding="utf-8")
    assert states(probes.workspace()) == ["fail"]
    monkeypatch.chdir(home)
    assert states(probes.workspace()) == ["warn"]


def test_outside_a_virtual_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    (probe,) = probes.python()
    assert (probe.state, "-m venv .venv" in probe.repair) == ("warn", True)
