"""What the guides say is true: their code runs on the reference, their steps and minutes are the project's."""

from __future__ import annotations

import json
import math
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from cohort_cli import app
from cohort_cli.catalog import Project, find_project, projects
from cohort_cli.commands.hint import read_rungs
from cohort_cli.training.config import apply_settings, load_preset
from cohort_cli.training.presets import presets

REPO = Path(__file__).resolve().parents[2]
PROJECT = find_project("project2")
GUIDE = PROJECT.guide.read_text(encoding="utf-8")
TRAINING = find_project("project3").guide.read_text(encoding="utf-8")
PROJECTS = projects()
LADDERS = [project.hints_dir / f"{step.id}.md" for project in PROJECTS for step in project.steps]
BY_HAND = {  # the second part of each step
    "project0": "By hand",
    "project1": "By hand",
    "project2": "The maths, and the shapes",
    "project3": "By hand",
    "project4": "By hand",
    "project5": "By hand",
}
MEETINGS = {2: "2_attention", 3: "3_architecture"}  # of Project 2
PRETRAINING = ("windows", "loss", "adamw", "schedule", "loop", "checkpoint", "scale")  # meeting 4

# A block that a member pastes, and what it printed: the first fenced text after it.
TRY_IT = re.compile(r"```python\n((?:(?!```).)*)```\n\n<details[^\n]*\n\n```text\n(.*?)```", re.DOTALL)

# Runs each snippet by itself and prints what each printed, as one JSON list.
RUNNER = """
import contextlib, io, json, sys
printed = []
for snippet in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(snippet, "guide.md", "exec"), {})
    printed.append(out.getvalue())
print(json.dumps(printed))
"""


def whole(project: Project) -> str:
    """The guide, and the units that it is told in."""
    return "\n".join(page.read_text(encoding="utf-8") for page in project.pages)


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.id)
def test_each_step_has_its_heading_anchor_and_check(project: Project) -> None:
    guide = whole(project)
    place = 0
    for step in project.steps:
        here = guide.find(f'<a id="{step.id}"></a>\n\n## {step.title}\n', place)
        assert here > 0, f"the guide has no section '{step.title}' (in this order) with the anchor {step.id}"
        place = here
        end = guide.find("\n## ", guide.index("\n## ", here) + 1)
        section = guide[here:end]
        for part in (
            "The idea",
            BY_HAND[project.id],
            "What to write",
            "Predict, then run",
            "Typical mistakes",
        ):
            assert f"\n### {part}\n" in section, f"step {step.id} has no '{part}'"
        assert "\nReading: " in section
        assert f"$ cohort check {project.id} {step.id}\n" in section
        for address in re.findall(r"https://[^\s,]+", step.reading):
            assert address in section, f"step {step.id}: the reading {address} is not in the guide"


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.id)
def test_the_table_of_steps_has_every_step_and_its_minutes(project: Project) -> None:
    guide = project.guide.read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(\w+)\]\([\w/]*(?:\.md)?#(\w+)\) \| [^|]+ \| (\d+) \|", guide, re.MULTILINE)
    assert rows == [(step.id, step.id, str(step.minutes)) for step in project.steps]


def test_the_table_of_steps_has_the_projects_minutes() -> None:
    rows = re.findall(r"^\| \[(\w+)\]\(#(\w+)\) \| [^|]+ \| (\d+) \| \[?(\d)\]?", GUIDE, re.MULTILINE)
    assert [(id, id, str(minutes)) for id, minutes in ((s.id, s.minutes) for s in PROJECT.steps)] == [
        row[:3] for row in rows
    ]
    meeting_of = {row[0]: int(row[3]) for row in rows}
    for number, name in MEETINGS.items():
        steps = [step for step in PROJECT.steps if meeting_of[step.id] == number]
        total = sum(step.minutes for step in steps)
        assert f"{total // 60} hours {total % 60} minutes for meeting {number}" in GUIDE
        page = (REPO / "meetings" / name / "guide.md").read_text(encoding="utf-8")
        names = ", ".join(f"`{step.id}`" for step in steps)
        minutes = " + ".join(str(step.minutes) for step in steps)
        assert f", the steps {names} | {total} | {minutes} minutes |" in page


def test_the_hours_of_project3_are_the_sums_of_its_minutes() -> None:
    rows = re.findall(r"^\| \[(\w+)\]\(#\w+\) \| [^|]+ \| (\d+) \| \[?(\d)\]?", TRAINING, re.MULTILINE)
    assert len(rows) == 12
    for meeting in ("4", "5"):
        total = sum(int(minutes) for _, minutes, its in rows if its == meeting)
        assert f"{total // 60} hours {total % 60} minutes for meeting {meeting}" in TRAINING


@pytest.mark.parametrize("name", ["2_attention", "3_architecture", "4_pretraining"])
def test_the_minutes_of_a_meeting_are_the_sums_of_its_tables(name: str) -> None:
    """A row that begins with "or" stands in the place of others, so it is not counted."""
    from cohort_cli.meetings import find_meeting

    meeting = find_meeting(name, REPO)
    text = meeting.page("guide.md").body
    for heading, minutes in (
        ("The core", meeting.guide.minutes.core),
        ("The deep dive", meeting.guide.minutes.deep),
    ):
        section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        rows = re.findall(r"^\| (?!or)(.+?) \| (\d+) \|", section, re.MULTILINE)
        assert sum(int(number) for _, number in rows) == minutes, heading


def test_the_steps_of_project3_stand_in_meeting_4_with_their_minutes() -> None:
    steps = [step for step in find_project("project3").steps if step.id in PRETRAINING]
    page = (REPO / "meetings/4_pretraining/guide.md").read_text(encoding="utf-8")
    names = ", ".join(f"`{step.id}`" for step in steps)
    minutes = " + ".join(str(step.minutes) for step in steps)
    assert f", the steps {names} | {sum(step.minutes for step in steps)} | {minutes} minutes |" in page


def test_the_split_follows_the_reading() -> None:
    """Raschka's chapter 3 ends at multi-head attention; norm, MLP and block are chapter 4, read for meeting 3."""
    attention = (REPO / "meetings/2_attention/guide.md").read_text(encoding="utf-8")
    architecture = (REPO / "meetings/3_architecture/guide.md").read_text(encoding="utf-8")
    assert "chapter 3, with exercises" in attention
    assert "chapter 4, with exercises" not in attention
    assert "chapter 4, with exercises" in architecture
    assert "chapter 3, with exercises" not in architecture


@pytest.mark.parametrize(
    ("project", "count"),
    # the last step of Project 2 has no code: it is the member's own idea
    [
        pytest.param("project0", 19, marks=pytest.mark.slow),  # these train models
        ("project1", 9),
        ("project2", 8),
        pytest.param("project3", 12, marks=pytest.mark.slow),
        pytest.param("project4", 11, marks=pytest.mark.slow),
        ("project5", 6),
    ],
)
def test_the_guides_code_prints_what_the_guide_says(project: str, count: int) -> None:
    found = find_project(project)
    pairs = TRY_IT.findall(whole(found))
    assert len(pairs) == count
    ran = subprocess.run(
        [sys.executable, "-B", "-c", RUNNER],
        cwd=found.reference,
        input=json.dumps([code for code, _ in pairs]),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    for printed, (code, said) in zip(json.loads(ran.stdout), pairs, strict=True):
        assert words(printed) == pytest.approx(words(said), rel=0.02, abs=0.02), code
        assert letters(printed) == letters(said), code


def words(text: str) -> list[float]:
    """The numbers in a text; the last digit may differ from one machine to another."""
    return [float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*\.?\d*", text)]


def letters(text: str) -> list[str]:
    return re.findall(r"[A-Za-z]+", text)


def test_the_worked_example_is_right() -> None:
    import torch

    q = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    k = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    v = torch.tensor([[10.0, 0.0], [0.0, 10.0], [5.0, 5.0]])
    scores = q @ k.T / 2**0.5
    after = scores.softmax(-1).tril()
    before = scores.masked_fill(torch.ones(3, 3).triu(1).bool(), float("-inf")).softmax(-1)
    for token in range(3):
        cells = [", ".join(short(x) for x in row[token].tolist()) for row in (before, after)]
        total = short(after[token].sum().item())
        assert f"| {token} | {cells[0]} | 1 | {cells[1]} | {total} |" in GUIDE
    output = (before @ v)[2].tolist()
    assert f"{output[0]:.2f} & {output[1]:.2f}" in GUIDE
    together = scores[2].exp().sum().item()
    assert f"together {together:.3f}." in GUIDE


def test_the_numbers_by_hand_of_project3_are_right() -> None:
    """Each is worked out again here, in float64, and must stand in the guide as it is rounded there."""
    exponentials = [math.exp(z) for z in (2, 1, 0)]
    nats = math.log(sum(exponentials)) - 1
    said = [
        f"sum | {sum(exponentials):.3f} |",
        f"| ${nats + 1:.3f} - 1 = {nats:.3f}$ | ${nats - 1:.3f} + 1 = {nats:.3f}$ |",
        f"e^{{-{nats:.3f}}} = {math.exp(-nats):.3f}",
    ]

    w, m, v = 1.0, 0.0, 0.0
    for t, g in ((1, 0.5), (2, 0.1)):
        decayed = w - 0.1 * 0.1 * w
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
        w = decayed - 0.1 * m_hat / math.sqrt(v_hat)
        cells = (g, decayed, m, v, m_hat, math.sqrt(v_hat), 0.1 * m_hat / math.sqrt(v_hat), w)
        digits = (1, 4, 3, 8, 4, 4, 4, 4)
        said.append(" | ".join(f"{x:.{n}f}".rstrip("0") for x, n in zip(cells, digits, strict=True)))

    cosine = [0.1 + 0.45 * (1 + math.cos(math.pi * (step - 4) / 6)) for step in range(4, 11)]
    (row,) = re.findall(r"^\| rate \| (0.*) \|$", TRAINING, re.MULTILINE)
    rates = [float(cell) for cell in row.split(" | ")]
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1, *cosine, 0.1], abs=0.0005)

    norm = math.hypot(3, 4, 12)
    said.append(f"= {norm:.0f}$")
    said.append(f"$({3 / norm:.3f}, {4 / norm:.3f})$ and $({12 / norm:.3f})$")
    said.append(f"\\ln(1 + e^{{-0.3}}) = {math.log1p(math.exp(-0.3)):.3f}$")
    said.append(f"= {math.sqrt(0.25 * 0.75 / 200):.4f}$")

    layers, width, tokens, words = 12, 768, 1024, 50257
    count = words * width + tokens * width + layers * (12 * width**2 + 13 * width) + 2 * width
    flops = [6 * count, 12 * layers * width * tokens]
    said.append(f"| together | | {count:,} |")
    said.append(" + ".join(f"{x:,}".replace(",", "{,}") for x in flops) + f" = {sum(flops) / 1e9:.3f}")
    said.append(f"= {12 * count / 1e9:.2f}$ GB: weights and two moments")
    assert [words for words in said if words not in TRAINING] == []


def test_every_command_in_the_guides_exists() -> None:
    program = typer.main.get_command(app.build())
    presets_of = {project.id: presets(project) for project in PROJECTS}
    pages = [page for project in PROJECTS for page in project.pages] + sorted((REPO / "docs").glob("*.md"))
    seen = 0
    for page in pages:
        for line in re.findall(r"^\$ cohort (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
            seen += 1
            words = shlex.split(line)
            command: Any = program
            while words and words[0] in getattr(command, "commands", {}):
                command = command.commands[words.pop(0)]
            assert not hasattr(command, "commands"), f"{page.name}: cohort {line} is no command"
            options = {name for option in command.params for name in option.opts}
            given = [word for word in words if word.startswith("--")]
            assert set(given) <= options, f"{page.name}: cohort {line}"
            if "--preset" in given:
                assert words[words.index("--preset") + 1] in presets_of[words[0]], (
                    f"{page.name}: cohort {line}"
                )
            settings = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
            if settings and command.name in ("train", "plan"):
                apply_settings(load_preset(presets_of["project3"]["smoke"]), settings)
    assert seen > 60


def test_the_sweep_in_the_guide_can_be_run(tmp_path: Path) -> None:
    from cohort_cli.training import sweep

    (text,) = re.findall(r"```toml\n(.*?)```", TRAINING, re.DOTALL)
    (tmp_path / "rates.toml").write_text(text, encoding="utf-8")
    assert len(sweep.load(tmp_path / "rates.toml").jobs) == 9


def test_the_presets_in_the_guide_are_those_that_there_are() -> None:
    table = TRAINING.partition("### Presets")[2].partition("###")[0]
    first_cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    named = {name for cell in first_cells for name in re.findall(r"`([^`]+)`", cell)}
    assert named == set(presets(find_project("project3")))


def test_the_training_page_has_the_recipes_the_codes_and_what_may_change() -> None:
    from cohort_cli.commands.train import MAY_CHANGE
    from cohort_cli.training.config import RECIPES

    page = (REPO / "docs/training.md").read_text(encoding="utf-8")
    for section, answers in RECIPES["gpt2"].items():
        for key, answer in answers.items():
            assert f"| `{section}.{key}` | {answer} | {RECIPES['modern'][section][key]} |" in page
    change = " ".join(page.split()).partition("What may change on the way:")[2].partition("Model and data")[0]
    assert re.findall(r"`([^`]+)`", change) == list(MAY_CHANGE)


def short(number: float) -> str:
    return f"{number:.0f}" if number in (0.0, 1.0) else f"{number:.3f}"


@pytest.mark.parametrize("path", LADDERS, ids=lambda path: f"{path.parent.parent.name}-{path.stem}")
def test_each_step_has_three_rungs(path: Path) -> None:
    assert len(read_rungs(path)) == 3
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"^## Rung (\d)$", text, re.MULTILINE) == ["1", "2", "3"]
    assert max(len(line) for line in text.splitlines()) <= 96, "a hint is read in a terminal"


def test_the_start_page_shows_the_same_transcript_as_the_guide() -> None:
    transcript = re.search(r"<!-- transcript: \S+ -->\s*```text\n(.*?)```", GUIDE, re.DOTALL)
    assert transcript is not None
    assert "FAIL scale" in transcript[1]
    assert transcript[1] in (REPO / "docs/index.md").read_text(encoding="utf-8"), (
        "copy the transcript from Project 2's guide to docs/index.md"
    )


def test_the_words_of_checking_are_all_explained() -> None:
    from cohort_cli.checking.states import State

    page = (REPO / "docs/how-checking-works.md").read_text(encoding="utf-8")
    for state in State:
        assert re.search(rf"^\| `({state.value}|{state.value.upper()})` \|", page, re.MULTILINE), state
    for code in ("0", "1", "2", "3", "4", "5", "70", "130"):
        assert f"\n| {code} | " in page


def test_project2s_limits_are_the_ones_in_the_page() -> None:
    page = (REPO / "docs/how-checking-works.md").read_text(encoding="utf-8")
    limits = PROJECT.limits
    said = f"{limits.cpu_seconds:g} seconds of CPU time, {limits.memory_mib // 1024} GiB of memory and"
    assert f"{said} {limits.scratch_mib} MiB of files" in page
