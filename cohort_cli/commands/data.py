"""`cohort data`: which texts there are to train on, turned into tokens once, and checked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cohort_cli.training.data.shards import TokenFolder

HELP = """The texts that models are trained on, as tokens.

$ cohort data prepare embedded
tokenizer   characters, 104 ids of 16 bits
...
next: cohort train project3 --set data.source=embedded
"""
WRONG = 8

app = typer.Typer(help=HELP, no_args_is_help=True)


@app.command(name="list")
def list_all() -> None:
    """Show the corpora that have a name, with size and licence, and what is prepared on this machine.

    Nothing is downloaded.

    $ cohort data list
    embedded         The English prose of Python's documentation
                     0.5 MB of text; no download
                     PSF-2.0
    …
    Prepared in data
             465,126 tokens        0.9 MB  embedded-characters-992021de3dc2
    next: cohort data prepare embedded
    """
    from cohort_cli.errors import CohortError
    from cohort_cli.training.data.shards import Manifest, all_folders
    from cohort_cli.training.data.sources import CORPORA, EMBEDDED
    from cohort_cli.training.places import data_home

    rows = {
        EMBEDDED: ("The English prose of Python's documentation", "0.5 MB of text; no download", "PSF-2.0")
    }
    rows |= {name: (found.title, found.size, found.licence) for name, found in CORPORA.items()}
    for name, (title, size, licence) in rows.items():
        typer.echo(f"{name:<16} {title}\n{'':<16} {size}\n{'':<16} {licence}")
    typer.echo("Beside these: hf:OWNER/NAME, and files (.txt .jsonl .parquet .csv)\n")
    home = data_home()
    folders = all_folders(home)
    typer.echo(f"Prepared in {_short(home)}" if folders else f"Nothing is prepared in {_short(home)} yet.")
    for folder in folders:
        try:
            manifest = Manifest.read(folder)
        except CohortError as trouble:
            typer.echo(f"  {folder.name} is damaged: {trouble.message}")
            continue
        tokens = sum(counts.tokens for counts in manifest.splits.values())
        megabytes = sum(file.size for file in manifest.files) / 1e6
        typer.echo(f"{tokens:>16,} tokens {megabytes:>10,.1f} MB  {folder.name}")
    typer.echo("next: cohort data verify" if folders else "next: cohort data prepare embedded")


@app.command()
def prepare(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="A name from `cohort data list`, hf:OWNER/NAME, or a file."),
    ],
    tokenizer: Annotated[
        str, typer.Option(metavar="characters|gpt2|mine|FILE", help="FILE is a tokenizer.json.")
    ] = "characters",
    shard_tokens: Annotated[int, typer.Option(help="Tokens per file.")] = 100_000_000,
    validation_share: Annotated[
        float, typer.Option(help="Of the text, if the source has no validation split.")
    ] = 0.1,
    max_tokens: Annotated[int, typer.Option(help="Stop after so many for training; 0: all.")] = 0,
    text_field: Annotated[str, typer.Option(help="The column that holds the text.")] = "text",
    again: Annotated[bool, typer.Option("--again", help="Make it anew, even if it is there.")] = False,
) -> None:
    """Turn a text into files of tokens, which training reads without parsing.

    It is done once for each source, tokenizer and settings; a second time only shows what is there. The
    folder appears whole or not at all. Size and licence are shown before anything is downloaded.

    $ cohort data prepare embedded
    tokenizer   characters, 104 ids of 16 bits
    train       418,613 tokens, 419,674 bytes of text, 1 document
    validation  46,513 tokens, 46,599 bytes of text, 1 document
    per token   1.00 bytes
    folder      data/embedded-characters-992021de3dc2
    next: cohort train project3 --set data.source=embedded
    """
    from cohort_cli.training.config import Data
    from cohort_cli.training.data.prepare import prepare as run
    from cohort_cli.training.places import data_home

    data = Data(source, tokenizer, shard_tokens, validation_share, max_tokens, text_field)
    with _progress() as progress:
        folder = run(data, data_home(), lambda line: typer.echo(line, err=True), progress, again)
    _report(folder)
    settings = [f"data.{name}={value}" for name, value in data._asdict().items() if _differs(name, value)]
    typer.echo("next: cohort train project3 " + " ".join(f"--set {_quoted(word)}" for word in settings))


def _differs(name: str, value: object) -> bool:
    from cohort_cli.training.config import Data

    return name == "source" or value != Data._field_defaults[name]


def _report(folder: TokenFolder) -> None:
    manifest = folder.manifest
    bits = 16 if manifest.dtype == "uint16" else 32
    typer.echo(f"tokenizer   {manifest.settings['tokenizer']}, {manifest.vocab_size:,} ids of {bits} bits")
    for split, counts in manifest.splits.items():
        documents = f"{counts.documents:,} document{'' if counts.documents == 1 else 's'}"
        typer.echo(f"{split:<11} {counts.tokens:,} tokens, {counts.bytes:,} bytes of text, {documents}")
        if counts.unknown:
            typer.echo(f"{'':<11} {counts.unknown:,} of them unknown to the tokenizer")
    typer.echo(f"per token   {folder.split('train').bytes_per_token:.2f} bytes")
    typer.echo(f"folder      {_short(folder.path)}")


@app.command()
def verify(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="[FOLDER]...", help="All that is prepared, by default.")
    ] = None,
) -> None:
    """Read prepared tokens and compare their checksums with those of the day they were written.

    Exits with 8 if a file is missing or has changed.

    $ cohort data verify
    ok     data/embedded-characters-992021de3dc2, 3 files, 0.9 MB
    next: cohort data list
    """
    from cohort_cli.errors import UsageError
    from cohort_cli.training.data.shards import Manifest, all_folders, problems, repair
    from cohort_cli.training.places import data_home

    wrong = []
    for folder in folders or all_folders(data_home()):
        if not folder.is_dir():
            raise UsageError(f"There is no folder {folder}.", "cohort data list")
        found = problems(folder, checksums=True)
        if found:
            wrong.append(folder)
            typer.echo(f"WRONG  {_short(folder)}")
            for problem in found:
                typer.echo(f"       {problem}")
            continue
        files = Manifest.read(folder).files
        size = sum(file.size for file in files) / 1e6
        typer.echo(f"ok     {_short(folder)}, {len(files)} files, {size:,.1f} MB")
    if wrong:
        typer.echo(f"next: {repair(wrong[0])}")
        raise typer.Exit(WRONG)
    typer.echo("next: cohort data list")


@contextmanager
def _progress() -> Iterator[Callable[[float | None, int], None]]:
    """A bar on standard error. Without a terminal, or with one that cannot draw, there is nothing."""
    if not sys.stderr.isatty():
        yield lambda share, tokens: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.fields[tokens]:,} tokens"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, tokens=0)

        def heard(share: float | None, tokens: int) -> None:
            if share is not None:
                bar.update(task, total=1.0, completed=min(share, 1.0))
            bar.update(task, tokens=tokens)

        yield heard


def _short(path: Path) -> str:
    """The path from here, where it lies below, safe to print."""
    from cohort_cli.prose import clean

    here, path = Path.cwd(), path.absolute()
    return clean(str(path.relative_to(here)) if path.is_relative_to(here) else str(path))


def _quoted(word: str) -> str:
    return f'"{word}"' if " " in word else word
