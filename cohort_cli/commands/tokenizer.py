"""`cohort tokenizer`: train one, write it in another format, and try what changes it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cohort_cli.tokens.formats import Parts
    from cohort_cli.tokens.texts import Source

HELP = """Train a tokenizer, write it in another format, or try what changes it.

$ cohort tokenizer train embedded
documents      1
...
next: cohort tokens "…" --tokenizer mine
"""

EMBEDDED = "embedded"
END_OF_TEXT = "<|endoftext|>"

app = typer.Typer(help=HELP, no_args_is_help=True)

CodeOption = Annotated[
    str | None,
    typer.Option(
        metavar="mine|reference", help="Whose code; yours by default, if you have started project1."
    ),
]


@app.command()
def train(
    corpus: Annotated[
        list[str], typer.Argument(metavar="CORPUS...", help="UTF-8 text files, or the word: embedded.")
    ],
    vocab_size: Annotated[
        int, typer.Option(help="Tokens: 256 bytes, the merges, and the special tokens.")
    ] = 1024,
    out: Annotated[
        Path | None, typer.Option(help="tokenizer.json by default, in your project1 folder or here.")
    ] = None,
    code: CodeOption = None,
    special: Annotated[
        list[str] | None, typer.Option(metavar="TOKEN", help=f"A special token; {END_OF_TEXT} by default.")
    ] = None,
    lines: Annotated[bool, typer.Option("--lines", help="Each line of a file is a document.")] = False,
    no_words: Annotated[bool, typer.Option("--no-words", help="Merge across words: no pattern.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Learn a vocabulary from texts, and keep it in one file.

    The word "embedded" stands for the English prose of Python's documentation, which every Python
    carries. A file is one document. The result appears whole or not at all.

    $ cohort tokenizer train embedded
    documents      1
    bytes          466,273
    vocabulary     1,024: 256 bytes, 767 merges, 1 special token
    seconds        0.3
    first merges   " "+" "  "-"+"-"  " "+"t"  "  "+"  "  " "+"a"
    last merges    "            "+"   "  "te"+"n"  "race"+"back"  "r"+"ame"  …
    longest token  "-----------+--------------------------------" (44 bytes)
    written        project1_bpe_tokenizer/tokenizer.json
    next: cohort tokens "…" --tokenizer mine
    """
    import time

    from cohort_cli.tokens import sources, texts
    from cohort_cli.tokens.client import Coder
    from cohort_cli.tokens.files import draft_of

    started = time.monotonic()
    chosen = sources.code(code)
    own = chosen.folder / sources.SAVED if chosen.mine else Path(sources.SAVED)
    target = out or own
    tokens = [END_OF_TEXT] if special is None else special
    found = [_source(word) for word in corpus]
    _refuse_bad_options(vocab_size, tokens, target, force)
    options: dict[str, object] = {"special_tokens": tokens}
    if no_words:
        options["pattern"] = None
    count = Reading()
    with Coder(chosen) as coder, _progress(sum(source.size() for source in found)) as heard:
        coder.train(count.through(texts.documents(found, lines), heard), vocab_size, **options)
        _refuse_no_merges(coder.parts)
        with draft_of(target) as draft:
            coder.save(draft)
    _report(count, coder.parts, vocab_size, time.monotonic() - started)
    typer.echo(f"written        {texts.short(target)}")
    name = "mine" if chosen.mine and target.absolute() == own.absolute() else texts.short(target)
    typer.echo(f'next: cohort tokens "…" --tokenizer {_quoted(name)}')


class Reading:
    """How much was read."""

    def __init__(self) -> None:
        self.documents = 0
        self.bytes = 0

    def through(self, documents: Iterable[str], heard: Callable[[int | None], None]) -> Iterator[str]:
        """The same documents; `heard` gets the bytes that have been read, and None when all are."""
        for text in documents:
            self.documents += 1
            self.bytes += len(text.encode("utf-8"))
            yield text
            heard(self.bytes)
        heard(None)


def _refuse_bad_options(vocab_size: int, special: list[str], target: Path, force: bool) -> None:
    from cohort_cli.errors import UsageError

    least = 256 + len(special) + 1
    if vocab_size < least:
        raise UsageError(
            f"A vocabulary of {vocab_size} has no room: the 256 bytes, "
            f"{_counted(len(special), 'special token')} and one merge need {least}.",
            f"Write --vocab-size {least} or more.",
        )
    for token in special:
        if not token or special.count(token) > 1:
            raise UsageError(f"The special token {token!r} is {'given twice' if token else 'empty'}.")
    _refuse_to_overwrite(target, force)


def _refuse_to_overwrite(target: Path, force: bool) -> None:
    from cohort_cli.errors import UsageError

    if target.exists() and not target.is_file():
        what = "a folder" if target.is_dir() else "no ordinary file"
        raise UsageError(f"{target} is {what}.", "Name a file with --out.")
    if not target.absolute().parent.is_dir():
        raise UsageError(f"There is no folder {target.absolute().parent}.", "Make it first.")
    if target.exists() and not force:
        raise UsageError(f"{target} exists.", "Name another file with --out, or replace it with --force.")


def _source(word: str) -> Source:
    from cohort_cli.errors import UsageError
    from cohort_cli.tokens.texts import Source

    if word == EMBEDDED:
        from cohort_cli.training import corpus

        return Source(word, text=corpus.load())
    path = Path(word)
    if not path.is_file():
        what = "is no ordinary file" if path.exists() else "does not exist"
        what = "is a folder, not a text file" if path.is_dir() else what
        raise UsageError(f"{word} {what}.", f"Name UTF-8 text files, or the word: {EMBEDDED}")
    return Source(word, path=path)


def _refuse_no_merges(parts: Parts) -> None:
    from cohort_cli.errors import UsageError

    if not parts.merges:
        raise UsageError(
            "There was nothing to learn: no two bytes stand side by side in these texts.",
            "Give more text.",
        )


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int | None], None]]:
    """A bar on standard error while texts are read, then a clock. Without a terminal there is nothing."""
    import os

    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda size: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading", total=total)

        def heard(size: int | None) -> None:
            if size is None:
                progress.update(task, description="learning merges", total=None)
            else:
                progress.update(task, completed=size)

        yield heard


def _report(count: Reading, parts: Parts, asked: int, seconds: float) -> None:
    from cohort_cli.tokens.show import visible

    special = len(parts.special_tokens)
    made = [left + right for left, right in parts.merges]
    longest = max(made, key=len)
    typer.echo(f"documents      {count.documents:,}")
    typer.echo(f"bytes          {count.bytes:,}")
    typer.echo(
        f"vocabulary     {len(parts.vocab):,}: 256 bytes, {_counted(len(made), 'merge')}, "
        f"{_counted(special, 'special token')}"
    )
    if len(parts.vocab) < asked:
        typer.echo(f"               ({asked:,} were asked for; the texts have no more pairs)")
    typer.echo(f"seconds        {seconds:.1f}")
    typer.echo(f"first merges   {_merges(parts.merges[:5])}")
    typer.echo(f"last merges    {_merges(parts.merges[-5:])}")
    typer.echo(f'longest token  "{visible(longest)}" ({len(longest)} bytes)')


def _merges(merges: list[tuple[bytes, bytes]]) -> str:
    from cohort_cli.tokens.show import visible

    return "  ".join(f'"{visible(left)}"+"{visible(right)}"' for left, right in merges)


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _quoted(name: str) -> str:
    return f'"{name}"' if " " in name else name


@app.command()
def export(
    file: Annotated[str, typer.Argument(metavar="FILE|mine|gpt2", help="The tokenizer.")],
    to: Annotated[str, typer.Option("--to", metavar="huggingface|tiktoken", help="The format.")],
    out: Annotated[Path, typer.Option("--out", help="The file to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write a tokenizer so that other libraries can read it.

    huggingface: everything in one tokenizer.json, for tokenizers.Tokenizer.from_file.

    tiktoken: lines of a token in base64 and its rank. Special tokens and the pattern are not part of
    that format, so they are printed: tiktoken.Encoding asks for them.

    $ cohort tokenizer export gpt2 --to tiktoken --out gpt2.tiktoken
    gpt2.tiktoken: 50,256 ranks
    pat_str         "'(?:[sdmt]|ll|ve|re)| ?\\\\p{L}+| …"
    special_tokens  {"<|endoftext|>": 50256}
    next: cohort tokens "…" --tokenizer gpt2.tiktoken
    """
    import json

    from cohort_cli.errors import UsageError
    from cohort_cli.manifest import did_you_mean
    from cohort_cli.tokens import formats, sources, texts
    from cohort_cli.tokens.files import write_whole

    writers = {"huggingface": formats.to_huggingface, "tiktoken": formats.to_tiktoken}
    if to not in writers:
        raise UsageError(f"There is no format {to!r}.", did_you_mean(to, list(writers)))
    _refuse_to_overwrite(out, force)
    with sources.open_tokenizer(file, lambda line: typer.echo(line, err=True)) as coder:
        parts = coder.parts
    try:
        content = writers[to](parts)
    except ValueError as trouble:
        raise UsageError(f"{file} cannot be written in this format: {trouble}.") from None
    write_whole(out, content.encode("utf-8"))
    special = formats.special_ids(parts)
    if to == "tiktoken":
        typer.echo(f"{texts.short(out)}: {len(parts.vocab) - len(special):,} ranks")
        typer.echo(f"pat_str         {json.dumps(formats.covering(parts.pattern))}")
        typer.echo(f"special_tokens  {json.dumps(special)}")
    else:
        typer.echo(f"{texts.short(out)}: {len(parts.vocab):,} tokens, {len(parts.merges):,} merges")
    typer.echo(f'next: cohort tokens "…" --tokenizer {_quoted(texts.short(out))}')


@app.command()
def experiment(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="vocab-size, domains, ties, words or algorithms.")
    ],
    out: Annotated[Path | None, typer.Option(help="experiments/tokenizer-NAME by default.")] = None,
    code: CodeOption = None,
    corpus: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE", help="A text in place of those that the kit carries; several times."
        ),
    ] = None,
) -> None:
    """Try what a choice does: a table and a figure.

    Needs: pip install "cohort-kit[experiments]"

    \b
    vocab-size  bytes per token for growing vocabularies
    domains     learned from one text, used on another
    ties        of equally frequent pairs the greater is merged, or the smaller
    words       merges within words, and across them
    algorithms  BPE beside WordPiece and Unigram

    $ cohort tokenizer experiment ties
    Ties to the greater pair, and to the smaller
    …
    english         512     256            3  86                2.27     2.26
    …
    next: open experiments/tokenizer-ties/figure.svg
    """
    from cohort_cli.tokens import sources, texts
    from cohort_cli.tokens.experiments import find
    from cohort_cli.tokens.experiments.lab import Lab, require

    chosen = find(name)
    require("matplotlib")
    own = [_named(word) for word in corpus or []]
    with Lab(sources.code(code), lambda line: typer.echo(line, err=True)) as lab:
        result = chosen.run(lab, dict(own) if own else _corpora(chosen.corpora))
    folder = out or Path("experiments") / f"tokenizer-{name}"
    typer.echo(result.table.text())
    for path in result.write(folder, f"cohort tokenizer experiment {name}"):
        typer.echo(f"written  {texts.short(path)}")
    typer.echo(f"next: open {_quoted(texts.short(folder / 'figure.svg'))}")


def _named(word: str) -> tuple[str, str]:
    from cohort_cli.errors import UsageError

    name, equals, file = word.partition("=")
    if not (name and equals and file):
        raise UsageError(f"--corpus {word}: this is not NAME=FILE.", f"Such as: --corpus english={EMBEDDED}")
    return name, _source(file).read()


def _corpora(names: tuple[str, ...]) -> dict[str, str]:
    """Texts that the kit or Python itself carries."""
    from cohort_cli.tokens import carried
    from cohort_cli.training import corpus

    readers = {"english": corpus.load, "code": carried.python_code, "german": carried.german}
    return {name: readers[name]() for name in names}
