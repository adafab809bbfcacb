"""`cohort ladder`: from guessing to a GPT, each model of the same text on one axis."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cohort_cli.evaluating.ladder import Climbing, Rung, Text
    from cohort_cli.workspace import Workspace

BAR = 34  # columns of the longest bar


def ladder(
    reference: Annotated[
        bool, typer.Option("--reference", help="Climb with the kit's own answers, to show where it leads.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for ladder.html and ladder.svg; default: your workspace.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Compare models of the same text: uniform, unigram, bigram, trigram, MLP, GPT. Lower is better.

    All learn from nine tenths of the embedded text and are scored on the last. A rung of the warm-up is
    yours once its step is ok: then your own code is run, the MLP for about a minute, once. The GPT is the
    best of your runs on this text. Also writes ladder.html and ladder.svg, which grow as you climb.

    $ cohort ladder
    rung     nats/char  bits/byte
    uniform      4.635      6.674  ##################################
    unigram      3.238      4.662  ########################
    bigram       2.316      3.335  #################
    trigram          -          -  cohort check project0 counts
    MLP              -          -  cohort check project0 modules
    GPT          1.487      2.141  ###########
    page     ladder.html
    next: cohort check project0 counts
    """
    from cohort_cli.bars import bar
    from cohort_cli.errors import CohortError
    from cohort_cli.evaluating.ladder import SCHEMA, Store, bits_per_byte, climb, gpt
    from cohort_cli.evaluating.ladder import text as corpus_text
    from cohort_cli.training.curves_text import can_draw

    who, space = _who(reference)
    about = corpus_text()
    store = Store(space.state_folder / "ladder.json" if space is not None else None)
    rungs: list[Rung] = []
    block = "█" if can_draw(sys.stdout.encoding) else "#"
    if not as_json:
        typer.echo("rung     nats/char  bits/byte")
    trouble: CohortError | None = None
    with bar() as tell:
        try:
            for rung in chain(climb(who, about, store, tell), _later(lambda: gpt(store, tell))):
                rungs.append(rung)
                tell("", 0, 0)
                if not as_json:
                    typer.echo(_line(rung, rungs[0], about, block))
        except CohortError as raised:  # what was reached before is shown and written all the same
            trouble = raised
    folder = out or (space.root if space is not None else None)
    written = _write(folder, rungs, about) if folder is not None else []
    if trouble is not None:
        raise trouble
    if as_json:
        found = []
        for rung in rungs:
            bits = None if rung.nats is None else bits_per_byte(rung.nats, about.validation)
            found.append({**rung._asdict(), "bits_per_byte": bits})
        scored = {"characters": len(about.validation), "alphabet": about.characters, "text": about.identity}
        typer.echo(json.dumps({"schema": SCHEMA, **scored, "rungs": found}, indent=1))
        return
    if written:
        typer.echo(f"page     {written[0]}")
    left = [rung.says for rung in rungs if rung.nats is None]
    typer.echo(f"next: {left[0] if left else 'cohort runs list'}")


def _later(make: Callable[[], Rung]) -> Iterator[Rung]:
    yield make()


def _who(reference: bool) -> tuple[Climbing, Workspace | None]:
    """Whose code, and the workspace that keeps the page: none where there is none and none is needed."""
    from cohort_cli import progress
    from cohort_cli.catalog import find_project
    from cohort_cli.errors import NoWorkspace
    from cohort_cli.evaluating.ladder import Climbing
    from cohort_cli.workspace import find_workspace

    project = find_project("project0")
    try:
        space = find_workspace()
    except NoWorkspace:
        if not reference:
            raise
        return Climbing(project.reference, False, lambda step: ""), None
    if reference:
        return Climbing(project.reference, False, lambda step: ""), space
    folder = space.project_folder(project)
    reached = {step.id: step for step in progress.of_project(space, project)} if space.has(project) else {}

    def open_step(step: str) -> str:
        if not reached:
            return f"cohort start {project.id}"
        return "" if reached[step].done else f"cohort check {project.id} {step}"

    return Climbing(folder, True, open_step), space


def _line(rung: Rung, longest: Rung, about: Text, block: str) -> str:
    from cohort_cli.evaluating.ladder import bits_per_byte
    from cohort_cli.prose import width

    if rung.nats is None or not longest.nats:
        return f"{rung.name:<8} {'-':>9}  {'-':>9}  {rung.says}"
    bits = bits_per_byte(rung.nats, about.validation)
    columns = max(1, min(BAR, width() - 31))
    bar = block * min(max(1, round(columns * rung.nats / longest.nats)), columns)
    return f"{rung.name:<8} {rung.nats:>9.3f}  {bits:>9.3f}  {bar}"


def _write(folder: Path, rungs: list[Rung], about: Text) -> list[Path]:
    from cohort_cli.evaluating import ladder_page
    from cohort_cli.training import disk, guards, svg

    contents = {
        "ladder.html": ladder_page.page(rungs, about),
        "ladder.svg": svg.alone(ladder_page.picture(rungs, about)),
    }
    try:
        disk.make_folders(folder.absolute())
        for name, content in contents.items():
            disk.replace_bytes(folder / name, content.encode())
    except OSError as error:
        raise guards.disk_trouble(error, str(folder)) from None
    here = Path.cwd()
    return [
        path.relative_to(here) if (path := (folder / name).absolute()).is_relative_to(here) else path
        for name in contents
    ]
