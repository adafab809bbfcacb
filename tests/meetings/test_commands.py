"""What a meeting asks someone to type works, on this machine, without a network: each command is run once."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest
from support import Cohort

from cohort_cli import planting
from cohort_cli.catalog import projects
from cohort_cli.meeting_lint import commands
from cohort_cli.meetings import meetings

ALL = list(dict.fromkeys(command for meeting in meetings() for command in commands(meeting)))
OF_LABS = [command for command in ALL if command.startswith("cohort lab ")]
OTHERS = [command for command in ALL if command not in OF_LABS]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which every project is done: the kit's own answers are its code."""
    space = planting.create(tmp_path_factory.mktemp("meetings") / "my-llm").workspace
    for project in projects():
        shutil.copytree(project.reference, space.project_folder(project))
    return space.root


def test_there_are_many_of_both_kinds() -> None:
    assert len(OF_LABS) > 30
    assert len(OTHERS) > 20


def run(command: str, folder: Path, cohort_process: Cohort) -> None:
    ended = cohort_process(*shlex.split(command)[1:], cwd=folder, OMP_NUM_THREADS="1", BROWSER="true")
    assert ended.code == 0, f"{command}\n{ended.out[-500:]}\n{ended.err[-1500:]}"
    assert ended.out.strip()


@pytest.mark.parametrize("command", OTHERS)
def test_each_command_ends_well(command: str, finished: Path, cohort_process: Cohort) -> None:
    run(command, finished, cohort_process)


@pytest.mark.slow
@pytest.mark.parametrize("command", OF_LABS)
def test_each_section_of_a_lab_ends_well(command: str, tmp_path: Path, cohort_process: Cohort) -> None:
    """The same cells run in every test of the labs; here one section at a time, as a member runs it."""
    run(command, tmp_path, cohort_process)
