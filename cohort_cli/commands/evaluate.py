"""`cohort evaluate RUN`: what a trained model scores on its held-out data, and how sure that is."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cohort_cli.training.kept import Kept
    from cohort_cli.training.runs import RunFolder

SCHEMA = "cohort.evaluation/1"
BENCHMARKS = {"perplexity": "the run's own held-out split: loss and what follows from it, accuracy of labels"}
WORDS = {
    "perplexity": ("perplexity", "{:.2f}"),
    "bits_per_byte": ("bits/byte", "{:.4f}"),
    "accuracy": ("accuracy", "{:.3f}"),
    "chance": ("chance", "{:.3f} (always the commonest label)"),
    "reward_margin": ("margin", "{:.3f} nats"),
}


def evaluate(
    run: Annotated[str, typer.Argument(metavar="RUN|CHECKPOINT", help="A run, or a checkpoint's folder.")],
    on: Annotated[
        list[str] | None, typer.Option(metavar="BENCHMARK", help="Again for more. Known: perplexity.")
    ] = None,
    checkpoint: Annotated[str, typer.Option(metavar="best|newest|STEP", help="Whose weights.")] = "best",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Score a model on the whole held-out split, each token once, with standard errors.

    During training only a part may be scored (run.eval_tokens); here it is everything.

    $ cohort evaluate project3-smoke-20261126-190500 --on perplexity
    model       project3-smoke-20261126-190500, step 300 (best)
    held out    46,512 targets in 727 windows
    loss        1.4885 nats per token (standard error 0.0115)
    bigram      2.3160 nats per token: counts of character pairs, same text
    perplexity  4.43 (standard error 0.05)
    bits/byte   2.1435 (standard error 0.0165)
    next: cohort generate project3-smoke-20261126-190500
    """
    from cohort_cli.errors import UsageError
    from cohort_cli.manifest import did_you_mean
    from cohort_cli.training import play_client

    for name in on or []:
        if name not in BENCHMARKS:
            raise UsageError(f"There is no benchmark {name!r}.", did_you_mean(name, list(BENCHMARKS)))
    folder, chosen = play_client.find(run, checkpoint)
    with play_client.Player(folder, chosen, "evaluate") as player:
        for event in player.ask(on=on or list(BENCHMARKS)):
            if event["event"] == "progress":
                print(f"scored      {event['done']:,} of {event['of']:,}", file=sys.stderr, flush=True)
    del event["event"]
    if as_json:
        place = {"run": folder.root.name, "step": chosen.step, "checkpoint": str(chosen.path)}
        typer.echo(json.dumps({"schema": SCHEMA, **place, "results": {"perplexity": event}}))
        return
    for line in _text(folder, chosen, event):
        typer.echo(line)


def _text(folder: RunFolder, chosen: Kept, found: dict[str, Any]) -> list[str]:
    from cohort_cli.prose import clean
    from cohort_cli.training import baselines, live

    config = folder.config()
    whole = config._replace(run=config.run._replace(eval_tokens=0))
    lines = live.row(
        "model", f"{folder.root.name}, step {chosen.step:,}{' (best)' if chosen.is_best else ''}"
    )
    lines += live.row("held out", f"{found['targets']:,} targets in {found['count']:,} {found['units']}")
    unit = live.UNITS[config.task]
    lines += live.row("loss", f"{found['loss']:.4f} {unit}{_error(found, 'loss', '{:.4f}')}")
    if (nats := baselines.bigram(folder, whole)) is not None:
        lines += live.row("bigram", f"{nats:.4f} {unit}: counts of character pairs, same text")
    for key, (name, form) in WORDS.items():
        if key in found:
            lines += live.row(name, form.format(found[key]) + _error(found, key, form))
    return [*lines, f"next: cohort generate {clean(folder.root.name)}"]


def _error(found: dict[str, Any], key: str, form: str) -> str:
    error = found.get(f"{key}_error")
    return "" if error is None else f" (standard error {form.format(error)})"
