"""A label for a text, read at its last token. B batch, T time (tokens)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cohort_cli.errors import UsageError
from cohort_cli.training.adapters import adapters
from cohort_cli.training.config import Config
from cohort_cli.training.data.tokenizer import Tokenizer
from cohort_cli.training.finetune import common
from cohort_cli.training.finetune.records import identity, load_records
from cohort_cli.training.parts import Parts
from cohort_cli.training.tasks import Batch

EVAL_TEXTS = 32  # per batch


class Classify:
    """Records with "text" and "label". A batch is ids (B, T), padded on the right, and labels (B,)."""

    def __init__(self, config: Config, parts: Parts, tokenizer: Tokenizer | None) -> None:
        self.config, self.parts = config, parts
        self.notes: list[str] = []
        splits = load_records(config.data, ("text", "label"))
        self.identity = identity(splits)
        self.tokenizer = tokenizer or common.tokenizer_for(config.data.tokenizer, common.all_texts(splits))
        self.labels = sorted({record["label"] for record in splits["train"]})
        self.pad_id = common.end_id(self.tokenizer)
        self.examples = {
            split: [
                example
                for r in records
                if r["label"] in self.labels and (example := self._example(r["text"], r["label"]))[0]
            ]
            for split, records in splits.items()
        }
        empty = sum(map(len, splits.values())) - sum(map(len, self.examples.values()))
        if empty:
            self.notes.append(
                f"{empty} texts are left out: they are empty, or their label is not in the training split"
            )
        for split in ("train", "validation"):
            if not self.examples[split]:
                raise UsageError(
                    f"{config.data.source} has no {split} text to learn from.", "It needs more lines."
                )
        self.order = common.Order(len(self.examples["train"]), config.run.seed)
        self.pad_batch = parts.take_or_reference("classifier", "pad_batch")

    def _example(self, text: str, label: str) -> tuple[list[int], int]:
        """(ids, number of the label)"""
        return self.ids(text), self.labels.index(label)

    def ids(self, text: str) -> list[int]:
        """What the classifier sees of a text. It takes padding at the end for no text, so there is none."""
        ids = self.tokenizer.encode(text)[: self.config.batch.length]
        while ids and ids[-1] == self.pad_id:
            ids.pop()
        return ids

    def adapt(self, model: nn.Module, vocab_size: int) -> nn.Module:
        """The language model with a head that scores the labels. With LoRA, only its adapters and the head learn."""
        common.train_last_blocks(model, self.config.model.train_blocks)
        backbone = common.Backbone(adapters(self.config, self.parts)(model), vocab_size)
        classifier = self.parts.take_or_reference("classifier", "SequenceClassifier")
        made: nn.Module = classifier(
            backbone, self.config.model.d_model, len(self.labels), pad_id=self.pad_id
        )
        return made

    def batch(self, first: int, count: int) -> Batch:
        train = self.examples["train"]
        return self._batch([train[self.order[n]] for n in range(first, first + count)])

    def _batch(self, examples: list[tuple[list[int], int]]) -> Batch:
        ids, labels = self.pad_batch(examples, pad_id=self.pad_id, max_length=self.config.batch.length)
        return Batch((ids, labels), len(examples))

    def counted(self, first: int, count: int) -> int:
        return count

    def loss(self, model: nn.Module, tensors: tuple[Tensor, ...]) -> Tensor:
        ids, labels = tensors
        return F.cross_entropy(model(ids), labels)

    def validation(self) -> list[Batch]:
        held_out = self.examples["validation"]
        return [self._batch(held_out[i : i + EVAL_TEXTS]) for i in range(0, len(held_out), EVAL_TEXTS)]

    def report(self, nats: float) -> dict[str, float]:
        return {}

    @torch.no_grad()
    def score(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        """The share of validation texts with the right label, and what always guessing the commonest would get."""
        model.eval()
        right, labels_seen = 0, []
        for batch in self.validation():
            ids, labels = (tensor.to(device) for tensor in batch.tensors)
            right += int((model(ids).argmax(-1) == labels).sum())
            labels_seen += labels.tolist()
        commonest = max(labels_seen.count(label) for label in set(labels_seen))
        return {"accuracy": right / len(labels_seen), "chance": commonest / len(labels_seen)}

    def sample(self, model: nn.Module, step: int, device: torch.device) -> tuple[str, str] | None:
        """One text of the validation split, and the label that the model gives it."""
        ids, label = self.examples["validation"][0]
        given = int(model(torch.tensor([ids], device=device)).argmax(-1))
        return self.tokenizer.decode(ids), f"{self.labels[given]} (right: {self.labels[label]})"
