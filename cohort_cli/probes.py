"""What `cohort doctor` looks at. Each probe really tries the thing, and says how to repair it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MIN_PYTHON = (3, 11)
MIN_DISK_GIB = 3
MIN_MEMORY_GIB = 4
TORCH_SECONDS = 180
PACKAGES = ("numpy", "psutil", "pytest", "rich", "watchfiles")
PIP = f'"{sys.executable}" -m pip install' if " " in sys.executable else f"{sys.executable} -m pip install"

# Runs in a process of its own, because a broken torch may end the process. Prints one JSON object.
TORCH = """
import json, time
start = time.perf_counter()
import torch
imported = time.perf_counter() - start
a = torch.eye(512) * 2
start = time.perf_counter()
right = bool((a @ a == torch.eye(512) * 4).all())
found = {"version": torch.__version__, "import": imported, "matmul": time.perf_counter() - start, "right": right}
found["cuda"] = torch.version.cuda
found["device"], found["why"] = "cpu", ""
if torch.cuda.is_available():
    found["device"] = "cuda: " + torch.cuda.get_device_name(0)
elif torch.backends.mps.is_available():
    found["device"] = "mps"
elif torch.version.cuda:
    try:
        torch.cuda.init()
    except Exception as error:
        found["why"] = str(error).splitlines()[0]
print(json.dumps(found))
"""


@dataclass
class Probe:
    """One finding: `ok`, `warn` (works, with a limit) or `fail` (the kit cannot work)."""

    name: str
    state: str
    text: str
    repair: str = ""


def python() -> list[Probe]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < MIN_PYTHON:
        return [Probe("python", "fail", version, "install Python 3.11 or later")]
    if sys.prefix == sys.base_prefix:
        text = f"{version}, outside a virtual environment"
        return [Probe("python", "warn", text, f"{sys.executable} -m venv .venv")]
    return [Probe("python", "ok", f"{version} in {sys.prefix}")]


def torch() -> list[Probe]:
    """torch's import and a product of two matrices, and which device it would train on."""
    try:
        run = subprocess.run(
            [sys.executable, "-c", TORCH],
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=TORCH_SECONDS,
            check=False,
        )
        found = json.loads(run.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        return [Probe("torch", "fail", f"its import did not end within {TORCH_SECONDS} s", f"{PIP} torch")]
    except (ValueError, IndexError):
        last = (run.stderr.strip().splitlines() or [f"it ended with exit code {run.returncode}"])[-1]
        return [Probe("torch", "fail", last, f"{PIP} torch")]
    times = f"imported in {found['import']:.1f} s, a 512 x 512 product in {found['matmul'] * 1000:.0f} ms"
    if not found["right"]:
        return [
            Probe("torch", "fail", f"{found['version']} multiplies wrongly", f"{PIP} --force-reinstall torch")
        ]
    return [Probe("torch", "ok", f"{found['version']}, {times}"), _device(found)]


def _device(found: dict[str, str]) -> Probe:
    """Does the torch that is installed fit the GPU that is here?"""
    has_nvidia = shutil.which("nvidia-smi") is not None
    if found["device"] == "cpu" and has_nvidia and not found["cuda"]:
        text = "cpu: there is an NVIDIA driver here, but this torch is built without CUDA"
        return Probe(
            "device", "warn", text, "https://pytorch.org/get-started/locally/ names the build with CUDA"
        )
    if found["device"] == "cpu" and has_nvidia and found["cuda"]:
        text = f"cpu: torch is built for CUDA {found['cuda']}, but the driver does not answer it ({found['why']})"
        return Probe(
            "device", "warn", text, "update the NVIDIA driver, or install a torch for the CUDA you have"
        )
    return Probe("device", "ok", f"{found['device']} (checks always run on the CPU)")


def packages() -> list[Probe]:
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        return [Probe("packages", "fail", f"missing: {', '.join(missing)}", f"{PIP} {' '.join(missing)}")]
    return [Probe("packages", "ok", ", ".join(PACKAGES))]


def git() -> list[Probe]:
    if shutil.which("git") is None:
        return [
            Probe(
                "git", "warn", "not found; a workspace then has no history", "https://git-scm.com/downloads"
            )
        ]
    for key, example in (("user.name", "Your Name"), ("user.email", "you@example.org")):
        try:
            command = ["git", "config", key]
            run = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return [Probe("git", "warn", "it does not answer", "git --version")]
        if not run.stdout.strip():
            text = f"it does not know your {key.partition('.')[2]}, so nothing can be committed"
            return [Probe("git", "warn", text, f'git config --global {key} "{example}"')]
    return [Probe("git", "ok", "it knows your name")]


def disk() -> list[Probe]:
    """Room, and a file really written, where the workspace is and where temporary files go."""
    probes = []
    for name, folder in (("disk", _workspace() or Path.cwd()), ("temp", Path(tempfile.gettempdir()))):
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"cohort")
            free = shutil.disk_usage(folder).free / 2**30
        except OSError as trouble:
            text = f"{folder} cannot be written: {trouble.strerror}"
            probes.append(Probe(name, "fail", text, f"make {folder} writable, or work elsewhere"))
            continue
        text = f"{folder} can be written, {free:.1f} GiB free"
        repair = f"make room: {MIN_DISK_GIB} GiB is comfortable"
        probes.append(Probe(name, "ok", text) if free >= MIN_DISK_GIB else Probe(name, "warn", text, repair))
    return probes


def memory() -> list[Probe]:
    try:
        import psutil
    except ImportError:
        return []  # said by `packages`
    found = psutil.virtual_memory()
    text = f"{found.total / 2**30:.1f} GiB, {found.available / 2**30:.1f} GiB of it free"
    if found.available / 2**30 < MIN_MEMORY_GIB:
        return [Probe("memory", "warn", text, "close other programs while checks run")]
    return [Probe("memory", "ok", text)]


def isolation() -> list[Probe]:
    from cohort_cli.checking import sandbox

    level = sandbox.best_level()
    warm = (
        "fork"
        if hasattr(os, "fork") and sys.platform.startswith("linux")
        else "no fork, so checks are slower"
    )
    if level.startswith("landlock"):
        return [Probe("isolation", "ok", f"{level}, {warm}")]
    text = f"{level}, {warm}: check only code that you trust"
    return [Probe("isolation", "warn", text, "Linux 5.13 or later locks the code down that is checked")]


def terminal() -> list[Probe]:
    encoding = (sys.stdout.encoding or "unknown").lower()
    columns = shutil.get_terminal_size((80, 24)).columns
    if encoding.replace("-", "") != "utf8":
        return [
            Probe("terminal", "warn", f"writes {encoding}, not UTF-8", "set PYTHONUTF8=1 in your environment")
        ]
    if columns < 80:
        return [Probe("terminal", "warn", f"{columns} columns", "make the window 80 columns wide")]
    return [Probe("terminal", "ok", f"UTF-8, {columns} columns")]


def kit() -> list[Probe]:
    from cohort_cli import catalog
    from cohort_cli.errors import CohortError

    try:
        found = catalog.projects()
        checks = sum(len(project.checks) for project in found)
        bare = [project.id for project in found if not any(project.scaffold.glob("*.py"))]
    except CohortError as trouble:
        return [Probe("kit", "fail", trouble.message, trouble.repair or "install the kit again")]
    if bare:
        return [Probe("kit", "fail", f"without a scaffold: {', '.join(bare)}", "install the kit again")]
    plural = "s" * (len(found) != 1)
    return [Probe("kit", "ok", f"{len(found)} project{plural} with {checks} checks in {catalog.kit_root()}")]


def corpus() -> list[Probe]:
    if importlib.util.find_spec("pydoc_data") is None:
        text = "this Python lacks pydoc_data.topics, the text that the demo trains on"
        return [Probe("corpus", "warn", text, "install Python from python.org")]
    return [Probe("corpus", "ok", "pydoc_data.topics")]


def workspace() -> list[Probe]:
    from cohort_cli.errors import CohortError, NoWorkspace
    from cohort_cli.workspace import find_workspace

    try:
        return [Probe("workspace", "ok", str(find_workspace().root))]
    except NoWorkspace as trouble:
        return [Probe("workspace", "warn", trouble.message.rstrip("."), trouble.repair)]
    except CohortError as trouble:
        return [Probe("workspace", "fail", trouble.message, trouble.repair)]


def _workspace() -> Path | None:
    from cohort_cli.errors import CohortError
    from cohort_cli.workspace import find_workspace

    try:
        return find_workspace().root
    except CohortError:
        return None


ALL: tuple[Callable[[], list[Probe]], ...] = (
    python, torch, packages, git, disk, memory, isolation, terminal, kit, corpus, workspace,
)  # fmt: skip
