"""What a model writes to instructions. A judge or a person compares it with what another model writes. No torch.

The model takes the likeliest token each time, so the same model always gives the same answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

from cohort_cli.errors import UsageError
from cohort_cli.evaluating import MODULE
from cohort_cli.training import play_client

REFERENCE = "reference"  # the answer that stands in the file
Progress = Callable[[str, int, int], None]  # what is done, how many, of how many
Record = dict[str, str]


class Pair(NamedTuple):
    """One instruction, the model's answer, and the answer that it is compared with."""

    instruction: str  # with its input, if it has one
    answer: str
    other: str
    reference: str  # what the file gives as the right answer

    @property
    def id(self) -> str:
        """The same for the same three texts, and nothing that tells whose is whose."""
        text = "\0".join([self.instruction, *sorted([self.answer, self.other])])
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def pairs(
    run: str, checkpoint: str, against: str, prompts: str, limit: int, tokens: int, tell: Progress
) -> list[Pair]:
    """Ask the run, and the one that it is compared with. `prompts` "": the run's own held-out instructions."""
    records, mine = ask(run, checkpoint, None, prompts, limit, tokens, tell)
    if against == REFERENCE:
        others = [record["output"] for record in records]
    else:
        others = ask(against, "best", records, "", limit, tokens, tell)[1]
    found = [
        Pair(instruction_of(record), one, two, record["output"])
        for record, one, two in zip(records, mine, others, strict=True)
    ]
    return list(
        {pair.id: pair for pair in found}.values()
    )  # an instruction that stands there twice counts once


def instruction_of(record: Record) -> str:
    return "\n".join(text for text in (record["instruction"], record["input"]) if text)


def ask(
    run: str,
    checkpoint: str,
    records: list[Record] | None,
    prompts: str,
    limit: int,
    tokens: int,
    tell: Progress,
) -> tuple[list[Record], list[str]]:
    """(the records, an answer to each)."""
    folder, chosen = play_client.find(run, checkpoint)
    task = folder.config().task
    if task == "classify":
        raise UsageError(
            f"{folder.root.name} labels texts; it writes no answers.", "Its measure: --on perplexity"
        )
    if records is None and not prompts and task == "pretrain":
        raise UsageError(
            f"{folder.root.name} was trained on plain text, so there are no instructions to ask it.",
            "--prompts FILE.jsonl with instruction, input and output; or kit:NAME",
        )
    asked: list[Record] = []
    answers: list[str] = []
    request: dict[str, Any] = {"on": "answers", "records": records, "prompts": prompts, "limit": limit}
    with play_client.Player(folder, chosen, MODULE) as player:
        for event in player.ask(**request, tokens=tokens):
            if event["event"] == "answer":
                asked.append(event["record"])
                answers.append(event["text"])
                tell(f"answers of {folder.root.name}", len(answers), event["of"])
    return asked, answers
