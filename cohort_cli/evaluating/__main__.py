"""A trained model under measurement:  python -m cohort_cli.evaluating RUN_FOLDER CHECKPOINT_FOLDER [data]

`data`: its own training and held-out data are needed as well. Requests and events as in training/play.py:

    {"on": "perplexity"}                                                      -> "progress" ..., "result"
    {"on": "hellaswag", "place", "limit", "shots", "contamination"}           -> "note", "progress" ..., "result"
    {"on": "answers", "records", "prompts", "limit", "tokens"}                -> "answer" ..., "done"
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cohort_cli.errors import UsageError
from cohort_cli.evaluating import likelihood, perplexity, sources
from cohort_cli.evaluating.benchmarks import BENCHMARKS, Benchmark
from cohort_cli.evaluating.contamination import Overlap
from cohort_cli.evaluating.items import Item, Scored
from cohort_cli.evaluating.record import Record
from cohort_cli.training import play
from cohort_cli.training.finetune.records import read_rows
from cohort_cli.training.play import Played
from cohort_cli.training.runs import RunFolder
from cohort_cli.training.tasks import Pretrain

FIELDS = ("instruction", "input", "output")
SECONDS = 0.5  # between two words about the progress


def answer(played: Played, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if request["on"] == "perplexity":
        return perplexity.evaluate(played)
    if request["on"] == "answers":
        return answers(played, request)
    return benchmark(played, request)


def answers(played: Played, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What the model writes to these records; without any, to those of a source or to its own held-out ones."""
    records = request["records"]
    if records is None:
        records = read_rows(request["prompts"], FIELDS) if request["prompts"] else _held_out(played)
        records = records[: request["limit"] or None]
    template = played.config.task in ("instruct", "dpo")
    for record in records:
        record = {field: record[field] for field in FIELDS}
        prompt = "\n".join(text for text in (record["instruction"], record["input"]) if text)
        if template:
            prompt = played.task.format_example({**record, "output": ""})[0]
        asked = {"prompt": prompt, "tokens": request["tokens"], "temperature": 0.0, "top_k": None, "seed": 1}
        events = list(play.answer(played, {**asked, "template": False}))
        text = "".join(event["text"] for event in events if event["event"] == "text")
        yield {"event": "answer", "record": record, "text": text.strip(), "of": len(records)}
    yield {"event": "done"}


def _held_out(played: Played) -> list[dict[str, str]]:
    if played.config.task != "instruct":
        raise UsageError(
            f"A run of the task {played.config.task} has no held-out instructions.", "--prompts FILE.jsonl"
        )
    splits = played.task.records
    found: list[dict[str, str]] = splits["test"] or splits["validation"]
    return found


def benchmark(played: Played, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One of BENCHMARKS. What was scored before is taken from the run folder."""
    wanted = BENCHMARKS[request["on"]]
    if played.config.task == "classify":
        raise UsageError(
            "This model labels texts; it does not predict them.",
            "Take a run of the tasks pretrain or instruct.",
        )
    found = sources.load(wanted, request["place"], limit=request["limit"], shots=request["shots"])
    tokenizer = played.task.tokenizer
    yield from _unknown(found.items, tokenizer)
    run = RunFolder.open(Path(sys.argv[1]))
    record = Record(
        run, Path(sys.argv[2]), wanted.name,
        {"items": found.identity, "count": len(found.items), "device": str(played.device.type)},
    )  # fmt: skip
    scored = record.begin([item.id for item in found.items])
    if scored:
        yield {"event": "note", "text": f"{len(scored):,} items were scored before; the rest follows"}
    said = time.monotonic()
    context = played.config.model.context
    for some in likelihood.score(played.model, tokenizer, context, played.device, found.items[len(scored) :]):
        record.add(some)
        scored += some
        if time.monotonic() - said > SECONDS:
            said = time.monotonic()
            yield {"event": "progress", "what": "scored", "done": len(scored), "of": len(found.items)}
    summary = {**_facts(scored), "place": found.place, "count": len(scored), "of": found.of,
               **wanted.summary(scored)}  # fmt: skip
    if request["contamination"]:
        yield from _overlap(wanted, played, found.items, scored, summary)
    record.finish({"schema": "cohort.evaluation/1", "run": run.root.name, "results": {wanted.name: summary}})
    yield {"event": "result", **summary, "file": str(record.path)}


def _facts(scored: list[Scored]) -> dict[str, Any]:
    shots = [one.shots for one in scored]
    return {
        "shots": {"mean": sum(shots) / len(shots), "least": min(shots), "most": max(shots)},
        "cut": sum(one.cut for one in scored),
    }


def _unknown(items: list[Item], tokenizer: Any) -> Iterator[dict[str, Any]]:
    """A vocabulary of characters cannot write everything; a score over holes in the text should say so."""
    if tokenizer.unknown is None:
        return
    holes = sum(tokenizer.unknown in tokenizer.encode(item.context + "".join(item.choices)) for item in items)
    if holes:
        text = f"{holes:,} of {len(items):,} items have characters that this model does not know"
        yield {"event": "note", "text": text}


def _overlap(
    wanted: Benchmark, played: Played, items: list[Item], scored: list[Scored], summary: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Adds to the summary which items were in the training text, and the score of those that were not."""
    if not isinstance(played.task, Pretrain):
        raise UsageError(
            "Only a pre-training run has training tokens to look through.", "Leave --contamination away."
        )
    split = played.task.tokens.split("train")
    overlap = Overlap(items, played.task.tokenizer)
    said = time.monotonic()
    for done in overlap.look(split):
        if time.monotonic() - said > SECONDS:
            said = time.monotonic()
            yield {"event": "progress", "what": "looked through", "done": done, "of": split.tokens}
    seen = overlap.seen()
    others = [one for one in scored if one.id not in set(seen)]
    summary["contamination"] = {
        "row_tokens": overlap.n,
        "training_tokens": split.tokens,
        "seen": seen,
        "too_short": len(overlap.too_short),
        "accuracy_of_others": wanted.summary(others)["accuracy"] if others else None,
    }


if __name__ == "__main__":
    sys.exit(play.serve_run(sys.argv, answer, with_data=sys.argv[3:] == ["data"]))
