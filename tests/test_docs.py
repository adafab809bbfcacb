"""What README and CHANGELOG promise exists, and every verb is in the README."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from support import REPO

import cohort_cli
from cohort_cli import app, errors

README = (REPO / "README.md").read_text(encoding="utf-8")


def verbs() -> list[str]:
    found = []
    for name, verb in app.program().commands.items():
        below = getattr(verb, "commands", None)
        found += [f"{name} {word}" for word in below] if below else [name]
        found += [name] if below and verb.invoke_without_command else []
    return found


def test_the_readme_names_every_verb_and_no_other() -> None:
    assert len(verbs()) > 8
    named = set(
        re.findall(
            r"`cohort ((?:showcase|site|kit|tokenizer|data|runs|post) \w+|schedule (?:move|shift|cancel)|\w[\w-]*)",
            README,
        )
    )
    assert set(verbs()) <= named
    assert named <= set(verbs())


@pytest.mark.parametrize("document", ["README.md", "CHANGELOG.md"])
def test_links_lead_somewhere(document: str) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", (REPO / document).read_text(encoding="utf-8"))
    assert [target for target in targets if not (REPO / target).exists()] == []


def test_the_two_commands_use_files_and_extras_that_exist() -> None:
    commands = [line for line in README.splitlines() if "pip install" in line and ".venv/bin" in line]
    assert len(commands) >= 3
    extras = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    for command in commands:
        assert "-c constraints.txt" in command
        assert set(re.findall(r'"\.\[(\w+)\]"', command)) <= set(extras)
    assert (REPO / "constraints.txt").is_file()


def test_ci_runs_what_the_readme_says() -> None:
    run = (REPO / ".ci" / "run").read_text(encoding="utf-8")
    for words in (
        'pip install -q -c constraints.txt -e ".[dev]"',
        "bin/pytest",
        "bin/ruff check",
        "bin/mypy",
    ):
        assert words in run


def test_constraints_pin_exactly_what_the_project_asks_for() -> None:
    lines = (REPO / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", pin) for pin in pins), (
        "no build suffix such as +cpu"
    )
    pinned = {pin.split("==")[0].lower().replace("_", "-") for pin in pins}
    project = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [
        *project["dependencies"],
        *(name for group in project["optional-dependencies"].values() for name in group),
    ]
    names = {re.split(r"[\[>=<]", name)[0].lower() for name in asked} - {"cohort-kit"}
    assert len(names) > 8
    assert names <= pinned


def test_the_readme_lists_every_exit_code_that_there_is() -> None:
    codes = {error.exit_code for error in vars(errors).values() if isinstance(error, type)}
    paragraph = README.partition("Exit codes:")[2].partition("##")[0]
    assert {int(number) for number in re.findall(r"\b\d+\b", paragraph)} >= codes | {
        app.Interrupted.exit_code
    }


def test_the_architecture_names_every_module() -> None:
    block = README.partition("The architecture on one screen")[2].partition("```\n\n")[0]
    package = Path(cohort_cli.__file__).parent
    modules = [path.name for path in package.iterdir() if not path.name.startswith("_")]
    assert len(modules) > 10
    assert [name for name in modules if name not in block] == []


def test_the_changelog_knows_this_version() -> None:
    assert f"## {cohort_cli.__version__}\n" in (REPO / "CHANGELOG.md").read_text(encoding="utf-8")
