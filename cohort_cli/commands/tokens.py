"""`cohort tokens`: a text cut into tokens, by one tokenizer or by two side by side."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cohort_cli.tokens.client import Token

SCHEMA = "cohort.tokens/1"
LIMIT = 200


def tokens(
    text: Annotated[
        str, typer.Argument(metavar="TEXT|FILE|-", help="A text, a UTF-8 file, or - for standard input.")
    ],
    tokenizer: Annotated[
        list[str] | None,
        typer.Option(metavar="mine|gpt2|FILE", help="gpt2 by default. Give it twice to compare two."),
    ] = None,
    special: Annotated[
        bool, typer.Option("--special", help="Let special tokens in the text be tokens, not text.")
    ] = False,
    limit: Annotated[int, typer.Option(help="Show at most so many tokens.", min=0)] = LIMIT,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Show how a text is cut into tokens.

    FILE, for --tokenizer: what `cohort tokenizer train` wrote, Hugging Face's tokenizer.json
    (byte-level BPE), or tiktoken's ranks.

    $ cohort tokens "Tokenizers don't count."
    Token|izers| don|'t| count|.

       id  bytes   text
    30642  Token   "Token"
    11341  izers   "izers"
      836   don    " don"
      470  't      "'t"
      954   count  " count"
       13  .       "."

    23 characters · 23 bytes · 6 tokens · 3.83 bytes per token
    Special tokens in the text are text (--special makes them tokens).
    next: cohort tokenizer train embedded
    """
    from cohort_cli.errors import UsageError
    from cohort_cli.prose import clean
    from cohort_cli.tokens.texts import given

    names = tokenizer or ["gpt2"]
    if len(names) > 2:
        raise UsageError("More than two tokenizers are given.", "Compare them two at a time.")
    content = given(text)
    cuts = [_encode(name, content, special) for name in names]
    if as_json:
        typer.echo(json.dumps(_as_json(content, special, names, cuts)))
        return
    names = [clean(name) for name in names]
    if len(cuts) == 1:
        _show_one(content, names[0], cuts[0], special, limit)
    else:
        _show_two(content, names, cuts, special, limit)
    typer.echo(f"next: {_next(names)}")


def _encode(name: str, text: str, special: bool) -> list[Token]:
    from cohort_cli.tokens.sources import open_tokenizer

    with open_tokenizer(name, lambda line: typer.echo(line, err=True)) as coder:
        return coder.encode(text, special)


def _show_one(text: str, name: str, tokens: list[Token], special: bool, limit: int) -> None:
    from cohort_cli.tokens import show

    if shown := tokens[:limit]:
        typer.echo(show.cut(shown, _colour()), color=True)
        typer.echo("\n" + "\n".join(show.table(shown)) + "\n")
    _left_out(tokens, limit)
    size = len(text.encode("utf-8"))
    typer.echo(
        f"{len(text):,} characters · {size:,} bytes · {len(tokens):,} token{'s' * (len(tokens) != 1)} · "
        f"{show.rate(size, len(tokens))} bytes per token\n{_special(special)}"
    )
    _gives_back(text, tokens, name, "")


def _show_two(text: str, names: list[str], cuts: list[list[Token]], special: bool, limit: int) -> None:
    from cohort_cli.tokens import show

    size = len(text.encode("utf-8"))
    for name, tokens in zip(names, cuts, strict=True):
        if shown := tokens[:limit]:
            typer.echo(f"{name}:\n{show.cut(shown, _colour())}\n", color=True)
        _left_out(tokens, limit)
    width = max(len("tokenizer"), *map(len, names))
    typer.echo(f"{'tokenizer':<{width}}  {'tokens':>9}  bytes per token")
    for name, tokens in zip(names, cuts, strict=True):
        typer.echo(f"{name:<{width}}  {len(tokens):>9,}  {show.rate(size, len(tokens)):>15}")
    typer.echo(f"\n{len(text):,} characters · {size:,} bytes\n{_special(special)}")
    difference = show.first_difference(*cuts)
    if difference is None:
        typer.echo("Both cut at the same places.")
    else:
        first, second = (show.visible(piece) for piece in difference[1:])
        typer.echo(
            f'The first differing cut is at byte {difference.byte:,}: {names[0]} takes "{first}", '
            f'{names[1]} takes "{second}".'
        )
    for name, tokens in zip(names, cuts, strict=True):
        _gives_back(text, tokens, name, f"{name}: ")


def _left_out(tokens: list[Token], limit: int) -> None:
    if len(tokens) > limit:
        typer.echo(f"{len(tokens) - limit:,} more tokens are left out (--limit {limit}).\n")


def _special(allowed: bool) -> str:
    if allowed:
        return "Special tokens in the text are tokens (--special)."
    return "Special tokens in the text are text (--special makes them tokens)."


def _gives_back(text: str, tokens: list[Token], name: str, before: str) -> None:
    """A right tokenizer loses nothing. A member's may not be right yet."""
    if b"".join(token.piece for token in tokens) != text.encode("utf-8"):
        repair = " Run: cohort check project1" if name == "mine" else ""
        typer.echo(f"{before}These tokens do not give the text back.{repair}", err=True)


def _as_json(text: str, special: bool, names: list[str], cuts: list[list[Token]]) -> dict[str, Any]:
    import cohort_cli
    from cohort_cli.tokens import show

    size = len(text.encode("utf-8"))
    difference = show.first_difference(*cuts) if len(cuts) == 2 else None
    return {
        "schema": SCHEMA,
        "kit": cohort_cli.__version__,
        "characters": len(text),
        "bytes": size,
        "special": special,
        "tokenizers": [
            {
                "name": name,
                "count": len(tokens),
                "bytes_per_token": size / len(tokens) if tokens else None,
                "tokens": [{"id": id, "bytes": piece.hex(), "text": _text(piece)} for id, piece in tokens],
            }
            for name, tokens in zip(names, cuts, strict=True)
        ],
        "first_difference": {
            "byte": difference.byte,
            "bytes": [difference.first.hex(), difference.second.hex()],
        }
        if difference
        else None,
    }


def _text(piece: bytes) -> str | None:
    try:
        return piece.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _next(names: list[str]) -> str:
    from cohort_cli.errors import CohortError
    from cohort_cli.tokens.sources import SAVED, mine

    if "mine" in names:
        return "cohort tokenizer experiment vocab-size"
    try:
        trained = (mine().folder / SAVED).is_file()
    except CohortError:
        trained = False
    return (
        'cohort tokens "…" --tokenizer gpt2 --tokenizer mine'
        if trained
        else "cohort tokenizer train embedded"
    )
