"""`cohort generate RUN`: text from a trained model, as it comes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

SCHEMA = "cohort.generation/1"


def generate(
    run: Annotated[str, typer.Argument(metavar="RUN|CHECKPOINT", help="A run, or a checkpoint's folder.")],
    prompt: Annotated[str | None, typer.Option(help="What to go on from; else the preset's prompt.")] = None,
    tokens: Annotated[int, typer.Option(help="How many new tokens at most.", min=1)] = 200,
    temperature: Annotated[
        float, typer.Option(help="Below 1: likelier tokens; 0: always the likeliest.", min=0)
    ] = 0.8,
    top_k: Annotated[int | None, typer.Option(help="Draw from the K likeliest tokens only.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="The same seed, the same text.", min=0, max=2**62)] = 1,
    count: Annotated[int, typer.Option(help="So many texts, with seeds that follow each other.", min=1)] = 1,
    checkpoint: Annotated[str, typer.Option(metavar="best|newest|STEP", help="Whose weights.")] = "best",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Let a trained model write. A model that labels texts labels the prompt.

    $ cohort generate project3-smoke-20261126-190500 --prompt "The " --tokens 40
    The "__getattribute__()" is "()") rempled_pr
    next: cohort evaluate project3-smoke-20261126-190500
    """
    from cohort_cli.prose import clean
    from cohort_cli.training import play_client

    folder, chosen = play_client.find(run, checkpoint)
    prompt = folder.config().run.sample_prompt if prompt is None else prompt
    request = {"prompt": prompt, "tokens": tokens, "temperature": temperature, "top_k": top_k}
    samples = []
    with play_client.Player(folder, chosen) as player:
        for note in play_client.notes(folder, chosen, player.ready):
            _tell("model", note)
        for number in range(count):
            if count > 1 and not as_json:
                typer.echo(f"--- {number + 1} of {count}, seed {seed + number}")
            answer = player.ask(**request, seed=seed + number, template=False)
            start = "" if player.ready["task"] == "classify" or as_json else prompt
            text, done = show(answer, start, quiet=as_json)
            samples.append({"prompt": prompt, "text": text, "seed": seed + number, "tokens": done["tokens"]})
    name = clean(folder.root.name)
    if as_json:
        typer.echo(
            json.dumps({"schema": SCHEMA, "run": folder.root.name, "step": chosen.step, "samples": samples})
        )
    else:
        typer.echo(f"next: cohort evaluate {name}")


def show(
    answer: Iterator[dict[str, Any]], start: str = "", *, quiet: bool = False
) -> tuple[str, dict[str, Any]]:
    """Print an answer as it comes, behind `start`. Returns the text as it is, and its last event."""
    from cohort_cli.prose import clean

    text, event = "", {}
    if not quiet:
        typer.echo(clean(start), nl=False)
    for event in answer:
        if event["event"] == "note":
            _tell("note", event["text"])
        elif event["event"] == "text":
            text += event["text"]
            if not quiet:
                typer.echo(clean(event["text"]), nl=False)
                sys.stdout.flush()
    if not quiet:
        typer.echo("")
    if event["seconds"] and not quiet:
        _tell("speed", f"{event['tokens']:,} tokens, {event['tokens'] / event['seconds']:,.0f} per second")
    return text, event


def _tell(what: str, text: str) -> None:
    from cohort_cli.training.live import row

    for line in row(what, text):
        print(line, file=sys.stderr, flush=True)
