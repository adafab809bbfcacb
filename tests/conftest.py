"""What all tests share: a tiny kit of their own, a workspace in it, and the command line in this process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_group import make_group
from fake_kit import make_kit
from hypothesis import settings
from support import REPO, Cohort, Ended

from cohort_cli import app, planting
from cohort_cli.catalog import Project, find_project
from cohort_cli.group import Group
from cohort_cli.workspace import Workspace

# By day the property tests try the same examples each time, so that a red run is about the change. By night, new ones.
settings.register_profile("day", derandomize=True)
settings.register_profile("night", print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "day"))

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
BROWSER_FLAGS = [
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(autouse=True)
def tiny_numbers_stay() -> Iterator[None]:
    """Training rounds the tiniest numbers to 0, in the whole process; the next test is to have them again."""
    yield
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_flush_denormal(False)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without any settings, a terminal of 80 columns, and a current folder outside every workspace."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name in (
        "COHORT_WORKSPACE",
        "COHORT_GROUP",
        "COHORT_NOW",
        "COHORT_KIT",
        "NO_COLOR",
        "FORCE_COLOR",
        "XDG_CONFIG_HOME",
    ):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": str(folder), "USERPROFILE": str(folder), "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def kit(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny kit, in place of the real one."""
    folder = make_kit(tmp_path / "kit")
    monkeypatch.setenv("COHORT_KIT", str(folder))
    return folder


@pytest.fixture
def adding(kit: Path) -> Project:
    return find_project("project9")


@pytest.fixture
def space(adding: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace in which project9 is started; it is the current folder."""
    made = planting.create(tmp_path / "my-llm").workspace
    planting.start(made, adding)
    monkeypatch.chdir(made.root)
    return made


@pytest.fixture
def group(home: Path, monkeypatch: pytest.MonkeyPatch) -> Group:
    """A group of eight in Berlin, six days before meeting 3. Its folder is the current one."""
    made = make_group(home / "our-group")
    monkeypatch.chdir(made.path.parent)
    monkeypatch.setenv("COHORT_NOW", "2027-02-24T12:00+01:00")
    return made


@pytest.fixture
def cohort(capfd: pytest.CaptureFixture[str]) -> Cohort:
    """Run a command line in this process, as `main` does."""

    def run(*words: str) -> Ended:
        capfd.readouterr()
        code = app.run(list(words))
        sys.stdout.flush()
        out, err = capfd.readouterr()
        return Ended(code, out, err)

    return run


@pytest.fixture
def cohort_process() -> Cohort:
    """Run a command line in a process of its own, as a member does."""

    def run(*words: str, cwd: Path | None = None, **environment: str) -> Ended:
        done = subprocess.run(
            [sys.executable, "-m", "cohort_cli", *words],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(REPO), "PYTHONUTF8": "1", **environment},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no Chromium on the PATH (looked for {', '.join(CHROMIUM)})")
    root = sys.platform != "win32" and os.geteuid() == 0
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=[*BROWSER_FLAGS, *(["--no-sandbox"] if root else [])]
        )
        yield browser
        browser.close()
