"""The better of two answers, without a reward model (DPO). B batch, T time (tokens)."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from cohort_cli.training.config import Config
from cohort_cli.training.data.tokenizer import Tokenizer
from cohort_cli.training.finetune.instruct import IGNORED, Example, Instruct
from cohort_cli.training.finetune.records import Record
from cohort_cli.training.parts import Parts
from cohort_cli.training.tasks import Batch


class Preferences(Instruct):
    """Records with "prompt", "chosen" and "rejected".

    A batch is inputs and targets of both answers, chosen rows first, (2B, T): one forward pass scores all of them. The
    reference model is the model as it was before the first step, frozen.
    """

    fields = ("prompt", "chosen", "rejected")

    def __init__(self, config: Config, parts: Parts, tokenizer: Tokenizer | None) -> None:
        self.logprob = parts.take_or_reference("preferences", "sequence_logprob")
        self.dpo_loss = parts.take_or_reference("preferences", "dpo_loss")
        super().__init__(config, parts, tokenizer)
        self.rejected = {
            split: [
                (self.tokenizer.encode(self._prompt(r)), self.tokenizer.encode(r["rejected"]))
                for r in records
            ]
            for split, records in self.records.items()
        }
        self.reference: nn.Module | None = None

    def _prompt(self, record: Record) -> str:
        return str(self.format_example({"instruction": record["prompt"], "input": "", "output": ""})[0])

    def _texts(self, record: Record) -> tuple[str, str]:
        return self._prompt(record), record["chosen"] + "\n" + record["rejected"]

    def _example(self, record: Record) -> Example:
        return self.tokenizer.encode(self._prompt(record)), self.tokenizer.encode(record["chosen"])

    def adapt(self, model: nn.Module, vocab_size: int) -> nn.Module:
        self.reference = copy.deepcopy(model).eval().requires_grad_(False)
        return super().adapt(model, vocab_size)

    def batch(self, first: int, count: int) -> Batch:
        numbers = [self.order[n] for n in range(first, first + count)]
        return self._pairs("train", numbers)

    def _pairs(self, split: str, numbers: list[int]) -> Batch:
        rows = [self.examples[split][n] for n in numbers] + [self.rejected[split][n] for n in numbers]
        return Batch(self._batch(rows).tensors, len(numbers))

    def counted(self, first: int, count: int) -> int:
        return count

    def loss(self, model: nn.Module, tensors: tuple[Tensor, ...]) -> Tensor:
        loss: Tensor = self._compare(model, tensors)[0]
        return loss

    def _compare(self, model: nn.Module, tensors: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, float]]:
        inputs, targets = tensors
        assert self.reference is not None
        self.reference.to(inputs.device)
        pairs = len(inputs) // 2
        policy = self.logprob(model, inputs, targets, ignore_index=IGNORED)  # (2B,)
        with torch.no_grad():
            before = self.logprob(self.reference, inputs, targets, ignore_index=IGNORED)
        compared: tuple[Tensor, dict[str, float]] = self.dpo_loss(
            policy[:pairs], policy[pairs:], before[:pairs], before[pairs:], beta=self.config.dpo.beta
        )
        return compared

    def validation(self) -> list[Batch]:
        size = max(1, self.config.batch.micro_sequences)
        count = len(self.examples["validation"])
        return [
            self._pairs("validation", list(range(i, min(i + size, count)))) for i in range(0, count, size)
        ]

    def report(self, nats: float) -> dict[str, float]:
        return {"loss_over_ln2": nats / math.log(2)}

    @torch.no_grad()
    def score(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        """How often the chosen answer gained more than the rejected one, and by how many nats on average."""
        model.eval()
        right = margin = pairs = 0.0
        for batch in self.validation():
            tensors = tuple(tensor.to(device) for tensor in batch.tensors)
            _, metrics = self._compare(model, tensors)
            right += float(metrics["accuracy"]) * batch.counted
            margin += float(metrics["reward_margin"]) * batch.counted
            pairs += batch.counted
        return {"accuracy": right / pairs, "reward_margin": margin / pairs}
