"""`cohort showcase`: what members made, as entries that others may read without fear."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cohort_cli.showcase.pack import Parts
    from cohort_cli.showcase.sources import Candidate

HELP = """What the group made: packed, checked, collected.

$ cohort showcase add my-gpt --handle ada
wrote       showcase/ada-my-gpt: card.md, config.json, entry.json, …
next: answer the questions in showcase/ada-my-gpt/card.md
"""
OUT = Path("showcase")
ENTRIES = Path("showcase") / "entries"

app = typer.Typer(help=HELP, no_args_is_help=True)


@app.command()
def add(
    what: Annotated[
        str, typer.Argument(metavar="RUN|PROJECT", help="A run, or a project of your workspace.")
    ],
    handle: Annotated[str, typer.Option(metavar="HANDLE", help="Your name in the showcase.")],
    title: Annotated[str, typer.Option(help="One line; default: the run's, or the project's.")] = "",
    figure: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE=TEXT", help="A PNG, and what is to be seen in it; up to 8."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where entries are written.")] = OUT,
) -> None:
    """Pack an entry from what is on the disk: verdicts, curve, samples, scores, and a card to answer.

    There is no code in it and no path of your machine. Do it again after more training: the data become
    new, and your card stays as you wrote it. A figure needs words for those who do not see it:
    --figure curve.png="The loss falls from 4.2 to 1.9, then stays."

    $ cohort showcase add my-gpt --handle ada
    wrote       showcase/ada-my-gpt: card.md, config.json, entry.json,
                evaluation.json, metrics.jsonl, samples.jsonl, tokenizer.json,
                verdicts.json
    note        no live demo: this network is a member's own
    next: answer the questions in showcase/ada-my-gpt/card.md
    """
    from cohort_cli.errors import UsageError
    from cohort_cli.prose import clean
    from cohort_cli.showcase import pack
    from cohort_cli.showcase.figures import MOST
    from cohort_cli.training.live import row

    drawn: dict[str, pack.Drawn] = {}
    for given in figure or ():
        name, one = pack.figure(given)
        if name in drawn:
            raise UsageError(f"Two figures would be {name}.", "Give their files different names.")
        drawn[name] = one
    if len(drawn) > MOST:
        raise UsageError(f"{len(drawn)} figures are too many.", f"An entry has at most {MOST}.")
    packed = pack.add(_parts(what), handle, out, title, drawn)
    place = packed.place.as_posix()
    lines = row("wrote", f"{place}: {', '.join(packed.files)}")
    for note in packed.notes:
        lines += row("note", note)
    if packed.card_kept:
        lines += row("kept", "card.md, as you wrote it")
    next_line = (
        f"cohort showcase check {place}" if packed.card_kept else f"answer the questions in {place}/card.md"
    )
    typer.echo("\n".join([*lines, f"next: {clean(next_line)}"]))


def _parts(what: str) -> Parts:
    """A run of this name or, if there is none, a project."""
    from cohort_cli.catalog import find_project
    from cohort_cli.errors import UsageError
    from cohort_cli.showcase import from_run, pack
    from cohort_cli.training.places import runs_home
    from cohort_cli.training.runs import find_run

    try:
        return from_run.of_run(find_run(runs_home(), what))
    except UsageError as no_run:
        try:
            project = find_project(what)
        except UsageError:
            raise UsageError(f"{what!r} is neither a run nor a project.", no_run.repair) from None
    return pack.of_project(project)


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(metavar="ENTRY", help="An entry's folder.")],
) -> None:
    """Say what is missing in an entry, a line each. Exit code 0 when it is complete, 1 when it is not.

    $ cohort showcase check showcase/ada-my-gpt
    card.md: line 5 is still a question: TODO: in two or three sentences, for …
    card.md: the section “Use of AI” is empty
    next: write showcase/ada-my-gpt/card.md
    """
    from cohort_cli.errors import UsageError
    from cohort_cli.prose import clean
    from cohort_cli.showcase import missing

    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}.", "cohort showcase add RUN --handle ada")
    found = missing.in_folder(folder)
    for line in found:
        typer.echo(clean(line).replace("\n", " "))
    if not found:
        typer.echo(f"{clean(folder.name)} is complete.\nnext: hand the folder to whoever keeps the showcase")
        return
    in_card = all(line.startswith("card.md") for line in found)
    typer.echo(
        f"next: write {clean((folder / 'card.md').as_posix())}" if in_card else "next: cohort showcase add …"
    )
    raise typer.Exit(1)


@app.command()
def collect(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="Folders, .zip or .tar.gz files, or git remotes.")
    ],
    into: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where the group's entries are kept.")
    ] = ENTRIES,
    replace: Annotated[
        bool, typer.Option("--replace", help="An entry takes the place of another of its name.")
    ] = False,
    large: Annotated[bool, typer.Option("--large", help="Models up to 64 MiB, not only 16.")] = False,
) -> None:
    """Take entries from other people's hands. Nothing of them is run, and nothing unknown is taken.

    An entry that is not plain is refused with the file and the reason, and the others are taken. What is
    there already stays, without --replace. Exit code 1 if one was refused.

    $ cohort showcase collect shared/ eve.zip
    published      ada-my-gpt
    refused        eve.zip/eve-x: card.md: it is a link
    1 published, 0 there already, 1 refused
    next: cohort showcase check showcase/entries/ada-my-gpt
    """
    from cohort_cli import remotes
    from cohort_cli.errors import NothingRan, UsageError
    from cohort_cli.prose import clean
    from cohort_cli.showcase.collect import PUBLISHED, REFUSED, REPLACED, THERE
    from cohort_cli.showcase.collect import collect as collect_entries

    for source in sources:
        if not Path(source).exists() and not remotes.is_remote(source):
            raise UsageError(
                f"There is no {source}.", "Name a folder, an archive, or a remote such as https://…"
            )
    counts = {PUBLISHED: 0, **({REPLACED: 0} if replace else {}), THERE: 0, REFUSED: 0}
    first = ""
    with ExitStack() as stack:
        for what, where, says in collect_entries(
            _candidates(sources, into, stack, large), into, replace=replace, large=large
        ):
            counts[what] += 1
            first = first or (where if what != REFUSED else "")
            line = f"{what:<15}{where}" + (f": {says}" if says else "")
            typer.echo(clean(line).replace("\n", " "), err=what == REFUSED)
    if not any(counts.values()):
        raise NothingRan(
            "There is no entry in there.", "Members pack one with: cohort showcase add RUN --handle ada"
        )
    typer.echo(", ".join(f"{count} {what}" for what, count in counts.items()))
    typer.echo(
        f"next: cohort showcase check {(into / first).as_posix()}" if first else "next: docs/showcase.md"
    )
    if counts[REFUSED]:
        raise typer.Exit(1)


@app.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[ENTRY]...", help="Entries; without one, all of them.")
    ] = None,
    entries: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where they are, if not in showcase/entries.")
    ] = None,
    text: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Another held-out text. Claims are then not compared."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also what has not changed since.")] = False,
) -> None:
    """Measure the models of entries on held-out text, and say which claims hold.

    No code of an entry runs. Exit code 1 if a claim is outside of its tolerance, or if an entry could
    not be measured. What is measured is kept in showcase/measured, a file for each entry.

    $ cohort showcase verify
    entry                           claimed measured            95 %  state
    ada-my-gpt                       2.1416   2.1424  2.118 to 2.167  confirmed
    eve-x                            0.9000   2.1424  2.118 to 2.167  outside
        bits per byte: claimed 0.9000, measured 2.1424 on the same text; 0.02 of
        difference is allowed
    next: cohort site build
    """
    from cohort_cli.bars import bar
    from cohort_cli.showcase import places, verify_text
    from cohort_cli.showcase.held_out import held_out
    from cohort_cli.showcase.verify import verify as verify_entries

    home = places.entries_home(entries)
    folders = places.folders(home, names)
    measured_on = held_out(text)
    bad = measured = 0
    typer.echo(verify_text.HEAD)
    with bar() as tell:
        for outcome in verify_entries(folders, home, measured_on, text, again, tell):
            bad += outcome.is_bad
            measured += bool(outcome.record)
            for line in verify_text.lines(outcome):
                typer.echo(line)
    typer.echo("next: cohort site build" if measured else "next: docs/believing.md")
    if bad:
        raise typer.Exit(1)


@app.command()
def reproduce(
    name: Annotated[str, typer.Argument(metavar="ENTRY", help="An entry of a run.")],
    entries: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where it is, if not in showcase/entries.")
    ] = None,
    mine: Annotated[
        bool, typer.Option("--mine", help="With the parts of your workspace, not the kit's.")
    ] = False,
    steps: Annotated[
        int | None, typer.Option(metavar="N", help="Fewer steps than its maker's.", min=1)
    ] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Also if it takes long.")] = False,
) -> None:
    """Train an entry's configuration again, and write down the difference.

    Ctrl-C saves, and the same command goes on. The result is kept in showcase/reproduced.

    $ cohort showcase reproduce ada-my-gpt
    …
                        claimed       got  difference
    validation loss      1.4872    1.4870     -0.0002
    bits per byte        2.1416    2.1413     -0.0003
    next: cohort runs show again-ada-my-gpt-1f2e3d4c
    """
    import sys

    from cohort_cli import own_parts
    from cohort_cli.catalog import find_project
    from cohort_cli.showcase import places
    from cohort_cli.showcase import reproduce as again
    from cohort_cli.workspace import find_workspace

    home = places.entries_home(entries)
    job = again.wanted(places.folders(home, [name])[0], steps)
    if not anyway:
        again.require_quick(job)
    parts: dict[str, str] = {}
    if mine:
        project = find_project(job.one.head["project"])
        parts = own_parts.parts_of(
            find_workspace(),
            job.config,
            project,
            "mine",
            lambda what, text: print(f"{what:<11} {text}", file=sys.stderr),
        )
    folder = again.run_folder(job, parts)
    again.train(folder)
    for line in again.lines(again.record(job, folder, home)):
        typer.echo(line)
    typer.echo(f"next: cohort runs show {folder.root.name}")


def _candidates(sources: list[str], into: Path, stack: ExitStack, large: bool) -> Iterator[Candidate]:
    """What lies in each source. A remote that cannot be fetched is refused like a bad entry."""
    from cohort_cli import remotes
    from cohort_cli.errors import DataTrouble
    from cohort_cli.showcase.sources import Candidate, candidates

    for source in sources:
        if Path(source).exists():
            yield from candidates(Path(source), into=into, large=large)
            continue
        try:
            fetched = remotes.fetch(source, stack)
        except DataTrouble as trouble:
            yield Candidate(source, "", {}, trouble.message)
        else:
            yield from candidates(fetched, source, into, large=large)
