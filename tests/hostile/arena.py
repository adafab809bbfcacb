"""Where hostile submissions are let loose: a judge with small limits, a file that must survive, and open ears.

A submission is a file of `submissions/`. It is appended to the reference's attention.py, so that everything that it does
not replace works. The constants below stand before it: an attacker would find these places anyway.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from cohort_cli.catalog import Project, find_project
from cohort_cli.checking.client import Judge
from cohort_cli.checking.results import CheckResult, RunReport
from cohort_cli.checking.sandbox import Limits

SUBMISSIONS = Path(__file__).parent / "submissions"
LIMITS = Limits(cpu_seconds=1.0, memory_mib=512, scratch_mib=8, output_mib=1, stall_factor=4.0)
OTHER_CHECK = "gelu-tanh"  # of the step `layers`: none of the submissions touches it
SECRET_TEXT = "a secret of the user's"
TOKEN = "a token in the environment"
SETTLE_SECONDS = 10.0

EXTRA_FILES = {
    "workspace_conftest": {
        "conftest.py": "import pytest\n@pytest.hookimpl(wrapper=True)\ndef pytest_runtest_makereport(item, call):\n"
        "    report = yield\n    report.outcome = 'passed'\n    call.excinfo = None\n    return report\n",
    },
    "workspace_pytest_ini": {
        "pytest.ini": "[pytest]\naddopts = --collect-only -p no:python\n",
        "setup.cfg": "[tool:pytest]\naddopts = --deselect=.\n",
        "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--co'\n",
        "tox.ini": "[pytest]\naddopts = --co\n",
    },
    "workspace_sitecustomize": {
        "sitecustomize.py": "import os; os._exit(0)\n",
        "usercustomize.py": "import os; os._exit(0)\n",
        "evil.pth": "import os; os._exit(0)\n",
        "__init__.py": "import os; os._exit(0)\n",
    },
    "workspace_unparseable": {"unparseable.py": "if False:\n    x = " + "-" * 1_000_000 + "1\n"},
    "workspace_huge_source": {"lines.py": "x = 1\n" * 400_000},
    "parameters_huge": {
        "layers.py": "\n\nclass LayerNorm(nn.Module):\n    def __init__(self, *args, **kwargs):\n"
        "        super().__init__()\n"
        "        self.weight = nn.Parameter(torch.ones(100_000_000, dtype=torch.float16))\n",
    },
    "workspace_shadows": {
        name: "import os; os._exit(0)\n"
        for name in ("torch.py", "pytest.py", "json.py", "psutil.py", "struct.py", "cohort_cli/__init__.py")
    },
}


@dataclass
class Outcome:
    report: RunReport
    hostile: CheckResult
    other: CheckResult
    seconds: float

    @property
    def text(self) -> str:
        """Everything that the run says."""
        return json.dumps(self.report.to_json())


@dataclass
class Arena:
    """One judge of one level, and what must not change around it."""

    level: str
    folder: Path
    judge: Judge
    project: Project
    tcp: socket.socket
    udp: socket.socket
    number: int = 0
    before: dict[str, str] = field(default_factory=dict)

    @property
    def canary(self) -> Path:
        return self.home / "canary.txt"

    @property
    def secret(self) -> Path:
        return self.home / "secret.txt"

    @property
    def home(self) -> Path:
        """HOME of the judge. On systems without Landlock, files outside it that anybody may read can be read."""
        return self.folder / "home"

    @property
    def temporary(self) -> Path:
        """TMPDIR of the judge: the scratch folders of its players lie in here."""
        return self.folder / "tmp"

    def attack(self, name: str, check: str) -> Outcome:
        """Check the reference with one submission appended, and then an honest check on the same folder."""
        work = self._workspace(name)
        self.before = self._state(work)
        start = time.monotonic()
        report = self.judge.check(self.project, work, [check, OTHER_CHECK])
        seconds = time.monotonic() - start
        hostile, other = (next(r for r in report.checks if r.id == id) for id in (check, OTHER_CHECK))
        assert self._state(work) == self.before, "files outside scratch have changed"
        return Outcome(report, hostile, other, seconds)

    def strays(self) -> list[psutil.Process]:
        """Processes that a player left behind. The judge may keep its fork server and one player made ahead."""
        end = time.monotonic() + SETTLE_SECONDS
        while True:
            family = [p for p in psutil.Process(self.judge.pid).children(recursive=True) if _alive(p)]
            known = {process.pid for process in family}
            outside = [process for process in _processes_in(self.temporary) if process.pid not in known]
            if (len(family) <= 2 and not outside) or time.monotonic() > end:
                return family[2:] + outside
            time.sleep(0.05)

    def scratch_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.temporary.rglob("*") if path.is_file())

    def heard(self) -> bool:
        """Whether anything has reached the sockets that listen here."""
        for listener, listen in ((self.tcp, self.tcp.accept), (self.udp, lambda: self.udp.recv(1))):
            listener.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                listen()
                return True
        return False

    def _workspace(self, name: str) -> Path:
        self.number += 1
        work = self.folder / f"work-{self.number}"
        shutil.copytree(self.project.reference, work, ignore=shutil.ignore_patterns("__pycache__"))
        places = {
            "CANARY": str(self.canary),
            "SECRET": str(self.secret),
            "REFERENCE": str(self.project.reference),
            "PROJECT": str(self.project.folder),
            "WORK": str(work),
            "PORT": self.tcp.getsockname()[1],
        }
        constants = "".join(f"{key} = {value!r}\n" for key, value in places.items())
        hostile = (SUBMISSIONS / f"{name}.py").read_text()
        with (work / "attention.py").open("a") as file:
            file.write(f"\n\n{constants}\n{hostile}")
        for path, text in EXTRA_FILES.get(name, {}).items():
            (work / path).parent.mkdir(exist_ok=True)
            with (work / path).open("a") as file:
                file.write(text)
        if name == "reference_by_symlink":
            (work / "answers").symlink_to(self.project.reference)
        if name == "workspace_pipe":
            os.mkfifo(work / "notes.py")
        if name == "workspace_endless_link":
            (work / "zero.py").symlink_to("/dev/zero")
            (work / "self.py").symlink_to("self.py")
        return work

    def _state(self, work: Path) -> dict[str, str]:
        """Contents, mode and time of every file that no submission may change."""
        state = {}
        for folder in (work, self.home, self.project.reference, self.project.acceptance):
            for path in sorted(folder.rglob("*")):
                if path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts:
                    facts = path.stat()
                    content = hashlib.sha256(path.read_bytes()).hexdigest()
                    state[str(path)] = f"{content} {facts.st_mode} {facts.st_mtime_ns} {facts.st_uid}"
        return state


@contextlib.contextmanager
def arena(level: str, folder: Path) -> Iterator[Arena]:
    """An arena whose judge is started on first use."""
    (folder / "home").mkdir()
    (folder / "tmp").mkdir()
    tcp = socket.create_server(("127.0.0.1", 0))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", tcp.getsockname()[1]))
    kept = {name: os.environ.get(name) for name in ("HOME", "TMPDIR", "COHORT_TEST_TOKEN")}
    os.environ.update(HOME=str(folder / "home"), TMPDIR=str(folder / "tmp"), COHORT_TEST_TOKEN=TOKEN)
    try:
        with Judge(None if level == "landlock" else level, LIMITS) as judge, tcp, udp:
            judge.start()
            place = Arena(level, folder, judge, find_project("project2"), tcp, udp)
            place.canary.write_text("untouched\n")
            place.secret.write_text(SECRET_TEXT)
            yield place
    finally:
        for name, value in kept.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def _processes_in(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if _alive(process) and (
                process.cwd().startswith(str(folder)) or process.cmdline() == ["/bin/sleep", "20"]
            ):
                found.append(process)
    return found


def _alive(process: psutil.Process) -> bool:
    """A zombie does nothing any more; the fork server buries it when it is next asked for something."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
