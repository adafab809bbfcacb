"""Labs: cells, sections that stand alone, notebooks, and what the site makes of them."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from support import REPO, Cohort

from cohort_cli import labs
from cohort_cli.errors import BrokenManifest, UsageError
from cohort_cli.meetings import Meeting, meetings
from cohort_cli.site import labs as pages

LAB = """\
# %% [markdown]
# # A lab
#
# Words.

# %%
BASE = 40

# %% [markdown] section="first"
# ## The first

# %%
print(BASE + 2)

# %% [markdown] section="second"
# ## The second

# %%
raise ValueError(f"{BASE} is wrong")
"""
ALL = meetings()


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    path = tmp_path / "lab.py"
    path.write_text(LAB, encoding="utf-8")
    return path


def test_cells_and_sections(lab: Path) -> None:
    cells = labs.read_cells(lab)
    assert [(cell.kind, cell.section) for cell in cells] == [
        ("markdown", ""), ("code", ""), ("markdown", "first"), ("code", "first"), ("markdown", "second"),
        ("code", "second"),
    ]  # fmt: skip
    assert labs.sections(cells) == {"first": "The first", "second": "The second"}
    lines = LAB.splitlines()
    assert [lines[cell.line - 1] for cell in cells if cell.kind == "code"][1] == "print(BASE + 2)"


def test_a_section_is_a_program_with_the_files_line_numbers(lab: Path) -> None:
    code = labs.code_of(lab, "second")
    assert "print(" not in code
    with pytest.raises(ValueError, match="40 is wrong") as trouble:
        exec(compile(code, str(lab), "exec"), {})
    assert (
        trouble.traceback[-1].lineno + 1 == LAB.splitlines().index('raise ValueError(f"{BASE} is wrong")') + 1
    )


def test_an_unknown_section_is_named(lab: Path) -> None:
    with pytest.raises(UsageError, match="no section 'frist'") as trouble:
        labs.code_of(lab, "frist")
    assert "first" in trouble.value.repair


def test_a_cell_that_begins_in_another_way_is_refused(lab: Path) -> None:
    lab.write_text(LAB.replace('section="first"', "section=first"), encoding="utf-8")
    with pytest.raises(BrokenManifest, match=r"lab\.py:9: "):
        labs.read_cells(lab)


@pytest.mark.parametrize("meeting", ALL, ids=lambda meeting: meeting.name)
def test_our_cells_are_jupytexts(meeting: Meeting) -> None:
    """The same file opens as a notebook with the same cells."""
    jupytext = pytest.importorskip("jupytext")
    notebook = jupytext.read(meeting.lab, fmt="py:percent")
    theirs = [(cell.cell_type, cell.source) for cell in notebook.cells if cell.source.strip()]
    assert [(cell.kind, cell.text) for cell in labs.read_cells(meeting.lab)] == theirs
    assert [cell.metadata["section"] for cell in notebook.cells if "section" in cell.metadata] == list(
        labs.sections(labs.read_cells(meeting.lab))
    )


@pytest.fixture(scope="session")
def cache() -> Path:
    """That of the site's build, so that a lab runs once for both."""
    return REPO / "build" / "labs"


@pytest.mark.parametrize("meeting", ALL, ids=lambda meeting: meeting.name)
def test_every_lab_runs_in_a_kernel_and_its_page_shows_figures(meeting: Meeting, cache: Path) -> None:
    text = pages.page(meeting.lab, REPO, meeting.guide.number, lambda line, place: line, cache)
    drawings = [line for line in text.splitlines() if line.startswith('<figure class="drawing">')]
    assert len(drawings) >= 1
    for drawing in drawings:
        svg = ElementTree.fromstring(drawing).find("{http://www.w3.org/2000/svg}svg")
        assert svg is not None
        assert len(svg.attrib["aria-label"]) > 20  # the words for those who do not see it
    assert text.count("```text\n") >= 3
    assert "FIGURE-" not in text


@pytest.mark.parametrize(
    ("meeting", "section"),
    [(meeting, section) for meeting in ALL for section in labs.sections(labs.read_cells(meeting.lab))],
    ids=lambda part: part if isinstance(part, str) else part.name,
)
def test_a_section_needs_no_other_one(meeting: Meeting, section: str) -> None:
    """Every name that a section reads is made in it, or in the set-up. Nothing runs."""
    import ast
    import builtins

    made, read = set(dir(builtins)), set()
    for node in ast.walk(ast.parse(labs.code_of(meeting.lab, section))):
        if isinstance(node, ast.Name):
            (made if isinstance(node.ctx, ast.Store) else read).add(node.id)
        elif isinstance(node, ast.arg):
            made.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            made.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            made |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    assert read <= made, read - made


def test_a_cell_that_fails_is_named_with_its_line(lab: Path) -> None:
    with pytest.raises(
        BrokenManifest, match=r"lab\.py:\d+: this cell fails\. ValueError: 40 is wrong"
    ) as trouble:
        pages.run(lab)
    line = int(trouble.value.message.rpartition("lab.py:")[2].partition(":")[0])
    assert LAB.splitlines()[line - 1].startswith("raise")


def test_outputs_are_kept_for_exactly_this_lab(lab: Path, tmp_path: Path) -> None:
    lab.write_text(LAB.partition('# %% [markdown] section="second"')[0], encoding="utf-8")
    first = pages.run(lab, tmp_path / "kept")
    assert first[-1] == [("text", "42\n", "", "")]
    (kept,) = (tmp_path / "kept").glob("*.json")
    kept.write_text(kept.read_text(encoding="utf-8").replace("42", "43"), encoding="utf-8")
    assert pages.run(lab, tmp_path / "kept")[-1] == [("text", "43\n", "", "")]
    lab.write_text(lab.read_text(encoding="utf-8").replace("+ 2", "+ 3"), encoding="utf-8")
    assert pages.run(lab, tmp_path / "kept")[-1] == [("text", "43\n", "", "")]
    assert len(list((tmp_path / "kept").glob("*.json"))) == 2


# --- the verb --------------------------------------------------------------------------------------------------


def test_the_verb_lists_runs_and_draws(home: Path, cohort_process: Cohort) -> None:
    listed = cohort_process("lab", "2", cwd=home)
    assert listed.out.splitlines()[0].split()[0] == "scores"
    assert listed.out.splitlines()[-1] == "next: cohort lab 2 scores"
    ran = cohort_process("lab", "2", "square", cwd=home)
    assert ran.code == 0, ran.err
    drawing = home / "figures" / "lab-2-square-1.svg"
    assert ElementTree.fromstring(drawing.read_text(encoding="utf-8")).tag.endswith("svg")
    assert "[A straight line" in ran.out


def test_a_section_that_fails_ends_with_1_and_shows_its_line(
    home: Path, cohort_process: Cohort, tmp_path: Path, lab: Path
) -> None:
    import shutil

    kit = tmp_path / "kit"
    shutil.copytree(REPO / "meetings", kit / "meetings")
    shutil.copy(lab, kit / "meetings/2_attention/lab.py")
    ended = cohort_process("lab", "2", "second", cwd=home, COHORT_KIT=str(kit))
    assert ended.code == 1
    assert 'lab.py", line 19' in ended.err
    assert "next:" not in ended.out


def test_a_notebook_is_written_whole_and_never_replaced_in_silence(home: Path, cohort: Cohort) -> None:
    import json

    assert cohort("lab", "2", "--notebook", "mine.ipynb").code == 0
    notebook = json.loads((home / "mine.ipynb").read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    (home / "mine.ipynb").write_text("my notes", encoding="utf-8")
    again = cohort("lab", "2", "--notebook", "mine.ipynb")
    assert again.code == 2
    assert (home / "mine.ipynb").read_text(encoding="utf-8") == "my notes"
    assert cohort("lab", "2", "--notebook", "mine.txt").code == 2
    assert cohort("lab", "2", "--notebook", "mine.ipynb", "--force").code == 0


def test_show_needs_words() -> None:
    with pytest.raises(ValueError, match="needs its words"):
        labs.show("<svg/>", " ")


def test_a_lab_is_a_program_as_well(tmp_path: Path) -> None:
    lab = next(meeting.lab for meeting in ALL if meeting.guide.number == 2)
    ran = subprocess.run(
        [sys.executable, str(lab)], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(REPO)},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "lab-1.svg").is_file()
