"""`cohort check`: what is right, and the name of what is wrong."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cohort_cli.catalog import Project
    from cohort_cli.checking.client import Judge
    from cohort_cli.checking.results import CheckResult, RunReport
    from cohort_cli.workspace import Workspace


def check(
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="project2, p2 or 2.")],
    steps: Annotated[
        list[str] | None, typer.Argument(metavar="[STEP]...", help="Steps or checks; all if none.")
    ] = None,
    work: Annotated[
        Path | None, typer.Option(help="Folder with the project's files; default: your workspace's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Only what was not ok the last time.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Check again at every save, until Ctrl-C.")] = False,
    seed: Annotated[int | None, typer.Option(help="Repeat the inputs of an earlier run.", min=0)] = None,
) -> None:
    """Run a project's checks on your code. Your code runs in a process of its own, inside limits.

    Exit codes: 0 all ok, 1 some not ok, 2 usage, 3 no workspace, 4 environment, 5 nothing ran.

    $ cohort check project2 mask
    ok   mask-values                   the causal mask of four tokens
    ...
    project2: 6 ok  (1.7 s)
    next: cohort status
    """
    from cohort_cli.catalog import find_project
    from cohort_cli.checking.client import Judge
    from cohort_cli.errors import UsageError
    from cohort_cli.progress import step_hashes

    if watch and as_json:
        raise UsageError("--watch and --json do not go together.", "Leave one of them out.")
    found = find_project(project)
    folder, space = _folder(found, work)
    select = _selection(found, steps, failed, space)
    ids = [info.id for word in select or [step.id for step in found.steps] for info in found.find(word)]
    progress = _Progress(len(set(ids)))
    with Judge() as judge:
        judge.start_for(found, ids)
        if watch:
            _watch(judge, found, folder, select, seed, space)
            return
        before = step_hashes(folder, found)
        try:
            report = judge.check(found, folder, select, seed, None if as_json else progress.add)
        finally:
            progress.clear()
    _distrust_saved_meanwhile(report, before)
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=1, allow_nan=False))
    else:
        _draw(report)
    _keep(report, space)
    raise typer.Exit(report.exit)


def _folder(project: Project, work: Path | None) -> tuple[Path, Workspace | None]:
    """The folder to check, and the workspace whose log keeps the verdicts (None for any other folder)."""
    from cohort_cli.errors import NoWorkspace, UsageError
    from cohort_cli.workspace import find_workspace

    if work is not None and not work.is_dir():
        raise UsageError(
            f"There is no folder {work}.", "--work names the folder that holds the project's files."
        )
    if work is not None:
        try:
            space = find_workspace()
        except NoWorkspace:
            return work, None
        own = space.project_folder(project)
        return work, space if own.exists() and own.resolve() == work.resolve() else None
    space = find_workspace()
    if not space.has(project):
        raise NoWorkspace(
            f"{project.id} is not in your workspace {space.root} yet.", f"cohort start {project.id}"
        )
    return space.project_folder(project), space


def _selection(
    project: Project, steps: list[str] | None, failed: bool, space: Workspace | None
) -> list[str] | None:
    from cohort_cli import progress
    from cohort_cli.errors import NothingRan, UsageError

    if not failed:
        return steps or None
    if space is None:
        raise UsageError("--failed needs the results log of a workspace.", "Leave out --failed, or --work.")
    asked = {info.id for word in steps or [] for info in project.find(word)}
    open_ids = progress.not_ok(progress.of_project(space, project, _note))
    again = [id for id in open_ids if not steps or id in asked]
    if not again:
        message = "Nothing to repeat: each of these checks is ok, on exactly the code that is there."
        raise NothingRan(message, f"cohort check {project.id}")
    return again


def _watch(
    judge: Judge,
    project: Project,
    folder: Path,
    select: list[str] | None,
    seed: int | None,
    space: Workspace | None,
) -> None:
    from cohort_cli.checking.watch import Watcher, saves

    watcher = Watcher(judge, project, folder, select, seed)
    changes = saves(folder)
    while True:
        report = watcher.check()
        if report is not None:
            _draw(report)
            _keep(report, space)
            _note(f"watching {folder}; Ctrl-C stops")
        if next(changes, "ended") == "ended":
            return


def _distrust_saved_meanwhile(report: RunReport, before: dict[str, str]) -> None:
    """A verdict on a file that was saved during the run is kept without a hash: `status` calls it stale."""
    changed = [check for check in report.checks if check.code_sha256 not in ("", before[check.step])]
    for check in changed:
        check.code_sha256 = ""
    if changed:
        _note("A file was saved while it was checked, so these verdicts will show as stale. Check again.")


def _note(line: str) -> None:
    print(line, file=sys.stderr)


def _keep(report: RunReport, space: Workspace | None) -> None:
    from cohort_cli.checking import log

    if space is not None:
        log.append(space.log_path, report)


def _draw(report: RunReport) -> None:
    from cohort_cli.checking import report as draw

    draw.show([*draw.report_lines(report), ("", draw.next_line(report))])


class _Progress:
    """One live line on standard error, on a terminal only."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self.live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._line("starting; torch takes a few seconds")

    def add(self, result: CheckResult) -> None:
        self.done += 1
        self._line(f"{self.done} of {self.total}: {result.id}")

    def clear(self) -> None:
        self._line("")

    def _line(self, text: str) -> None:
        if self.live:
            print(f"\r{text[:70]:<70}\r", end="", file=sys.stderr, flush=True)
