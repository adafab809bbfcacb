"""What a check needs works inside the sandbox, at every level."""

from __future__ import annotations

import json
import os
import tempfile
import textwrap
from pathlib import Path

import pytest
from sandbox_cell import LANDLOCK, NOBODY, RLIMITS

NEEDED = {
    "multiply, on two threads": """
        import torch
        torch.set_num_threads(2)
        a = torch.randn(400, 400)
        answer = list((a @ a).shape) == [400, 400]""",
    "train": """
        import torch
        torch.manual_seed(0)
        layer = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Dropout(0.5), torch.nn.Linear(4, 1))
        optimizer = torch.optim.AdamW(layer.parameters())
        layer(torch.randn(2, 3)).sum().backward()
        optimizer.step()
        g = torch.Generator().manual_seed(1)
        answer = torch.multinomial(torch.ones(5), 2, generator=g).numel() == 2""",
    "threads": """
        import threading
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(4) as pool:
            answer = sum(pool.map(abs, range(-5, 0))) == 15""",
    "modules of the standard library that are imported late": """
        import colorsys, decimal, fractions, hashlib, plistlib, sqlite3, statistics, wave, zoneinfo
        answer = len(hashlib.sha256(b"x").hexdigest()) == 64 and str(decimal.Decimal(1)) == "1" """,
    "libraries that are imported late": """
        import numpy.polynomial, torch.utils.benchmark
        answer = True""",
    "write and read back in scratch": """
        import os, pathlib, shutil, sqlite3, tempfile
        pathlib.Path("a.txt").write_text("mine")
        shutil.copy("a.txt", "b.txt")
        shutil.copy2("a.txt", "d.txt")
        os.rename("b.txt", "c.txt")
        os.makedirs("deep/er")
        pathlib.Path("deep/er/x").write_text("x")
        shutil.rmtree("deep")
        with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile("w") as file:
            file.write("x")
            assert folder.startswith(scratch) and file.name.startswith(scratch)
        sqlite3.connect(":memory:").execute("create table t(x)")
        answer = sorted(os.listdir()) == ["a.txt", "c.txt", "d.txt"]""",
    "save and load tensors": """
        import torch, numpy
        torch.save({"w": torch.ones(3)}, "w.pt")
        numpy.save("w.npy", numpy.ones(3))
        answer = torch.load("w.pt")["w"].sum() == 3 and numpy.load("w.npy").sum() == 3
        answer = bool(answer)""",
    "read and list the member's own files": """
        import os, pathlib, sys
        sys.path.insert(0, work)
        import attention
        answer = os.listdir(work) == ["attention.py"] and pathlib.Path(work, "attention.py").read_text() != ""
        """,
    "a file that does not exist is simply not found": """
        try:
            open(work + "/nothing.txt")
        except FileNotFoundError:
            answer = True""",
    "print, and a warning with its source line": """
        import linecache, warnings
        warnings.warn("about something")
        print("hello")
        answer = linecache.getline(linecache.__file__, 1) != "" """,
    "a signal to itself": """
        import os, signal
        got = []
        signal.signal(signal.SIGUSR1, lambda *a: got.append(1))
        os.kill(os.getpid(), signal.SIGUSR1)
        signal.raise_signal(signal.SIGUSR1)
        answer = len(got) == 2""",
    "home, temporary and current folder are scratch": """
        import os, tempfile
        folders = {os.getcwd(), tempfile.gettempdir(), os.path.expanduser("~"), os.environ["TMPDIR"]}
        answer = folders == {scratch}""",
    "a lambda from a dataclass, an enum and a named tuple": """
        import collections, dataclasses, enum
        P = collections.namedtuple("P", "x y")
        D = dataclasses.make_dataclass("D", ["x"])
        answer = P(1, 2).x == 1 and D(3).x == 3 and enum.Enum("E", "A").A.value == 1""",
}


@pytest.mark.parametrize("name", NEEDED)
def test_needed(cell, name):
    outcome = cell.run(textwrap.dedent(NEEDED[name]))
    assert (outcome.error, outcome.message) == ("", "")
    assert outcome.answer is True
    assert outcome.level == cell.level


def test_work_may_be_the_reference_itself(cell):
    """The kit checks its own reference: then the hidden folder is the work."""
    outcome = cell.run("answer = open(reference + '/attention.py').read()", work=cell.reference)
    assert outcome.answer == "answer = 42\n"


@pytest.mark.skipif(
    os.getuid() != 0 if os.name == "posix" else True, reason="only root can become another user"
)
@pytest.mark.parametrize("level", [LANDLOCK, RLIMITS])
def test_ordinary_user(make_room, level):
    """What root can do may rest on root's rights; this does not."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is closed to other users
        cell = make_room(level, Path(folder))
        for path in (cell.root, cell.scratch):
            path.chmod(0o777)
        cell.uid = NOBODY
        outcome = cell.run(
            """
import os, torch
open("mine.txt", "w").write("x")
a = torch.randn(50, 50, requires_grad=True)
(a @ a).sum().backward()
refused = 0
for path in (secret, reference + "/attention.py"):
    try:
        open(path)
    except PermissionError as error:
        refused += "a check may" in str(error)
answer = [os.getuid(), a.grad.shape[0], open(work + "/attention.py").read(), refused]
"""
        )
    assert (outcome.error, outcome.message) == ("", "")
    assert (outcome.answer, outcome.level) == ([NOBODY, 50, "mine = 1\n", 2], level)


def test_environment_holds_no_secrets(cell):
    outcome = cell.run("import os; answer = dict(os.environ)")
    assert "COHORT_TEST_TOKEN" not in json.dumps(outcome.answer)
    assert outcome.answer["OMP_NUM_THREADS"] == "2"
