"""`cohort trace "text"`: every stage from a text to the next token, with its shape."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cohort_cli.training.play_client import Process

SCHEMA = "cohort.trace/1"
MODULE = "cohort_cli.training.trace"
PARTS = ("reference", "mine")
NUMBER = re.compile(r"\b\d+\b")  # of a block, in a module's name such as h.3.attn


def trace(
    text: Annotated[str, typer.Argument(help="A text, in quotes.")],
    run: Annotated[
        str,
        typer.Argument(
            metavar="[RUN|mine|reference]", help="Whose model; mine and reference are Project 4's."
        ),
    ] = "reference",
    top: Annotated[int, typer.Option(help="How many of the likeliest next tokens.", min=1, max=200)] = 5,
    every: Annotated[bool, typer.Option("--every", help="Show every block, not only the first.")] = False,
    checkpoint: Annotated[str, typer.Option(metavar="best|newest|STEP", help="Whose weights.")] = "best",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Follow a text through a model: bytes, tokens, ids, each module with the shapes that go in and come out,
    probabilities, and the next token.

    RUN is one of your runs. mine is your GPT of Project 4 and reference the kit's, as large as GPT-2 with
    random weights: the shapes are GPT-2's, the probabilities mean nothing.

    $ cohort trace "The cat sat on the"
    model       the kit's GPT of Project 4, random weights, 124,439,808 parameters
    text        "The cat sat on the", 18 bytes
    tokens      "The" " cat" " sat" " on" " the"
    ids         464 3797 3332 319 262, as (1, 5): batch 1, 5 tokens
    …
    h.0                Block          (1, 5, 768) -> (1, 5, 768)         7,087,872
    …
    h.1 to h.11: the same shapes again, 11 times
    """
    process, says = _process(run, checkpoint)
    with process:
        (found,) = process.ask(text=text, top=top)
    del found["event"]
    if as_json:
        typer.echo(
            json.dumps({"schema": SCHEMA, "model": says, "parameters": process.ready["parameters"], **found})
        )
        return
    for line in _text(found, f"{says}, {process.ready['parameters']:,} parameters", every):
        typer.echo(line)
    typer.echo("next: cohort explain project4 model" if run in PARTS else f"next: cohort generate {run}")


def _process(run: str, checkpoint: str) -> tuple[Process, str]:
    """The process that holds the model, and whose it is."""
    from cohort_cli.catalog import find_project
    from cohort_cli.training import play_client
    from cohort_cli.workspace import find_workspace

    if run not in PARTS:
        folder, chosen = play_client.find(run, checkpoint)
        return play_client.Player(folder, chosen, MODULE), f"{folder.root.name}, step {chosen.step:,}"
    project = find_project("project4")
    code = project.reference if run == "reference" else find_workspace().project_folder(project)
    whose = "the kit's" if run == "reference" else "your"
    return play_client.Process(MODULE, [str(code)]), f"{whose} GPT of Project 4, random weights"


def _text(found: dict[str, Any], model: str, every: bool) -> list[str]:
    from cohort_cli.training.live import row

    tokens = found["tokens"]
    count = len(tokens)
    lines = row("model", model)
    lines += row("text", f"{_shown(found['text'])}, {found['bytes']} bytes")
    lines += row("tokens", " ".join(_shown(token["text"]) for token in tokens))
    lines += row(
        "ids", f"{' '.join(str(token['id']) for token in tokens)}, as (1, {count}): batch 1, {count} tokens"
    )
    lines += ["", f"{'stage':<18} {'kind':<14} {'what goes in -> what comes out':<34} parameters"]
    for stage, same in _folded(found["stages"], every):
        lines.append(_stage(stage))
        if same:
            lines.append(f"{same[0]['name']} to {same[-1]['name']}: the same shapes again, {len(same)} times")
    lines += [
        "",
        *row("logits", f"{found['logits']}: at each place a number for each token of the vocabulary"),
    ]
    lines += row("last place", f"{found['last']}, as probabilities by softmax; they add up to 1")
    for number, token in enumerate(found["next"]):
        share = f"{token['share']:.4f}" if token["share"] >= 0.001 else f"{token['share']:.1e}"
        lines += row("" if number else "next token", f"{share} {_shown(token['text'])} (id {token['id']})")
    return lines


def _stage(stage: dict[str, Any]) -> str:
    from cohort_cli.prose import clean

    name = "  " * stage["depth"] + (stage["name"].rpartition(".")[2] if stage["depth"] else stage["name"])
    shapes = f"{', '.join(stage['given'])} -> {', '.join(stage['made'])}"
    own = "shared" if stage["shared"] else f"{stage['parameters']:,}" if stage["parameters"] else ""
    return f"{clean(name):<18} {clean(stage['kind']):<14} {clean(shapes):<34} {own}".rstrip()


def _folded(
    stages: list[dict[str, Any]], every: bool
) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """(stage, the later blocks that are the same as the block which ends here). Those are left out, if not `every`."""
    blocks = _blocks(stages)
    shown = 0
    while shown < len(blocks):
        block, same = blocks[shown], 1
        while not every and shown + same < len(blocks) and _alike(block, blocks[shown + same]):
            same += 1
        for stage in block[:-1]:
            yield stage, []
        yield block[-1], [other[0] for other in blocks[shown + 1 : shown + same]]
        shown += same


def _blocks(stages: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Each stage that lies in no other one, with what lies in it."""
    blocks: list[list[dict[str, Any]]] = []
    for stage in stages:
        if stage["depth"] == 0:
            blocks.append([])
        blocks[-1].append(stage)
    return blocks


def _alike(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    """The same modules with the same shapes, under another number."""
    names = [[NUMBER.sub("", stage["name"]) for stage in block] for block in (one, other)]
    rest = [[(s["kind"], s["given"], s["made"], s["parameters"]) for s in block] for block in (one, other)]
    return one[0]["name"] != other[0]["name"] and names[0] == names[1] and rest[0] == rest[1]


def _shown(text: str) -> str:
    """A piece of text in quotes, with its blanks and line ends visible."""
    from cohort_cli.prose import clean

    return clean(json.dumps(text, ensure_ascii=False))
