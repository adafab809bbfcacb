"""An answer to an instruction: the loss counts the answer alone. B batch, T time (tokens)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from cohort_cli.errors import UsageError
from cohort_cli.training.adapters import adapters
from cohort_cli.training.config import Config
from cohort_cli.training.data.tokenizer import Tokenizer
from cohort_cli.training.finetune import common
from cohort_cli.training.finetune.records import Record, identity, load_records
from cohort_cli.training.parts import Parts
from cohort_cli.training.tasks import Batch, loss_of

EVAL_TEXTS = 16  # per batch
IGNORED = -1  # what Project 2's GPT does not count
Example = tuple[list[int], list[int]]  # prompt ids, response ids


class Instruct:
    """Records with "instruction", "input" and "output". A batch is inputs (B, T) and targets (B, T), shifted."""

    fields: tuple[str, ...] = ("instruction", "input", "output")

    def __init__(self, config: Config, parts: Parts, tokenizer: Tokenizer | None) -> None:
        self.config, self.parts = config, parts
        self.notes: list[str] = []
        self.format_example = parts.take_or_reference("instructions", "format_example")
        self.collate = parts.take_or_reference("instructions", "sft_collate")
        self.generate = parts.take_or_reference("instructions", "generate_response")
        self.records = load_records(config.data, self.fields)
        if tokenizer is None:
            texts = [text for records in self.records.values() for r in records for text in self._texts(r)]
            tokenizer = common.tokenizer_for(config.data.tokenizer, texts)
        self.tokenizer = tokenizer
        self.end_id = common.end_id(tokenizer)
        self.identity = identity(self.records)
        self.records = self._that_fit()
        self.examples = {split: list(map(self._example, records)) for split, records in self.records.items()}
        self.order = common.Order(len(self.examples["train"]), config.run.seed)

    def _that_fit(self) -> dict[str, list[Record]]:
        """The records whose prompt leaves room for an answer; what is left out is noted. Raises UsageError if nothing is
        left to train on, or to measure with."""
        length = self.config.batch.length
        kept: dict[str, list[Record]] = {}
        for split, records in self.records.items():
            sizes = [len(self.tokenizer.encode(self._texts(record)[0])) for record in records]
            kept[split] = [r for r, size in zip(records, sizes, strict=True) if size < length]
            if lost := len(records) - len(kept[split]):
                self.notes.append(f"{lost} of {len(records)} {split} examples are left out: their prompts alone fill "
                                  f"the {length} tokens of batch.length")  # fmt: skip
            if not kept[split] and split != "test":
                raise UsageError(
                    f"No {split} example fits into batch.length = {length} tokens: the shortest prompt has "
                    f"{min(sizes, default=0)}.",
                    "Start from a model with a longer context, or bring shorter examples.",
                )
        return kept

    def _texts(self, record: Record) -> tuple[str, str]:
        prompt, response = self.format_example(record)
        return prompt, response

    def _example(self, record: Record) -> Example:
        prompt, response = self._texts(record)
        return self.tokenizer.encode(prompt), self.tokenizer.encode(response)

    def adapt(self, model: nn.Module, vocab_size: int) -> nn.Module:
        common.train_last_blocks(model, self.config.model.train_blocks)
        return adapters(self.config, self.parts)(model)

    def batch(self, first: int, count: int) -> Batch:
        train = self.examples["train"]
        return self._batch([train[self.order[n]] for n in range(first, first + count)])

    def _batch(self, examples: list[Example]) -> Batch:
        inputs, targets = self.collate(
            examples,
            pad_id=self.end_id,
            end_id=self.end_id,
            ignore_index=IGNORED,
            max_length=self.config.batch.length,
        )
        return Batch((inputs, targets), int((targets != IGNORED).sum()))

    def counted(self, first: int, count: int) -> int:
        return self.batch(first, count).counted

    def loss(self, model: nn.Module, tensors: tuple[Tensor, ...]) -> Tensor:
        return loss_of(self.parts, model, tensors)

    def validation(self) -> list[Batch]:
        held_out = self.examples["validation"]
        return [self._batch(held_out[i : i + EVAL_TEXTS]) for i in range(0, len(held_out), EVAL_TEXTS)]

    def report(self, nats: float) -> dict[str, float]:
        return {"perplexity": math.exp(min(nats, 700.0))}

    def score(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        return {}

    @torch.no_grad()
    def sample(self, model: nn.Module, step: int, device: torch.device) -> tuple[str, str] | None:
        """The answer to the first instruction of the validation split."""
        prompt, _ = self._texts(self.records["validation"][0])
        ids = self.generate(
            model,
            self.tokenizer.encode(prompt),
            end_id=self.end_id,
            max_new_tokens=self.config.run.sample_tokens,
            max_length=self.config.model.context,
        )
        return prompt, self.tokenizer.decode(i for i in ids if i < self.tokenizer.vocab_size)
