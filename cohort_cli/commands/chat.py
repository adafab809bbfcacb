"""`cohort chat RUN`: talk to a trained model in the terminal."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

QUIT = ("/quit", "/q", "/exit")


def chat(
    run: Annotated[str, typer.Argument(metavar="RUN|CHECKPOINT", help="A run, or a checkpoint's folder.")],
    tokens: Annotated[int, typer.Option(help="Tokens of an answer at most.", min=1)] = 200,
    temperature: Annotated[
        float, typer.Option(help="Below 1: likelier tokens; 0: always the likeliest.", min=0)
    ] = 0.8,
    top_k: Annotated[int | None, typer.Option(help="Draw from the K likeliest tokens only.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Of the first answer.", min=0, max=2**62)] = 1,
    checkpoint: Annotated[str, typer.Option(metavar="best|newest|STEP", help="Whose weights.")] = "best",
) -> None:
    """Type a line, read the answer. Each line stands alone: the model does not see the ones before.

    A run of the tasks instruct and dpo gets your line in the template that it was trained with; a pre-trained
    model goes on from it; a classifier labels it. /quit, Ctrl-D or Ctrl-C ends.

    $ cohort chat project3-instruct-20261126-190500
    > Name a colour.
    Blue.
    > /quit
    next: cohort evaluate project3-instruct-20261126-190500
    """
    from cohort_cli.commands.generate import show
    from cohort_cli.prose import clean
    from cohort_cli.training import live, play_client

    folder, chosen = play_client.find(run, checkpoint)
    request = {"tokens": tokens, "temperature": temperature, "top_k": top_k}
    try:
        with play_client.Player(folder, chosen) as player:
            template = player.ready["task"] in ("instruct", "dpo")
            for note in play_client.notes(folder, chosen, player.ready):
                print("\n".join(live.row("model", note)), file=sys.stderr, flush=True)
            print("Each line stands alone. /quit ends.", file=sys.stderr, flush=True)
            while (line := _read()) is not None:
                if line:
                    show(player.ask(prompt=line, template=template, seed=seed, **request))
                    seed += 1
    except KeyboardInterrupt:
        typer.echo("")
    typer.echo(f"next: cohort evaluate {clean(folder.root.name)}")


def _read() -> str | None:
    """The next line without blanks around it; None: no more."""
    try:
        line = input("> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return None
    return None if line in QUIT else line
