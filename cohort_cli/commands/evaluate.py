"""`cohort evaluate RUN`: what a trained model is worth, and how sure that is."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cohort_cli.evaluating.answers import Pair, Progress
    from cohort_cli.training.kept import Kept
    from cohort_cli.training.runs import RunFolder

SCHEMA = "cohort.evaluation/1"
COMPARED = ("judge", "human")  # they need another answer beside the model's
PAIRS = 50  # instructions that are answered for them, if --items does not say
MEASURES = ("perplexity", "hellaswag", "lambada", "mmlu", "judge", "human")


def evaluate(
    run: Annotated[str, typer.Argument(metavar="RUN|CHECKPOINT", help="A run, or a checkpoint's folder.")],
    on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MEASURE", help=f"{', '.join(MEASURES)}; several with commas. Default: perplexity."
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MEASURE=PLACE", help="Items from a .jsonl or .parquet file, or a folder; else the hub."
        ),
    ] = None,
    items: Annotated[int, typer.Option(help="Score so many items, the same each time; 0: all.", min=0)] = 0,
    shots: Annotated[int, typer.Option(help="Worked examples before a question of mmlu.", min=0, max=5)] = 5,
    contamination: Annotated[
        bool, typer.Option("--contamination", help="Look for the items in the training tokens.")
    ] = False,
    prompts: Annotated[
        str,
        typer.Option(metavar="FILE", help="judge, human: instructions; default: the run's held-out ones."),
    ] = "",
    against: Annotated[
        str, typer.Option(metavar="RUN|reference", help="judge, human: whose answers to compare with.")
    ] = "reference",
    tokens: Annotated[int, typer.Option(help="judge, human: tokens of an answer at most.", min=1)] = 100,
    judge_url: Annotated[
        str, typer.Option(metavar="URL", help="An OpenAI-compatible server.", envvar="COHORT_JUDGE_URL")
    ] = "",
    judge_model: Annotated[
        str, typer.Option(metavar="NAME", help="The model that judges.", envvar="COHORT_JUDGE_MODEL")
    ] = "",
    sheet: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="human: a filled sheet; again for more raters.")
    ] = None,
    checkpoint: Annotated[str, typer.Option(metavar="best|newest|STEP", help="Whose weights.")] = "best",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Score a model: each measure with its items, its standard error and its chance level.

    perplexity takes the whole held-out split, each token once; during training only a part may be scored.
    hellaswag, lambada and mmlu compare likelihoods, as the public harness does. judge asks a larger model,
    human makes a blind sheet for people, or reads filled ones. What was scored is kept in the run folder:
    an interrupted evaluation goes on where it stopped.

    $ cohort evaluate project3-smoke-20261126-190500
    model       project3-smoke-20261126-190500, step 300 (best)
    held out    46,512 targets in 727 windows
    loss        1.4885 nats per token (standard error 0.0115)
    bigram      2.3160 nats per token: counts of character pairs, same text
    perplexity  4.43 (standard error 0.05)
    bits/byte   2.1435 (standard error 0.0165)
    next: cohort generate project3-smoke-20261126-190500

    $ cohort evaluate my-gpt2 --on hellaswag --items 200
    model       my-gpt2, step 19,073 (best)
    hellaswag   200 of 10,042 items
    accuracy    0.290 (standard error 0.032)
                chance 0.250: not distinguishable from chance (p = 0.19)
    """
    from cohort_cli.bars import bar
    from cohort_cli.evaluating import report
    from cohort_cli.prose import clean
    from cohort_cli.training import play_client
    from cohort_cli.training.live import row

    wanted = _measures(on or ["perplexity"])
    places = _places(data or [], wanted)
    folder, chosen = play_client.find(run, checkpoint)
    found: dict[str, Any] = {}

    def show(measure: str, result: dict[str, Any]) -> None:
        found[measure] = result
        if not as_json:
            typer.echo("\n".join(report.lines(folder, measure, result)))

    if not as_json:
        best = " (best)" if chosen.is_best else ""
        typer.echo("\n".join(row("model", f"{folder.root.name}, step {chosen.step:,}{best}")))
    asked = {"limit": items, "shots": shots, "contamination": contamination}
    _score(folder, chosen, [name for name in wanted if name not in COMPARED], places, asked, show)
    if set(COMPARED) & set(wanted):
        from cohort_cli.evaluating.judge import Endpoint

        place = chosen.path.name
        compared = _Compared(folder, place, against, sheet or [])
        if "judge" in wanted:
            Endpoint.find(judge_url, judge_model)  # what is missing is told before the model is asked
        if "judge" in wanted or not sheet:
            with bar() as tell:
                compared.ask(run, checkpoint, prompts, items or PAIRS, tokens, tell)
        if "judge" in wanted:
            show("judge", compared.judge(judge_url, judge_model))
        if "human" in wanted:
            show("human", compared.human())
    if as_json:
        where = {"run": folder.root.name, "step": chosen.step, "checkpoint": str(chosen.path)}
        typer.echo(json.dumps({"schema": SCHEMA, **where, "results": found}))
    elif "sheet" in found.get("human", {}):
        typer.echo(f"next: cohort evaluate {clean(folder.root.name)} --on human --sheet FILE")
    else:
        typer.echo(f"next: cohort generate {clean(folder.root.name)}")


def _measures(words: list[str]) -> list[str]:
    from cohort_cli.errors import UsageError
    from cohort_cli.manifest import did_you_mean

    names = list(dict.fromkeys(name.strip() for word in words for name in word.split(",") if name.strip()))
    for name in names:
        if name not in MEASURES:
            raise UsageError(f"There is no measure {name!r}.", did_you_mean(name, list(MEASURES)))
    if not names:
        raise UsageError("--on names no measure.", f"Known: {', '.join(MEASURES)}.")
    return names


def _places(words: list[str], wanted: list[str]) -> dict[str, str]:
    """measure -> where its items are. A place alone is that of the only benchmark."""
    from cohort_cli.errors import UsageError

    benchmarks = [name for name in wanted if name not in ("perplexity", *COMPARED)]
    places = {}
    for word in words:
        name, equals, place = word.partition("=")
        if not (equals and name in MEASURES) and len(benchmarks) == 1:
            name, place = benchmarks[0], word
        if name not in benchmarks or not place:
            raise UsageError(
                f"--data {word}: it is not clear which measure these items are for.",
                f"--data {benchmarks[0] if benchmarks else 'hellaswag'}=PLACE, with that measure in --on",
            )
        places[name] = place
    return places


def _score(
    folder: RunFolder,
    chosen: Kept,
    wanted: list[str],
    places: dict[str, str],
    asked: dict[str, Any],
    show: Callable[[str, dict[str, Any]], None],
) -> None:
    """The measures that only the model itself is needed for, one after the other in one process."""
    from cohort_cli.bars import bar
    from cohort_cli.evaluating import MODULE
    from cohort_cli.training import play_client
    from cohort_cli.training.live import row

    if not wanted:
        return
    own_data = "perplexity" in wanted or asked["contamination"]
    with (
        bar() as tell,
        play_client.Player(folder, chosen, MODULE, *(["data"] if own_data else [])) as player,
    ):
        for measure in wanted:
            for event in player.ask(on=measure, place=places.get(measure, ""), **asked):
                if event["event"] == "progress":
                    tell(event["what"], event["done"], event["of"])
                elif event["event"] == "note":
                    print("\n".join(row("note", event["text"])), file=sys.stderr, flush=True)
            del event["event"]
            tell("", 0, 0)
            show(measure, event)


class _Compared:
    """Answers of this model beside another one's: marked by a judge, or put onto a sheet for people."""

    def __init__(self, folder: RunFolder, place: str, against: str, sheets: list[Path]) -> None:
        from cohort_cli.evaluating import sheet
        from cohort_cli.evaluating.record import FOLDER

        self.against = against
        self.folder = folder.root / FOLDER
        self.place = self.folder / f"{place}-human"
        self.filled = sheet.read_all(self.place, sheets) if sheets else []
        self.pairs: list[Pair] = []

    def ask(self, run: str, checkpoint: str, prompts: str, limit: int, tokens: int, tell: Progress) -> None:
        from cohort_cli.evaluating import answers

        self.pairs = answers.pairs(run, checkpoint, self.against, prompts, limit, tokens, tell)

    def judge(self, url: str, model: str) -> dict[str, Any]:
        from cohort_cli.bars import bar
        from cohort_cli.evaluating import judge

        endpoint = judge.Endpoint.find(url, model)
        with bar() as tell:
            found = judge.judge(self.pairs, endpoint, self.folder / "judge.jsonl", tell)
        if self.filled:
            from cohort_cli.evaluating import sheet

            found["people"] = judge.with_people(found["items"], sheet.majority(self.filled))
        return {**found, "against": self.against}

    def human(self) -> dict[str, Any]:
        from cohort_cli.evaluating import sheet

        if self.filled:
            return sheet.summary(self.filled)
        return {"sheet": str(sheet.write(self.place, self.pairs, self.against)), "pairs": len(self.pairs)}
