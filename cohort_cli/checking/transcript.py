"""Transcripts in guides are generated, never typed: what a member sees when a known mistake is checked.

<!-- transcript: scaled-by-d_model -->
(a fenced block, which is replaced)
<!-- /transcript -->
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from cohort_cli.catalog import Project
from cohort_cli.checking import report as draw
from cohort_cli.checking.client import Judge
from cohort_cli.checking.states import State
from cohort_cli.checking.verify import with_mistake
from cohort_cli.errors import UsageError

SEED = 1  # always the same inputs, so that the text changes only when the check does
BLOCK = re.compile(r"(<!-- transcript: (\S+) -->\n)(.*?)(<!-- /transcript -->)", re.DOTALL)


def refresh(project: Project, write: bool, tell: Callable[[str], None]) -> list[str]:
    """The names whose transcripts in the guide are out of date; with `write`, they are written."""
    outdated = []
    with Judge() as judge:
        page = project.guide

        def replace(block: re.Match[str]) -> str:
            name = block[2]
            fresh = f"{block[1]}\n```text\n{make(project, name, judge)}\n```\n\n{block[4]}"
            if fresh != block[0]:
                outdated.append(name)
            tell(f"{page.name}: {name} {'has changed' if fresh != block[0] else 'is up to date'}")
            return fresh

        for page in project.pages:
            text = page.read_text(encoding="utf-8")
            new = BLOCK.sub(replace, text)
            if write and new != text:
                page.write_text(new, encoding="utf-8", newline="\n")
    return outdated


def make(project: Project, name: str, judge: Judge) -> str:
    """The command and what it prints about the check that refuses the mistake `name`."""
    mistake = next((mistake for mistake in project.mistakes() if mistake.name == name), None)
    if mistake is None:
        raise UsageError(f"{project.id} knows no mistake {name!r}.", "See mistakes/*.toml.")
    with tempfile.TemporaryDirectory(prefix="cohort-") as folder:
        work = with_mistake(project, mistake, Path(folder))
        report = judge.check(project, work, [mistake.check], seed=SEED)
    shown = [check for check in report.checks if check.state is not State.OK]
    lines = [f"$ cohort check {project.id} {mistake.check}"]
    lines += [text for check in shown for _, text in draw.check_lines(check)]
    return "\n".join([*lines, draw.next_line(report)])
