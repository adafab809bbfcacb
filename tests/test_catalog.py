"""The catalogue: what it finds, and what it says about files that are badly written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cohort_cli.catalog import Limits, Project, find_project, kit_root, projects, read_project
from cohort_cli.errors import BrokenManifest, UsageError

HEAVY = ("torch", "numpy", "pytest", "pydantic", "rich", "psutil")


def folder_of(kit: Path) -> Path:
    return kit / "projects" / "project9_adding"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) >= 1, old
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def read_whole(folder: Path) -> None:
    project = read_project(folder)
    assert project.checks
    project.mistakes()


def trouble_in(kit: Path) -> BrokenManifest:
    """The error that reading everything of the project ends with."""
    with pytest.raises(BrokenManifest) as caught:
        read_whole(folder_of(kit))
    assert caught.value.exit_code == 3
    return caught.value


@pytest.mark.parametrize("word", ["project9", "p9", "9", "project9_adding"])
def test_a_project_has_four_names(kit: Path, word: str) -> None:
    assert find_project(word).folder == folder_of(kit)


def test_an_unknown_project_names_the_close_one(kit: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find_project("projct9")
    assert caught.value.repair == "Did you mean project9?"


def test_everything_of_the_manifest_arrives(adding: Project) -> None:
    assert [step.id for step in adding.steps] == ["plus", "twice"]
    assert adding.steps[0].file == "plus.py"
    assert adding.steps[0].minutes == 10
    assert adding.limits == Limits(cpu_seconds=2.0)
    assert adding.blocked_imports == ("numpy.linalg",)
    assert adding.budget_seconds == 5.0
    assert adding.rules[0].names == ("add",)
    assert adding.reference.is_dir()
    assert adding.guide.is_file()


def test_checks_come_in_the_order_of_steps_and_then_of_the_file(adding: Project) -> None:
    assert [check.id for check in adding.checks] == ["sum", "commutes", "double"]
    check = adding.checks[0]
    assert (check.step, check.title, check.needs) == ("plus", "a and b are added", ())
    assert check.doc.startswith("Adding is where everything begins.")
    assert check.source.startswith('@check("sum"')
    assert "expect.equal" in check.source
    assert check.file.read_text(encoding="utf-8").splitlines()[check.line - 1].startswith("def test_sum")


def test_what_is_needed_comes_first(adding: Project) -> None:
    assert adding.with_needs(["double"]) == ["sum", "double"]
    assert adding.with_needs(["double", "commutes"]) == ["sum", "commutes", "double"]


def test_a_word_is_a_step_or_a_check(adding: Project) -> None:
    assert [check.id for check in adding.find("plus")] == ["sum", "commutes"]
    assert [check.id for check in adding.find("sum")] == ["sum"]
    with pytest.raises(UsageError) as caught:
        adding.find("commute")
    assert "commutes" in caught.value.repair


def test_a_step_depends_on_every_module_that_its_tests_name(adding: Project) -> None:
    assert adding.files_of("plus") == ["plus.py"]
    assert adding.files_of("twice") == ["twice.py", "plus.py"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('title = "Adding"', 'titel = "Adding"', ["project.toml:3", "'titel'", "Did you mean title?"]),
        ("minutes = 10", "minuts = 10", ["project.toml:14", "'minuts'", "[[step]]", "Did you mean minutes?"]),
        ("cpu_seconds = 2", "cpu_second = 2", ["project.toml:8", "'cpu_second'", "[limits]"]),
        ("minutes = 10", 'minutes = "10"', ["'minutes'", "must be a whole number"]),
        ('ops = ["aten::add"]', 'ops = "aten::add"', ["'ops'", "must be a list"]),
        ("minutes = 10\n", "", ["'minutes' is missing", "[[step]]"]),
        ('title = "Adding"', "title = Adding", ["not valid TOML", "line 3"]),
        ('schema = "cohort.project/1"\n', "", ['schema = "cohort.project/1"']),
        ("cohort.project/1", "cohort.project/2", ["cohort.project/2", "Update the kit"]),
        ('id = "project9"', 'id = "project8"', ["'project8'", "project9_adding"]),
        ('id = "twice"', 'id = "plus"', ["two steps are called 'plus'"]),
        ("[[step]]", "[step]", ["project.toml"]),
    ],
)
def test_a_bad_manifest_is_named_with_its_line_and_key(
    kit: Path, old: str, new: str, says: list[str]
) -> None:
    edit(folder_of(kit) / "project.toml", old, new)
    trouble = trouble_in(kit)
    for words in says:
        assert words in f"{trouble.message} {trouble.repair}"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('needs=["sum"]', 'needs=["summ"]', ["test_plus.py:14", "'summ'", "Did you mean sum?"]),
        (
            '"sum", title="a and b are added"',
            '"sum", title="t", needs=["commutes"]',
            ["circle", "sum -> commutes -> sum"],
        ),
        ('"commutes"', '"sum"', ["'sum'", "test_plus.py:5"]),
        ('"commutes"', '"plus"', ["'plus' is a step's name"]),
        ('"commutes", title=', '"commutes", titel=', ["test_plus.py:14", "@check('id', title="]),
        ('title="a and b are added"', "title=TITLE", ["plain literals"]),
        ('@check("sum", title="a and b are added")\n', "@other\n", ["test_sum", "has no @check"]),
        ('@check("sum", title="a and b are added")\n', "", ["test_sum", "has no @check"]),
        ("expect.equal(member.plus.add(2, 3), 5)", "expect.equal(", ["test_plus.py", "not valid Python"]),
    ],
)
def test_a_bad_acceptance_file_is_named_with_its_line(kit: Path, old: str, new: str, says: list[str]) -> None:
    edit(folder_of(kit) / "acceptance" / "test_plus.py", old, new)
    trouble = trouble_in(kit)
    for words in says:
        assert words in f"{trouble.message} {trouble.repair}"


def test_tests_of_a_step_that_does_not_exist_would_never_run(kit: Path) -> None:
    (folder_of(kit) / "acceptance" / "test_twise.py").write_text("", encoding="utf-8")
    trouble = trouble_in(kit)
    assert "'twise'" in trouble.message
    assert trouble.repair == "Did you mean twice?"


def test_a_mistake_edits_the_reference_once(adding: Project) -> None:
    (mistake,) = adding.mistakes()
    assert (mistake.name, mistake.step, mistake.check) == ("subtracts", "plus", "sum")
    assert mistake.apply("return a + b\n") == "return a - b\n"
    for source in ("return b\n", "a + b, a + b"):
        with pytest.raises(BrokenManifest, match="subtracts"):
            mistake.apply(source)


def test_a_mistake_may_have_several_edits(kit: Path) -> None:
    path = folder_of(kit) / "mistakes" / "plus.toml"
    edit(
        path,
        'find = "a + b"\nreplace = "a - b"',
        'edits = [{find = "a", replace = "x"}, {find = "b", replace = "y"}]',
    )
    (mistake,) = read_project(folder_of(kit)).mistakes()
    assert mistake.apply("a + b") == "x + y"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('check = "sum"', 'check = "summ"', ["'summ'", "Did you mean sum?"]),
        ('why = "', 'wy = "', ["'wy'", "Did you mean why?"]),
        ('find = "a + b"\n', "", ["'subtracts'", "either find and replace, or edits"]),
        ('find = "a + b"', 'find = ""', ["no text to find"]),
        ("[[mistake]]", "[[mistakes]]", ["'mistakes'", "[[mistake]]"]),
    ],
)
def test_a_bad_mistake_is_named(kit: Path, old: str, new: str, says: list[str]) -> None:
    edit(folder_of(kit) / "mistakes" / "plus.toml", old, new)
    trouble = trouble_in(kit)
    for words in says:
        assert words in f"{trouble.message} {trouble.repair}"


def test_two_mistakes_of_one_name_are_refused(kit: Path) -> None:
    path = folder_of(kit) / "mistakes" / "plus.toml"
    path.write_text(path.read_text(encoding="utf-8") * 2, encoding="utf-8")
    assert "two mistakes are called 'subtracts'" in trouble_in(kit).message


def test_a_kit_without_projects_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COHORT_KIT", str(tmp_path))
    for ask in (projects, lambda: find_project("project2")):
        with pytest.raises(BrokenManifest, match="no projects"):
            ask()


def test_the_real_kit_can_be_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COHORT_KIT", raising=False)
    found = projects()
    assert found
    for project in found:
        assert project.folder.parent.parent == kit_root()
        assert len(project.checks) > 20
        assert len(project.mistakes()) > 20


def test_reading_the_catalogue_imports_nothing_heavy() -> None:
    code = f"""
import sys
from cohort_cli import catalog
assert [len(project.checks) + len(project.mistakes()) for project in catalog.projects()]
print([name for name in {HEAVY} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
