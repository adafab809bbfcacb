"""Imports point one way, and what must be quick to start imports nothing heavy."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import cohort_cli

PACKAGE = Path(cohort_cli.__file__).parent
# A module may import from its own layer and from those before it.
LAYERS = [
    {"errors", "__init__"},
    {"manifest", "prose", "lines", "memo", "history", "remotes"},
    {"acceptance", "mistakes", "catalog", "self_check", "meetings", "fingerprint", "workspace", "planting"},
    {"when", "group", "group_file", "roles", "ics", "publishing"},
    {"checking", "training", "site", "tokens", "labs"},
    {"evaluating", "launching"},  # measure what training left behind; send it to where it trains
    {"progress", "probes", "hello", "bars", "posts", "meeting_lint", "sharing", "own_parts"},
    {"showcase"},  # reads what all the others left on the disk
    {"commands"},
    {"app"},
    {"__main__"},
]
HEAVY = {"torch", "numpy", "pydantic"}
WHEN_USED = {
    "regex",
    "matplotlib",
    "tokenizers",
    "tiktoken",
    "datasets",
    "openai",
    "gradio",
    "filelock",
    "wasmtime",
    "rich",
    "playwright",
    "axe_playwright_python",
    "mkdocs",
    "markdown_it",
    "nh3",
    "rjsmin",
    "rcssmin",
    "icalendar",
    "tomlkit",
    "PIL",
}  # imported by the function that needs them
MAY_IMPORT_TORCH = ("checking/judge/", "checking/player/", "checking/tensors.py", "training/", "evaluating/")
MAY_IMPORT_TORCH += (
    "showcase/browser.py",
    "showcase/quantised.py",
    "showcase/verifying.py",
    "showcase/scoring.py",
    "showcase/untrusted.py",
)  # a process of their own
ASK_FOR_HELP = {
    ("commands/site.py", "app"),
    ("commands/meeting.py", "app"),
}  # they look at the program itself


def module_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def level(module: str) -> int:
    found = [number for number, names in enumerate(LAYERS) if module in names]
    assert found, f"{module} has no layer yet: say in this test where it belongs"
    return found[0]


def imports(path: Path) -> Iterator[tuple[ast.stmt, str]]:
    """(statement, dotted name) of every import in a file, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write the whole name"
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)


FILES = sorted(PACKAGE.rglob("*.py"))


def test_something_is_looked_at() -> None:
    assert len(FILES) > 30


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_one_way(path: Path) -> None:
    place = path.relative_to(PACKAGE).as_posix()
    for node, name in imports(path):
        parts = name.split(".")
        if parts[0] != "cohort_cli" or len(parts) == 1:
            continue
        target = (
            parts[1] if (PACKAGE / parts[1]).exists() or (PACKAGE / f"{parts[1]}.py").exists() else "__init__"
        )
        if (place, target) not in ASK_FOR_HELP:
            assert level(target) <= level(module_of(path)), f"{place}:{node.lineno} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_only_judge_player_and_training_import_torch(path: Path) -> None:
    place = path.relative_to(PACKAGE).as_posix()
    if place.startswith(MAY_IMPORT_TORCH):
        return
    top = ast.parse(path.read_text(encoding="utf-8")).body
    for node, name in imports(path):
        assert node not in top or name.split(".")[0] not in HEAVY
        assert name.split(".")[0] not in HEAVY, f"{place}:{node.lineno} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_what_only_some_verbs_need_is_imported_when_it_is_used(path: Path) -> None:
    top = ast.parse(path.read_text(encoding="utf-8")).body
    beginning = [ast.unparse(node) for node in top]
    for node, name in imports(path):
        if name.split(".")[0] in WHEN_USED:
            assert ast.unparse(node) not in beginning, f"{path}:{node.lineno} imports {name}"


def test_rooms_do_not_look_into_each_other() -> None:
    """checking, training, site and tokens hand each other files, not objects."""
    rooms = {"checking", "training", "site", "tokens"}
    for path in FILES:
        if module_of(path) in rooms:
            for node, name in imports(path):
                target = name.split(".")[1] if name.startswith("cohort_cli.") else ""
                assert target not in rooms - {module_of(path)}, f"{path}:{node.lineno} imports {name}"
