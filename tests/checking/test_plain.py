"""A project without torch: nobody imports it. What checks can ask for: files, feeds, CPU time, kinds of errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cohort_cli.catalog import Project, read_project
from cohort_cli.checking.client import Judge
from cohort_cli.checking.states import State

PROJECT = """\
schema = "cohort.project/1"
id = "project8"
title = "Plain"
preload = ["json"]

[[step]]
id = "plain"
title = "Plain Python"
file = "plain.py"
minutes = 1
reading = "none"
"""

CODE = """\
import sys
from pathlib import Path


class TooSmall(ValueError):
    pass


def heavy():
    return sorted(name for name in ("torch", "json") if name in sys.modules)


def copy(source, target):
    Path(target).write_bytes(Path(source).read_bytes()[::-1])
    return Path(target)


def count(texts, folder):
    Path(folder).mkdir()
    total = 0
    for number, text in enumerate(texts):
        total += len(text)
        Path(folder, str(number)).write_text(text)
    return total


def strict(n):
    if n < 0:
        raise TooSmall(f"{n} in {Path('x').absolute()}")
    return n


def work():
    return sum(i * i for i in range(2_000_000))


def echo(value):
    return value


def total(box):
    return sum(len(text) for text in box.open())


def importable(name):
    return name in sys.modules
"""

TOYS = """\
class Box:
    def __init__(self, texts):
        self.texts, self.count = texts, 0

    def open(self):
        self.count += 1
        return self.texts


def opened(box):
    return box.count
"""

CHECKS = """\
import sys
from pathlib import PurePath

from cohort_cli.checking.authoring import check


@check("heavy", title="no torch on either side")
def test_heavy(member, expect):
    expect.equal(member.plain.heavy(), ["json"])
    expect.equal("torch" in sys.modules, False)


@check("files", title="files travel")
def test_files(member, expect):
    data = bytes(range(256)) * 20
    source = member.write("in/data.bin", data)
    got = member.plain.copy(source, member.path("out.bin"))
    expect.equal(isinstance(got, PurePath) and got.name, "out.bin")
    expect.equal(member.read("out.bin"), data[::-1])
    expect.equal(member.files("in"), ["data.bin"])
    expect.equal(member.files("nowhere"), [])


@check("feed", title="a feed remembers how it was used")
def test_feed(member, expect):
    feed = member.feed(["ab", "c"], times=3, folder="out")
    expect.equal(member.plain.count(feed, member.path("out")), 9)
    expect.equal(member.get(feed, "pulled"), 6)
    expect.equal(member.get(feed, "seen"), [0, 1, 2, 3, 4, 5])


@check("kinds", title="an error counts as what it derives from")
def test_kinds(member, expect):
    expect.raises(member.plain.strict, -1)
    expect.raises(member.plain.strict, -1, kinds=("TooSmall",))


@check("not-its-kind", title="but not as something else")
def test_not_its_kind(member, expect):
    expect.raises(member.plain.strict, -1, kinds=("KeyError",))


@check("no-error", title="no error is told with what came instead")
def test_no_error(member, expect):
    expect.raises(member.plain.strict, 7)


@check("cpu", title="CPU time is measured")
def test_cpu(member, expect):
    before = member.cpu_seconds()
    member.plain.work()
    used = member.cpu_seconds() - before
    expect.that(0.02 < used < 5, f"It used {used} s.")


@check("bring", title="a module of the check's own lives beside the member's code")
def test_bring(member, expect):
    import plain_toys

    toys = member.bring(plain_toys)
    box = toys.Box(["ab", "c"])
    expect.equal(member.plain.total(box), 3)
    expect.equal(toys.opened(box), 1)
    expect.equal(member.plain.importable("plain_toys"), False)


@check("random", title="inputs without torch")
def test_random(member, expect, rng):
    value = {rng.random.randbytes(3): [rng.random.random()], "set": {1, 2}}
    expect.equal(member.plain.echo(value), value)
"""


@pytest.fixture
def plain(tmp_path: Path) -> Project:
    folder = tmp_path / "project8_plain"
    for part in ("acceptance", "reference", "mistakes", "scaffold"):
        (folder / part).mkdir(parents=True)
    (folder / "project.toml").write_text(PROJECT)
    (folder / "reference" / "plain.py").write_text(CODE)
    (folder / "acceptance" / "test_plain.py").write_text(CHECKS)
    (folder / "acceptance" / "plain_toys.py").write_text(TOYS)
    return read_project(folder)


@pytest.fixture(params=[None, "worker"], ids=["forked", "worker"])
def judge(request: pytest.FixtureRequest) -> Iterator[Judge]:
    with Judge(request.param) as judge:
        yield judge


def test_everything_works_without_torch(judge: Judge, plain: Project) -> None:
    report = judge.check(plain, plain.reference)
    found = {check.id: (check.state, check.message) for check in report.checks}
    refused = {"not-its-kind", "no-error"}
    assert {id: text for id, (state, text) in found.items() if state is not State.OK} == {
        "not-its-kind": "It must raise KeyError.",
        "no-error": "It must raise ValueError.",
    }, found
    assert refused <= set(found)
    assert len(found) == 9
    assert "torch" not in report.env


def test_the_members_folder_names_in_messages_are_short(judge: Judge, plain: Project) -> None:
    (check,) = judge.check(plain, plain.reference, ["not-its-kind"]).checks
    assert check.got == "TooSmall: -1 in x"


def test_a_judge_is_replaced_when_the_next_project_needs_torch(plain: Project) -> None:
    from cohort_cli.catalog import find_project

    with Judge() as judge:
        judge.check(plain, plain.reference)
        first = judge.pid
        project2 = find_project("project2")
        report = judge.check(project2, project2.reference, ["mask-values"])
        assert judge.pid != first
        assert report.env["torch"]
        assert report.exit == 0
